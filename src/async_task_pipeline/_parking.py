"""Where a thread waits, without polling, until the loop has something for it.

The rule: a flag says that the thread is about to wait, and a queue of tickets is what
it waits on. The thread raises the flag first and looks again second; the loop changes
the data first and reads the flag second. So one of the two always sees the other, and
at worst there is one ticket too many, which costs one more look.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from queue import SimpleQueue


class Need(enum.Enum):
    """What a parked worker waits for. Waking it for the other thing costs two switches."""

    ITEM = enum.auto()
    ROOM = enum.auto()


class Parking:
    """The meeting point of one thread and the loop.

    ``park`` must be followed by another look at whatever was waited for: it returns
    too often rather than too seldom.
    """

    __slots__ = ("_need", "_tickets")

    def __init__(self) -> None:
        self._need: Need | None = None
        self._tickets: SimpleQueue[None] = SimpleQueue()

    def park(self, need: Need, ready: Callable[[], object]) -> None:
        """Block this thread until ``unpark`` with the same need, unless ``ready()``."""
        self._need = need
        # Looked at only after the flag is up: an unpark between the two would
        # otherwise be missed for ever.
        if ready():
            self._need = None
        else:
            self._tickets.get()

    def unpark(self, need: Need | None = None) -> bool:
        """Release the thread if it waits for this (``None``: for anything); tell whether it did."""
        if self._need is not None and (need is None or need is self._need):
            self._need = None
            self._tickets.put(None)
            return True
        return False
