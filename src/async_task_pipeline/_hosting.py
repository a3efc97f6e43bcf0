"""A worker's life: one session after another, until the end of input.

The rule: a session is hosted inside a cancel scope of its own, so that an interrupt
ends this turn's call and nothing else. What leaves a session other than by that scope
ends the pipeline, whoever raised it; whether it also was an item's failure is the only
thing decided here.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

from anyio import CancelScope, current_effective_deadline, get_cancelled_exc_class

from ._exceptions import raisable
from ._interruption import Interruption
from ._items import Control
from ._links import drain
from ._log import logger
from ._native import cancelled_natively
from ._sessions import Session
from ._stages import PipelineStage
from ._turn_history import TurnHistory


class SessionHost(ABC):
    """Hosts the sessions of one stage."""

    def __init__(
        self,
        stage: PipelineStage,
        session: Session,
        fail: Callable[[BaseException], None],
        turns: TurnHistory | None,
    ) -> None:
        self.stage = stage
        self.session = session
        self.closed = False
        # Stale sessions whose call has not ended, and the interrupts that wait for it.
        self._stuck: dict[Session, list[Interruption]] = {}
        self._fail = fail
        self._turns = turns

    @property
    @abstractmethod
    def held(self) -> int:
        """Items, or the rest of one generator, that the worker seems to hold."""

    async def host(self) -> None:
        """Run the worker, one session after another, until the end of input."""
        while not self.closed:
            session = self.session
            try:
                with CancelScope() as session.scope:
                    await session.work()
            except get_cancelled_exc_class() as exc:
                self._cancelled(session, exc)
                raise
            except BaseException as exc:
                self._broke(session, exc)
            finally:
                self._ended(session)
            if session is self.session or session.overtaken:
                return

    def _ended(self, session: Session) -> None:
        watchers = self._stuck.pop(session, None)
        # Natively cancelled tasks end in any order, so the pipeline may have closed, and made
        # the session stale, before this one.
        if session.left_behind and (watchers is not None or (session is self.session and self.held)):
            logger.warning(
                "stage %r: its thread was left inside %r, which has not returned",
                self.stage.name,
                repr(self.stage.process_fn),  # a log record must not keep its owner alive
            )
        if watchers is None:
            return  # no interrupt has found it in a call
        if self._turns is not None and session.called is not None:
            results = [each for each in drain(session.outbox) if type(each) is not Control]
            self._turns.drop_call(session.called, results)
            session.called = None
        for interruption in watchers:
            interruption.ended(session)

    def watched_by(self, interruption: Interruption, *, own: Session | None) -> None:
        """Have an interrupt wait for the stale calls; ``own`` is the one it made stale."""
        if own is not None:
            self._stuck[own] = []
        for session, watchers in self._stuck.items():
            interruption.watch(session, self.stage.name, own=session is own)
            watchers.append(interruption)

    def forget(self, interruption: Interruption) -> None:
        """Let an interrupt wait no longer, or each one would stay as long as a stuck call."""
        for watchers in self._stuck.values():
            if interruption in watchers:
                watchers.remove(interruption)

    def close(self) -> None:
        """Let the worker go for good; whatever is left was flushed before."""
        self.closed = True
        self.session.stale = True
        self.session.unpark()

    def _cancelled(self, session: Session, exc: BaseException) -> None:
        if current_effective_deadline() != -math.inf and not cancelled_natively() and not session.left_behind:
            # asyncio's CancelledError, raised by the function though nothing cancelled
            # it: let through alone, it would end this task, and so the stage, quietly.
            self._broke(session, exc)

    def _broke(self, session: Session, exc: BaseException) -> None:
        """Act on an exception that left the worker: it ends the pipeline."""
        counts = self.stage.counts
        if session is self.session:
            if session.had_outcome:
                counts.fanned_out += 1  # one more outcome of a call that had some
                counts.failed += 1
            elif self.held:  # if not, what was raised is no item's fault
                counts.inside -= 1
                counts.failed += 1
        elif isinstance(exc, Exception):
            logger.warning("stage %r: an interrupted call failed", self.stage.name, exc_info=exc)
            return
        self.note(exc)
        self._fail(raisable(exc, get_cancelled_exc_class()))

    def note(self, exc: BaseException) -> None:
        """Name the stage on an exception, once."""
        note = f"raised in stage {self.stage.name!r} of the pipeline"
        if note not in getattr(exc, "__notes__", ()):  # one object may be raised many times
            exc.add_note(note)
