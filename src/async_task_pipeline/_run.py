"""One life of a pipeline: from start to end, with everything it owns.

The rule: ``serve`` holds the only task group, and everything that runs for the
pipeline runs in it. Whatever ends the run (stop, failure, the end of input, a
cancellation from outside) goes through ``_close`` before the group waits for its
tasks: a worker thread that is parked has to be told to leave, or the group would wait
for it for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

from anyio import TASK_STATUS_IGNORED, Event, create_task_group
from anyio.abc import TaskStatus

from ._input import Entrance, stopped
from ._items import Control, Kind, Timed
from ._links import Link
from ._log import logger
from ._output import Exit
from ._posting import Waker
from ._runner import Downstream, StageRunner
from ._sessions import Session
from ._stages import PipelineStage
from ._statistics import DroppedItems, InterruptReceipt
from ._task_worker import TaskSession
from ._thread_worker import ThreadSession
from ._timing import Clock


class Run:
    """The links, runners, input and output of a running pipeline."""

    def __init__(
        self,
        stages: Sequence[PipelineStage],
        maxsize: int,
        *,
        clock: Clock | None,
        record: Callable[[Timed], None] | None,
    ) -> None:
        self.maxsize = maxsize
        self.clock = clock
        self.thread = threading.get_ident()
        self.waker = Waker(self.pump)
        self.links = [Link(maxsize) for _ in range(len(stages) + 1)]
        self.exit = Exit(self.links[-1], pump=self.pump, record=record)
        self.runners: list[StageRunner] = []
        downstream: Downstream = self.exit
        for stage, (link, output) in reversed([*zip(stages, pairwise(self.links), strict=True)]):
            runner = StageRunner(
                stage,
                link,
                output,
                downstream,
                new_session=self._new_session,
                clock=clock,
                fail=self.fail,
                wake=self.waker.wake,
            )
            self.runners.insert(0, runner)
            downstream = runner
        self.entrance = Entrance(self.runners[0], clock, self.waker)
        self.failure: BaseException | None = None
        self.closed = False
        self.streams = 0
        self.done = Event()
        self._over = Event()
        self.exit.on_end = self._over.set

    def _new_session(self, stage: PipelineStage, link: Link) -> Session:
        if stage.is_async:
            return TaskSession(stage, link, self.maxsize, self.clock, self.pump)
        return ThreadSession(stage, link, self.maxsize, self.clock, self.waker)

    def pump(self) -> None:
        """Move everything that can move. Never raises."""
        try:
            # From the end backwards, so that room made downstream is used at once.
            for runner in reversed(self.runners):
                runner.pump()
            self.entrance.pump()
        except BaseException as exc:
            # Only an injected clock can raise here; trio would end the process's run.
            self.fail(exc)

    # -- its life -----------------------------------------------------------------------

    async def serve(self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """Run until stopped, failed, drained or cancelled; raise the failure, if any."""
        try:
            async with create_task_group() as tg:
                try:
                    for runner in self.runners:
                        tg.start_soon(runner.host, name=f"stage {runner.stage.name}")
                    logger.info("pipeline started with stages %s", [each.stage.name for each in self.runners])
                    task_status.started()
                    await self._over.wait()
                finally:
                    self._close()
                tg.cancel_scope.cancel()
        finally:
            self.done.set()
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        """End the run soon; what is inside is dropped."""
        self._over.set()

    def fail(self, exc: BaseException) -> None:
        """End the run with a failure; the first one counts, later ones are logged."""
        if self.failure is not None or self.closed:
            logger.warning("the pipeline had ended when this was raised", exc_info=exc)
            return
        self.failure = exc
        self.entrance.close(partial(stopped, exc))
        self.exit.end(exc)
        self._over.set()

    def _close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self.entrance.close(partial(stopped, self.failure))
        receipt = self._drop(keep_sentinels=False)
        self.links[-1].buffer.clear()  # not even the end of input is waited for any more
        self.exit.end(self.failure)
        for runner in self.runners:
            runner.close()
        if receipt.total:
            logger.info("pipeline stopped; dropped %d items: %s", receipt.total, receipt.dropped)
        else:
            logger.info("pipeline stopped; nothing was inside")
        for name in receipt.busy:
            logger.info("stage %r is still in a call, which is waited for if it cannot be cancelled", name)

    # -- interrupts ---------------------------------------------------------------------

    def interrupt(self, *, keep_sentinels: bool = True) -> InterruptReceipt:
        """Drop everything stale in one step, and let the next turn begin."""
        if self.closed or self.failure is not None:
            return InterruptReceipt()
        receipt = self._drop(keep_sentinels=keep_sentinels)
        self.pump()
        return receipt

    def _drop(self, *, keep_sentinels: bool) -> InterruptReceipt:
        """Drop all items; what survives goes straight to the output, in order.

        Nothing is left between a surviving sentinel and the output, so it need not wait
        for a stage whose interrupted call is still running.
        """
        at_output, survivors = self.exit.flush(keep_sentinels=keep_sentinels)
        dropped: dict[str, DroppedItems] = {}
        for runner in reversed(self.runners):
            part, controls = runner.flush()
            if runner is self.runners[-1]:
                part = DroppedItems(part.queued, part.in_call, part.finished + at_output)
            if runner is self.runners[0]:
                part = DroppedItems(part.queued + self.entrance.flush(), part.in_call, part.finished)
            dropped[runner.stage.name] = part
            survivors += [each for each in controls if keep_sentinels or each.kind is Kind.END]
        self._emit(survivors)
        names = [runner.stage.name for runner in self.runners]
        busy = tuple(runner.stage.name for runner in self.runners if runner.busy)
        return InterruptReceipt({name: dropped[name] for name in names}, busy)

    def _emit(self, controls: list[Control]) -> None:
        self.links[-1].buffer.extend(controls)
        self.exit.accept(0, controls)

    def clear_output(self) -> int:
        """Drop what waits for the consumer, sentinels included; return the items."""
        items, controls = self.exit.flush(keep_sentinels=False)
        self._emit(controls)
        self.pump()
        return items

    def clear_link(self, index: int) -> int:
        """Drop what waits for one stage, sentinels included; return the items."""
        items = self.runners[index].clear_link()
        self.pump()
        return items
