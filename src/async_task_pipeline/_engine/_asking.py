"""Asking a stage's ``on_error`` function what a failure means.

The rule: a plain function is called in a thread and an async one on the loop, as stage functions are, in a
task of its own: so it may take its time, and neither the loop nor a worker waits for it. It is asked
about one item after another, in the order in which they have failed. Until it has answered, the
item is in its window as if its call were running: it counts as inside, keeps its place, and an
interrupt drops it. About one that was dropped before its turn came nobody is asked.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any, cast, get_args

from anyio import CapacityLimiter, Event

from .._exceptions import StageProtocolError, add_note, raisable, shown, unawaited
from .._failure import FailureMeaning
from .._log import logger
from .._native import cancelled_from_outside
from .._stage import PipelineStage, runs_on_the_loop
from ._item import EXPANDED, FAILED, Failed, Item
from ._loop_thread import LoopThread


class Asking:
    """Asks one stage's function.

    Args:
        stage: The stage, whose ``on_error`` is a function.
        cancelled: The backend's class of cancellations.
        answered: Is told of each item that has an outcome now, and of what ends the run, if it does.
    """

    def __init__(
        self,
        stage: PipelineStage,
        cancelled: type[BaseException],
        answered: Callable[[Item, BaseException | None], None],
    ) -> None:
        self._stage = stage
        self._function: Any = stage.on_error
        self._on_loop = runs_on_the_loop(stage.on_error)
        self._cancelled = cancelled
        self._answered = answered
        self._limiter = CapacityLimiter(1)
        self._questions: deque[tuple[Item, Failed]] = deque()
        self._asked = Event()

    @property
    def items(self) -> list[Item]:
        """Those about which there is no answer yet."""
        return [item for item, _ in self._questions]

    def ask(self, item: Item, failed: Failed) -> None:
        """Ask about an item as soon as those before it have been answered. On the loop."""
        self._questions.append((item, failed))
        self._asked.set()

    async def serve(self) -> None:
        """Ask about one after another, until an answer has ended the run."""
        while True:
            while self._questions:
                item, failed = self._questions[0]
                if item.stale:
                    logger.warning("stage %r: an interrupted call failed", self._stage.name, exc_info=failed.exc)
                elif await self._decide(item, failed):
                    return
                self._questions.popleft()
            self._asked = Event()
            await self._asked.wait()

    async def _decide(self, item: Item, failed: Failed) -> bool:
        """Ask about one, and do as is answered; whether that has ended the run."""
        error: BaseException | None = None
        try:
            failed.meaning = self._checked(await self._answer(failed), failed)
        except self._cancelled as exc:
            if cancelled_from_outside():
                raise
            error = raisable(exc, self._cancelled)
        except BaseException as exc:
            error = exc
        if error is not None and error is not failed.exc:
            add_note(error, f"raised by on_error of stage {self._stage.name!r} of the pipeline, for {failed.shown}")
            with contextlib.suppress(Exception):  # one that is frozen refuses
                error.__context__ = error.__context__ or failed.exc
        if item.stale:
            if error is not None:
                logger.warning("stage %r: on_error failed for what was dropped", self._stage.name, exc_info=error)
            return False
        if error is None and failed.meaning == "raise":
            error = failed.exc
        self._write(item, failed)
        self._answered(item, error)
        return error is not None

    async def _answer(self, failed: Failed) -> Any:
        if self._on_loop:
            return await self._function(failed.failure)
        answer, error = await LoopThread.here().run(self._call, failed.failure, limiter=self._limiter)
        if error is not None:
            raise raisable(error, self._cancelled)
        return answer

    def _call(self, failure: object) -> tuple[Any, BaseException | None]:
        """Call it, in a thread; what it raises is kept, as the way out of a thread is not made for all."""
        try:
            return self._function(failure), None
        except BaseException as exc:
            return None, exc

    def _checked(self, answer: Any, failed: Failed) -> FailureMeaning:
        words = get_args(FailureMeaning)
        if isinstance(answer, str) and answer in words:
            return cast("FailureMeaning", answer)
        kind = unawaited(answer)
        returned = f"a {kind}; declare it 'async def'" if kind is not None else shown(answer)
        error = StageProtocolError(
            f"on_error of stage {self._stage.name!r} must return one of {words}, and returned {returned}"
        )
        error.__cause__ = failed.exc
        raise error

    def _write(self, item: Item, failed: Failed) -> None:
        """Write the outcome, which its worker has left to this; nobody else looks at the item meanwhile."""
        failure = failed.failure
        start, end = (0.0, 0.0) if failure is None else (failure.started_at, failure.failed_at)
        if item.children is not None:
            item.children.append(item.child(failed, FAILED, start, end))
            item.data, item.outcome = None, EXPANDED
        else:
            item.data, item.outcome = failed, FAILED
