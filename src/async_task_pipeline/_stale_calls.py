"""The calls of one stage that an interrupt has made stale and that have not ended.

The rule: each such call is here from the step in which it becomes stale until it ends;
every interrupt in between finds it, and may wait for it, so a receipt names each stage
that is stuck, whoever made it so.
"""

from __future__ import annotations

from collections.abc import Iterable

from ._interruption import Interruption
from ._items import Batch, Control
from ._links import drain
from ._turn_history import TurnHistory
from ._workers._sessions import Session


class StaleCalls:
    """The stale calls of one stage, and the interrupts that wait for them."""

    def __init__(self, stage: str, turns: TurnHistory | None) -> None:
        self._stage = stage
        self._turns = turns
        self._watchers: dict[Session, list[Interruption]] = {}

    def add(self, session: Session) -> None:
        """Wait for the call of a session."""
        self._watchers[session] = []

    def watched_by(self, interruption: Interruption, *, own: Iterable[Session]) -> None:
        """Have an interrupt wait for the stale calls; ``own`` are those it made stale."""
        mine = set(own)
        for session in mine:
            self.add(session)
        for session, watchers in self._watchers.items():
            interruption.watch(session, self._stage, own=session in mine)
            # Each call has one interrupt that made it stale, and any number that found it so:
            # those would all stay as long as a stuck call, and have nothing to wait for.
            if session in mine or interruption.waits:
                watchers.append(interruption)

    def forget(self, interruption: Interruption) -> None:
        """Let an interrupt wait no longer for calls that others made stale."""
        for session, watchers in self._watchers.items():
            if interruption in watchers and not interruption.owns(session):
                watchers.remove(interruption)

    def ended(self, session: Session) -> bool:
        """Note that a session has ended; whether its call was here."""
        watchers = self._watchers.pop(session, None)
        if watchers is None:
            return False  # no interrupt has found it in a call
        called, session.called = session.called, None
        if self._turns is not None and called is not None and not session.late:
            results = [each for each in drain(session.outbox) if type(each) is not Control]
            if type(called) is Batch:
                self._turns.drop(called)
            else:
                self._turns.drop_call(called, results)
        for interruption in watchers:
            interruption.ended(session)
        return True
