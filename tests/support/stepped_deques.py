"""Deques that behave as on a build of Python without the global interpreter lock.

The rule: with that lock, ``[*entries]`` is one step; without it each entry is a step, between any two of which
another thread may change the deque, whereupon the next step raises ``RuntimeError``. Here each entry is a step too,
after which other threads are let run. Nothing of the library is changed: it gets this deque when it imports
``collections.deque``. So the module has to be loaded before the library, which ``pytest -p`` does.
"""

from __future__ import annotations

import collections
import importlib
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


class SteppedDeque(deque[T]):
    """A deque whose iterator lets others run, if only once, after the first entry: that takes as long as 100 steps."""

    def __iter__(self) -> Iterator[T]:
        return stepped(super().__iter__())

    def __reversed__(self) -> Iterator[T]:
        return stepped(super().__reversed__())


def stepped(entries: Iterator[T]) -> Iterator[T]:
    """The same entries; the deque's own iterator raises if it was changed since the last one."""
    for entry in entries:
        yield entry
        time.sleep(1e-6)
        break
    yield from entries


def import_library() -> None:
    """Have the library use them, and anyio, of whose streams its links are made."""
    assert "async_task_pipeline" not in sys.modules, "it has the usual deques already"
    for other in ("asyncio", "concurrent.futures", "logging", "queue", "threading", "trio"):
        importlib.import_module(other)
    collections.deque = SteppedDeque
    try:
        importlib.import_module("async_task_pipeline")
    finally:
        collections.deque = deque


import_library()
