"""The bounded link between two stages, and the place where items wait.

The rule: a link is written by the loop's thread alone and read by one worker, which
may be another thread. Taking an entry is one atomic ``popleft``, so at any moment an
entry is either in the link or with the worker, and no lock is needed.

It takes the place of an anyio memory object stream for two reasons, both measured: a
burst moves with one ``extend`` instead of a call per item, and nothing is lost when
asyncio cancels a task natively in the tick of a delivery, because readers wait for
"there is something" and only then take it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

NEVER = -1

ENTRIES_PER_STEP = 1024
"""The most that moves in one step of the loop: about a tenth of a millisecond, so that
a very large bound does not make a pause for everybody else."""


class Link:
    """A bounded queue of entries, as shown by ``pipeline.queues``.

    Attributes:
        maxsize: The bound, the pipeline's ``max_queue_size``.
    """

    __slots__ = ("buffer", "maxsize", "notify_at", "peak", "wake_reader")

    def __init__(self, maxsize: int) -> None:
        self.maxsize: int = maxsize
        self.buffer: deque[Any] = deque()
        self.peak: int = 0
        # When a read leaves this many entries or fewer, the reader tells the loop that
        # there is room. NEVER while nobody waits for room, which makes it one
        # comparison per item.
        self.notify_at: int = NEVER
        self.wake_reader: Callable[[], object] = _nobody

    def __repr__(self) -> str:
        """Show how full it is."""
        return f"<Link {len(self.buffer)}/{self.maxsize}>"

    @property
    def room(self) -> int:
        """How many more entries it takes; negative after an interrupt moved more here."""
        return self.maxsize - len(self.buffer)

    def appended(self) -> None:
        """Note the depth and wake the reader, after entries were put in the buffer."""
        depth = len(self.buffer)
        if depth > self.peak:
            self.peak = depth
        self.wake_reader()

    def qsize(self) -> int:
        """Entries waiting, sentinels included."""
        return len(self.buffer)

    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self.buffer

    def full(self) -> bool:
        """Whether it has no room."""
        return self.room <= 0


def drain(entries: deque[Any]) -> list[Any]:
    """Take everything out; safe while a worker takes from it or adds to it."""
    taken: list[Any] = []
    try:
        while True:
            taken.append(entries.popleft())
    except IndexError:
        return taken


def _nobody() -> None:
    """Stand in for a reader before the pipeline runs."""
