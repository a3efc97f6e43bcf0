"""Stdout, kept for the results.

The rule: while the command runs, descriptor 1 is stderr, for whoever writes there, in this
process or in one it starts. Only who was given the real one can write among the results.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path


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


_LINKS = 40
"""How many links the system follows, too."""


def descriptor(path: str) -> int | None:
    """The number of the descriptor of this process that a path leads to, if it leads to one.

    A name such as ``/dev/stdout`` is a link to a link, and its last step no ordinary one: followed by
    the system it ends at the file behind the descriptor. So the links are followed one by one.
    """
    own = {Path(each).resolve() for each in ("/dev/fd", "/proc/self/fd", "/proc/thread-self/fd")}
    at = Path(path)
    for _ in range(_LINKS):
        folder = at.parent.resolve()
        if folder in own and at.name.isdecimal():
            return int(at.name)
        try:
            at = folder / (folder / at.name).readlink()
        except OSError:
            return None  # no link
    return None
