"""Which lines of a file say something new?

A compressor is a judge of that: a line that it can build from the text before costs
next to nothing, a line unlike anything before costs nearly its length. It finds the
odd lines of a log as well as the dense paragraphs of a README::

    async-task-pipeline run docs/examples/novelty.py:pipeline README.md | sort -rn | head

Each line of the output has the line's cost in bits per character, its number, the
digest of everything it was judged by (to compare two runs), and the line itself.

The work is done by hashlib, zlib and lzma, which release the GIL for it: the stages run
at the same time, each in a thread of its own, on as many cores as there are.
"""

from __future__ import annotations

import hashlib
import lzma
import zlib
from collections.abc import Callable

import attrs

from async_task_pipeline import AsyncTaskPipeline

WINDOW = 16 * 1024
"""How many bytes of the text before a line it is judged by."""

LZMA = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 2 * WINDOW}]


@attrs.frozen
class Line:
    """A line on its way; each stage passes on a copy that knows more."""

    number: int
    text: bytes
    before: bytes
    digest: str = ""
    deflated: int = 0
    packed_before: int = 0
    packed: int = 0


def windows() -> Callable[[str], Line | None]:
    """Make a stage that gives each line the text before it.

    A stage calls its function for one line at a time and in order, so the function may
    remember.
    """
    before = b""
    number = 0

    def window(text: str) -> Line | None:
        nonlocal before, number
        number += 1
        line = Line(number, text.strip().encode(), before)
        if not line.text:
            return None  # filtered: an empty line says nothing
        before = (before + line.text + b"\n")[-WINDOW:]
        return line

    return window


def digest(line: Line) -> Line:
    """Hash everything that the line is judged by."""
    return attrs.evolve(line, digest=hashlib.sha256(line.before + line.text).hexdigest())


def deflate(line: Line) -> Line:
    """Measure how many bytes the line adds to the text before, as zlib packs it."""
    without = zlib.compressobj(9)
    without.compress(line.before)
    both = without.copy()
    return attrs.evolve(
        line, deflated=len(both.compress(line.text) + both.flush()) - len(without.flush())
    )


def pack(data: bytes) -> int:
    """The size that lzma packs some bytes to."""
    return len(lzma.compress(data, format=lzma.FORMAT_RAW, filters=LZMA))


def pack_before(line: Line) -> Line:
    """Measure the text before with lzma, which cannot go on from a copy as zlib can."""
    return attrs.evolve(line, packed_before=pack(line.before))


def pack_both(line: Line) -> Line:
    """Measure it with the line. A stage of its own: it takes as long, on another core."""
    return attrs.evolve(line, packed=pack(line.before + line.text) - line.packed_before)


def describe(line: Line) -> str:
    """One line of the output; the compressor that does better is right."""
    text = line.text.decode()
    bits = 8 * max(0, min(line.deflated, line.packed)) / len(text)
    return f"{bits:.2f}\t{line.number}\t{line.digest[:12]}\t{text}"


def pipeline() -> AsyncTaskPipeline[str, str]:
    """Make the pipeline that the command line runs."""
    return (
        AsyncTaskPipeline[str, str]()
        .add_stage("window", windows())
        .add_stage("digest", digest)
        .add_stage("deflate", deflate)
        .add_stage("lzma before", pack_before)
        .add_stage("lzma both", pack_both)
        .add_stage("describe", describe)
    )
