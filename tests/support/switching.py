"""Threads that take turns more often than usual, so that more moments come up.

The rule: the interval is the interpreter's, so it is set back whatever happens.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def switching_every(seconds: float) -> Iterator[None]:
    """Have threads take turns after so many seconds."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
