"""Batches: which items one call of a batch stage is for.

The rule: items are set aside as the stage accepts them, until there are ``max_size`` of them, the
oldest has waited ``max_wait`` seconds, or a sentinel comes after them; then they are a batch, which
goes into the inbox as one. What is set aside is still waiting: an interrupt drops it as it drops
what is in the link. A batch that is due by time alone waits until a worker is free, and grows.
"""

from __future__ import annotations

from collections import deque

from .._stage import BatchSize
from ._counting import Container
from ._item import Batch, Item


class SetAside:
    """Items that are in no batch yet, and when each was accepted (:py:func:`time.monotonic`)."""

    def __init__(self, size: BatchSize) -> None:
        self._size = size
        self.items: deque[Item] = deque()
        self._accepted: deque[float] = deque()

    def add(self, item: Item, now: float) -> None:
        """Set one aside."""
        self.items.append(item)
        self._accepted.append(now)

    @property
    def full(self) -> bool:
        """Whether there are enough for a batch."""
        return len(self.items) >= self._size.max_size

    @property
    def due_at(self) -> float:
        """When the oldest has waited long enough; there must be one."""
        return self._accepted[0] + self._size.max_wait

    def batch(self) -> Batch:
        """Take out the next batch; there must be an item."""
        size = min(len(self.items), self._size.max_size)
        for _ in range(size):
            self._accepted.popleft()
        return Batch(self.items.popleft() for _ in range(size))

    def pop_oldest(self) -> Item | None:
        """Take out the item that has waited longest, if there is one."""
        if not self.items:
            return None
        self._accepted.popleft()
        return self.items.popleft()

    def take_out(self) -> list[Container]:
        """Take out everything; in one step, however much it is."""
        out: list[Container] = [self.items, self._accepted]
        self.items, self._accepted = deque(), deque()
        return out
