"""Where a thread waits, without polling, until the loop has something for it.

The rule: a flag says that the thread is about to wait, and a queue of tickets is what
it waits on. The thread raises the flag first and looks again second; the loop changes
the data first and reads the flag second. So one of the two always sees the other, and
at worst there is one ticket too many, which costs one more look.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue


class Parking:
    """The meeting point of one thread and the loop.

    ``park`` must be followed by another look at whatever was waited for: it returns
    too often rather than too seldom.
    """

    __slots__ = ("_parked", "_tickets")

    def __init__(self) -> None:
        self._parked = False
        self._tickets: SimpleQueue[None] = SimpleQueue()

    def park(self, ready: Callable[[], bool]) -> None:
        """Block this thread until ``unpark``, unless ``ready()`` already."""
        self._parked = True
        # Looked at only after the flag is up: an unpark between the two would
        # otherwise be missed for ever.
        if ready():
            self._parked = False
        else:
            self._tickets.get()

    def unpark(self) -> None:
        """Release the thread if it is parked. Never blocks."""
        if self._parked:
            self._parked = False
            self._tickets.put(None)
