"""A stage with one worker.

The rule: the worker takes from the link itself, and its outbox is the stage's. No lock,
no sorting: this is the path that has to be fast.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Any

from .._items import weight
from .._links import Link, drain
from .._parking import Need
from .._stage import PipelineStage
from ._sessions import Session, Worker
from ._staff import NOTHING, NewSeat, Service


class Solo:
    """One worker, which takes from the link."""

    def __init__(self, stage: PipelineStage, link: Link, worker: Worker, new_seat: NewSeat) -> None:
        self._stage = stage
        self._resets = stage.on_interrupt is not None
        self._link = link
        self._seat = new_seat(worker, self._seated)
        self.seats = [self._seat]
        self.services: list[Service] = []

    def _seated(self, session: Session) -> Session:
        self._link.wake_reader = partial(session.unpark, Need.ITEM)
        return session

    @property
    def outbox(self) -> deque[Any]:
        """The worker's own."""
        return self._seat.session.outbox

    def collect(self) -> bool:
        """Do nothing: it is there already."""
        return False

    def made_room(self) -> None:
        """Tell the worker that there is room for outcomes."""
        self._seat.session.unpark(Need.ROOM)

    def take_waiting(self) -> list[Any]:
        """Take out what waits in the link."""
        return drain(self._link.buffer)

    def drop_oldest(self) -> Any:
        """Nothing: where items may be taken out of turn, there is a crew."""
        return NOTHING

    def drain(self) -> tuple[list[Any], list[Any]]:
        """Take out everything: what waits in the link, and what has come out of calls."""
        return drain(self._link.buffer), drain(self._seat.session.outbox)

    def calls_beyond(self, in_call: int) -> int:
        """Whether a generator is running whose item has had an outcome already."""
        return int(self._seat.session.generating and not in_call)

    def renew(self, items: int, *, in_hand: bool) -> list[Session]:
        """Give the worker a new session, and a link that the old one does not know."""
        if not in_hand and not self._resets:
            self._seat.session.unpark()  # it may have been waiting for room in the outbox
            return []
        self._link.buffer = deque()
        old = self._seat.renew(in_call=bool(items))
        return [old] if items else []

    def broke(self, session: Session) -> int:
        """Whether it was in a call: if not, what was raised is no item's fault."""
        return min(1, self._inside_worker())

    def write_off(self, session: Session, exc: Exception) -> bool:
        """Nothing: a stage with a timeout has a crew."""
        return False

    def holds(self, session: Session) -> bool:
        """Whether the worker is in a call."""
        return self._seat.session.generating or self._inside_worker() > 0

    def held(self, controls: int) -> int:
        """What is neither in the link nor has come out, or the rest of a generator."""
        session = self._seat.session
        waiting = max(0, len(self._link.buffer) - controls)
        return max(self._stage.counts.inside - waiting - len(session.outbox), int(session.generating))

    def _inside_worker(self) -> int:
        waiting = weight([*self._link.buffer])
        return max(0, self._stage.counts.inside - waiting - weight([*self._seat.session.outbox]))
