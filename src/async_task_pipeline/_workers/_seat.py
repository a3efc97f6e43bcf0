"""One worker's life in a run: one session after another, until the end of input.

The rule: a session is hosted inside a cancel scope of its own, so that an interrupt
ends this turn's call and nothing else. The next session begins when the call of the
one before has ended, never earlier. What leaves a session other than by its scope is
for the stage to judge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from anyio import CancelScope, get_cancelled_exc_class

from .._log import logger
from .._native import cancelled_from_outside
from .._stage import PipelineStage
from ._sessions import Session, Worker


class Chief(Protocol):
    """Who judges what leaves a session: the stage's runner."""

    def broke(self, seat: Seat, session: Session, exc: BaseException) -> None:
        """Act on an exception that a session raised."""

    def end_with(self, exc: BaseException) -> None:
        """Act on an exception from making a worker's state, or letting it go."""

    def ended(self, session: Session) -> bool:
        """Note that a session has ended; whether its call had become stale before."""
        ...

    def holds(self, session: Session) -> bool:
        """Whether the session is in a call."""
        ...


class Seat:
    """Where one worker of a stage sits.

    Args:
        stage: The stage.
        worker: The worker.
        chief: The stage's runner.
        seated: Tells each new session where its entries come from.
        spawn: Has a coroutine function run in the run's task group.
    """

    def __init__(
        self,
        stage: PipelineStage,
        worker: Worker,
        seated: Callable[[Session], Session],
        *,
        chief: Chief,
        spawn: Callable[[Seat], None],
    ) -> None:
        self.worker = worker
        self.closed = False
        self._stage = stage
        self._seated = seated
        self._chief = chief
        self._spawn = spawn
        self.session: Session = seated(worker.session())

    def renew(self, *, in_call: bool, interrupted: bool = True) -> Session:
        """Make the session stale and give the worker a new one; return the old."""
        old = self.session
        old.abandon()
        self.session = self._seated(self.worker.session())
        self.session.resets = interrupted and self._stage.on_interrupt is not None
        if old.scope is not None:  # if it is None, the host will begin with the new one
            old.scope.cancel()
            if self._stage.reentrant and in_call:
                old.overtaken = True
                self._spawn(self)
        return old

    def close(self) -> None:
        """Let the worker go for good; whatever is left was drained before."""
        self.closed = self.worker.closing = True
        self.session.abandon()

    async def live(self) -> None:
        """Bring the worker to life and host it until the end of input."""
        try:
            async with self.worker:
                await self.host()
        except get_cancelled_exc_class() as exc:
            if cancelled_from_outside():
                raise
            self._chief.end_with(exc)  # made up by what makes the state, or lets it go
        except BaseException as exc:
            if _only_cancelled(exc):
                raise
            self._chief.end_with(exc)
        finally:
            self.worker.ready.set()  # as ready as it will ever be

    async def host(self) -> None:
        """Run one session after another, until the end of input."""
        while not self.closed:
            session = self.session
            try:
                with CancelScope() as session.scope:
                    await session.work()
            except get_cancelled_exc_class() as exc:
                self._cancelled(session, exc)
                raise
            except BaseException as exc:
                if _only_cancelled(exc):
                    raise
                self._chief.broke(self, session, exc)
                self.worker.ready.set()
            finally:
                self._ended(session)
            if session is self.session or session.overtaken:
                return

    def _ended(self, session: Session) -> None:
        was_stale = self._chief.ended(session)
        # Natively cancelled tasks end in any order, so the pipeline may have closed, and made
        # the session stale, before this one.
        if session.left_behind and (was_stale or (session is self.session and self._chief.holds(session))):
            logger.warning(
                "stage %r: its thread was left inside %r, which has not returned",
                self._stage.name,
                repr(self._stage.process_fn),  # a log record must not keep its owner alive
            )

    def _cancelled(self, session: Session, exc: BaseException) -> None:
        if not session.left_behind and not cancelled_from_outside():
            self._chief.broke(self, session, exc)


def _only_cancelled(exc: BaseException) -> bool:
    """Whether it is a group of nothing but cancellations, as a nursery of trio's raises."""
    return isinstance(exc, BaseExceptionGroup) and exc.split(get_cancelled_exc_class())[1] is None
