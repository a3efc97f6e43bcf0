"""Stdout, kept for the results.

The rule: while the command runs, descriptor 1 is stderr, for whoever writes there, in this
process or in one it starts. Only who was given the real one can write among the results.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def own_stdout() -> Iterator[int | None]:
    """Keep stdout for the results alone; give a descriptor of it, ``None`` if it is closed.

    What anything else writes there meanwhile goes to stderr: a stage, a library in C, another
    process that is started.
    """
    if sys.__stdout__ is None:
        yield None
        return
    own = os.dup(1)
    other = os.open(os.devnull, os.O_WRONLY) if sys.__stderr__ is None else os.dup(2)
    try:
        os.dup2(other, 1)
        with redirect_stdout(sys.stderr):
            yield own
        sys.__stdout__.flush()
    finally:
        os.dup2(own, 1)
        os.close(own)
        os.close(other)


_DESCRIPTOR = re.compile(r"/dev/(?:(stdout)|stderr|fd/(\d+))|/proc/self/fd/(\d+)")


def descriptor(path: str, stdout: int | None) -> int | None:
    """The descriptor that a path names, if it names one; ``stdout`` is where that is kept."""
    found = _DESCRIPTOR.fullmatch(path)
    if found is None:
        return None
    number = int(found[2] or found[3] or (1 if found[1] else 2))
    return stdout if number == 1 else number
