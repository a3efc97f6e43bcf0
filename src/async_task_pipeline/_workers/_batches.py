"""Batches: which items one call of a batch stage is for.

The rule: items are set aside as they come, with the instant of their acceptance, until
there are ``max_size`` of them, the oldest has waited ``max_wait`` seconds, or a control
comes after them. Then the first worker that is free takes them all. What is set aside is
still waiting: an interrupt drops it as it drops what is in the link.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from .._items import Batch, Control
from .._links import Link, drain
from .._parking import Need
from .._stage import BatchSize, PipelineStage
from ._alarm import Alarm
from ._crew import Crew
from ._sessions import Session, Worker
from ._staff import NOTHING, NewSeat


class BatchCrew(Crew):
    """Deals out batches of a link's items."""

    def __init__(
        self,
        stage: PipelineStage,
        link: Link,
        workers: list[Worker],
        new_seat: NewSeat,
        *,
        size: BatchSize,
        limit: int,
        wake: Callable[[], object],
    ) -> None:
        super().__init__(stage, link, workers, new_seat, limit=limit, wake=wake)
        # In calls, not items: as many ended ones may wait as hold the bound's number of items.
        self.window = len(workers) + max(1, limit // size.max_size)
        self._size = size
        self._aside = Batch()
        # When each entry set aside or in the link was accepted, oldest first.
        self._accepted: deque[float] = deque()
        self._alarm = Alarm(self.arrived)
        self.services = [self._alarm.serve]

    def next_for(self, session: Session) -> Any:
        """Take a batch that is due, or :py:data:`NOTHING`; the lock is held."""
        self._set_aside()
        if not self._due() or len(self.places) >= self.window:
            return NOTHING
        batch, self._aside = self._aside, Batch()
        for _ in batch:
            self._accepted.popleft()
        session.size = len(batch)
        session.calling = True
        self.places.add(session.outbox)
        self._set_aside()
        self.passed = True  # the loop sets the alarm for the rest
        return batch

    def _set_aside(self) -> None:
        buffer = self.link.buffer
        # The loop may append at any moment, and says so by ``arrived`` a moment later; until
        # then what it has appended is not here.
        here = len(buffer)
        new = len(self._aside) + here - len(self._accepted)
        self._accepted.extend([time.monotonic()] * new)
        while here and len(self._aside) < self._size.max_size:
            here -= 1
            if type(buffer[0]) is not Control:
                self._aside.append(buffer.popleft())
            elif self._aside or len(self.places) >= self.window:
                return  # what is set aside goes first
            else:
                self._accepted.popleft()
                self.pass_by(buffer.popleft())

    def _due(self) -> bool:
        if not self._aside:
            return False
        buffer = self.link.buffer
        if len(self._aside) >= self._size.max_size or (buffer and type(buffer[0]) is Control):
            return True
        return time.monotonic() >= self._accepted[0] + self._size.max_wait

    def available(self) -> bool:
        """Whether a worker should ask for a batch."""
        with self.lock:
            return len(self.places) < self.window and (self._due() or (not self._aside and bool(self.link.buffer)))

    def arrived(self) -> None:
        """Tell a waiting worker if a batch is due, and see to it that one is told in time."""
        with self.lock:
            self._set_aside()
            passed, self.passed = self.passed, False
            due = self._due()
            if self._aside and not due:
                self._alarm.set(self._accepted[0] + self._size.max_wait)
        if passed:
            self._wake()
        if due:
            # One is enough: when it has taken the batch, the loop looks again.
            self.unpark(Need.ITEM, 1)

    def collect(self) -> bool:
        """Bring into the outbox what may leave now; whether there may be more for it."""
        more = super().collect()
        self.arrived()
        return more

    def taken_from(self, index: int) -> None:
        """Forget when it was accepted."""
        del self._accepted[len(self._aside) + index]

    def take_waiting(self) -> list[Any]:
        """Take out what is set aside, and what waits in the link."""
        with self.lock:
            self._accepted.clear()
            aside, self._aside = self._aside, Batch()
            return [*aside, *drain(self.link.buffer)]
