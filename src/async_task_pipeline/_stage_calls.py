"""The calls of one stage: who makes them, and what leaves a session but by its outbox.

The rule: an exception that leaves a session ends the pipeline, whoever raised it, unless
its call was stale; whether it also was an item's failure is decided here. Like all of
the runner it runs on the loop's thread and without an await.
"""

from __future__ import annotations

from collections.abc import Callable

from anyio import get_cancelled_exc_class

from ._exceptions import add_note, raisable
from ._log import logger
from ._stage import PipelineStage
from ._stale_calls import StaleCalls
from ._turn_history import TurnHistory
from ._workers._seat import Seat
from ._workers._sessions import Session, Worker
from ._workers._staff import NewSeat, Service, Staff
from ._workers._watchdog import Watchdog


class StageCalls:
    """The workers of one stage, and what becomes of what they raise."""

    def __init__(
        self,
        stage: PipelineStage,
        *,
        staff: Callable[[NewSeat], Staff],
        fail: Callable[[BaseException], None],
        wake: Callable[[], None],
        post: Callable[[Callable[[], object]], object],
        spawn: Callable[[Seat], None],
        turns: TurnHistory | None,
    ) -> None:
        self.stage = stage
        self.stale_calls = StaleCalls(stage.name, turns)
        self._fail = fail
        self._wake = wake
        self._spawn = spawn
        self._watchdog: Watchdog | None = None
        if stage.timeout is not None:
            self._watchdog = Watchdog(stage.timeout, self._sessions, self._overdue, post)
        self.staff: Staff = staff(self._new_seat)
        self.services: list[Service] = [*self.staff.services]
        if self._watchdog is not None:
            self.services.append(self._watchdog.serve)

    def _new_seat(self, worker: Worker, seated: Callable[[Session], Session]) -> Seat:
        def watched(session: Session) -> Session:
            if self._watchdog is not None:
                session.on_begin = self._watchdog.begun
            return seated(session)

        return Seat(self.stage, worker, watched, chief=self, spawn=self._spawn)

    def _sessions(self) -> list[Session]:
        return [seat.session for seat in self.staff.seats]

    def close(self) -> None:
        """Let the workers go for good; whatever is left was flushed before."""
        for seat in self.staff.seats:
            seat.close()

    def broke(self, seat: Seat, session: Session, exc: BaseException) -> None:
        """Act on an exception that left a session: it ends the pipeline."""
        counts = self.stage.counts
        if seat.session is session:
            if session.had_outcome:
                counts.fanned_out += 1  # one more outcome of a call that had some
                counts.failed += 1
                self.staff.broke(session)
            else:
                items = self.staff.broke(session)
                counts.inside -= items
                counts.failed += items
        elif isinstance(exc, Exception):
            logger.warning("stage %r: an interrupted call failed", self.stage.name, exc_info=exc)
            return
        self.end_with(exc)

    def _overdue(self, session: Session) -> None:
        """Let a call have failed that takes longer than it may; its worker stays busy."""
        exc = TimeoutError(f"a call of stage {self.stage.name!r} took longer than {self.stage.timeout} seconds")
        if not self.staff.write_off(session, exc):
            return
        self.stale_calls.add(session)
        for seat in self.staff.seats:
            if seat.session is session:
                seat.renew(in_call=False, interrupted=False)
        if self.stage.on_error == "raise":
            self.note(exc)
            self._fail(exc)
        self._wake()

    def end_with(self, exc: BaseException) -> None:
        """End the pipeline with an exception of this stage's, though no item's fault."""
        self.note(exc)
        self._fail(raisable(exc, get_cancelled_exc_class()))

    def ended(self, session: Session) -> bool:
        """Note that a session has ended; whether its call had become stale before."""
        return self.stale_calls.ended(session)

    def holds(self, session: Session) -> bool:
        """Whether the session is in a call."""
        return self.staff.holds(session)

    def note(self, exc: BaseException) -> None:
        """Name the stage on an exception, once."""
        add_note(exc, f"raised in stage {self.stage.name!r} of the pipeline")
