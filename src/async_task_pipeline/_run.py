"""One life of a pipeline: from start to end, with everything it owns.

The rule: ``serve`` holds the only task group, and everything that runs for the
pipeline runs in it. Whatever ends the run (stop, failure, the end of input, a
cancellation from outside) goes through ``_close`` before the group waits for its
tasks: a worker thread that is parked has to be told to leave, or the group would wait
for it for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise

import attrs
from anyio import TASK_STATUS_IGNORED, Event, create_task_group, get_cancelled_exc_class
from anyio.abc import TaskGroup, TaskStatus

from ._aggregate import TimingHistory
from ._exceptions import stopped
from ._input._entrance import Entrance, Overflow
from ._interrupt_requests import InterruptRequests
from ._interruption import Interruption
from ._items import Control, Kind, Timed
from ._links import Link
from ._log import logger
from ._output import Exit
from ._posting import Waker
from ._runner import Downstream, StageRunner
from ._staffing import staffed
from ._stage import PipelineStage
from ._statistics import DroppedItems
from ._timing import Clock
from ._workers._seat import Seat
from ._workers._sessions import Tools, Worker, no_clock


class Run:
    """The links, runners, input and output of a running pipeline."""

    def __init__(
        self,
        stages: Sequence[PipelineStage],
        maxsize: int,
        *,
        clock: Clock | None,
        history: TimingHistory | None,
        numbers: Iterator[int],
        overflow: Overflow,
    ) -> None:
        self.clock = clock
        self.thread = threading.get_ident()
        self.waker = Waker(self.pump)
        self.links = [Link(maxsize) for _ in range(len(stages) + 1)]
        self.turns = None if history is None else history.turns
        self.exit = Exit(self.links[-1], pump=self.pump, record=None if history is None else history.record)
        self.runners: list[StageRunner] = []
        downstream: Downstream = self.exit
        tools = Tools(limit=maxsize, clock=clock, waker=self.waker, notify=self.pump)
        for stage, (link, output) in reversed([*zip(stages, pairwise(self.links), strict=True)]):
            runner = StageRunner(
                stage,
                link,
                output,
                downstream,
                staff=partial(staffed, stage, link, tools, dealt=overflow == "drop_oldest" and link is self.links[0]),
                clock=clock,
                fail=self.fail,
                wake=self.waker.wake,
                post=self.waker.post,
                spawn=self._host_beside,
                turns=self.turns,
            )
            self.runners.insert(0, runner)
            downstream = runner
        for before, runner in pairwise(self.runners):
            runner.meets_exceptions = before.meets_exceptions or before.stage.on_error == "return"
        self.entrance = Entrance(
            self.runners[0], clock, self.waker, numbers=numbers, turns=self.turns, overflow=overflow
        )
        self.failure: BaseException | None = None
        self.closed = False
        self.streams = 0
        self.done = Event()
        self._over = self._manned = self.started = False
        self._beside: list[Seat] = []
        self._woken = Event()
        self.exit.on_end = self.stop
        self._requests = InterruptRequests(self.waker)

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

    def _host_beside(self, seat: Seat) -> None:
        # Not at once: an interrupt from a thread is a callback, in which no task can be started.
        self._beside.append(seat)
        self._woken.set()

    # -- its life -----------------------------------------------------------------------

    async def serve(self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """Run until stopped, failed, drained or cancelled; raise the failure, if any.

        Has started when every worker is ready. If making a worker's state fails, it never has.
        """
        try:
            async with create_task_group() as tasks:
                try:
                    self._man(tasks)
                    await self._until_over(tasks, task_status)
                finally:
                    self._close()
                tasks.cancel_scope.cancel()
        except get_cancelled_exc_class():
            if self.failure is None:  # which is what the owner has to hear, if there is one
                raise
        finally:
            self.done.set()
        if self.failure is not None:
            raise self.failure

    def _man(self, tasks: TaskGroup) -> None:
        """Bring all workers to life."""
        workers: list[Worker] = []
        for runner in self.runners:
            for service in runner.services:
                tasks.start_soon(service)
            for seat in runner.staff.seats:
                tasks.start_soon(seat.live, name=f"stage {runner.stage.name}")
                workers.append(seat.worker)
        self._manned = all(worker.ready.is_set() for worker in workers)
        if not self._manned:
            tasks.start_soon(self._wait_ready, workers)

    async def _wait_ready(self, workers: list[Worker]) -> None:
        for worker in workers:
            await worker.ready.wait()
        self._manned = True
        self._woken.set()

    async def _until_over(self, tasks: TaskGroup, task_status: TaskStatus[None]) -> None:
        while not self._over:
            if self._manned and not self.started:
                self._start(task_status)
            await self._woken.wait()
            self._woken = Event()
            seats, self._beside = self._beside, []
            for seat in seats:
                tasks.start_soon(seat.host)
        if not self.started and self.failure is None:
            self._start(task_status)  # stopped before it had begun

    def _start(self, task_status: TaskStatus[None]) -> None:
        self.started = True
        logger.info("pipeline started with stages %s", [each.stage.name for each in self.runners])
        task_status.started()

    def stop(self) -> None:
        """End the run soon; what is inside is dropped."""
        self._over = True
        self._woken.set()

    def fail(self, exc: BaseException) -> None:
        """End the run with a failure; the first one counts, later ones are logged."""
        if self.failure is not None or self.done.is_set():
            logger.warning("the pipeline had ended when this was raised", exc_info=exc)
            return
        self.failure = exc
        if self.closed:
            return  # raised when the last worker has left
        self.entrance.close(partial(stopped, exc))
        self.exit.end(exc)
        self.stop()

    def _close(self) -> None:
        self.closed = True
        self.entrance.close(partial(stopped, self.failure))
        self._requests.close()
        interruption = Interruption(no_clock)
        try:
            self._drop(interruption, gently=False)
        finally:  # or a thread that is parked would be waited for
            self.links[-1].buffer.clear()  # not even the end of input is waited for any more
            self.exit.end(self.failure)
            for runner in self.runners:
                runner.close()
        receipt = interruption.receipt()
        if receipt.total:
            logger.info("pipeline stopped; dropped %d items: %s", receipt.total, receipt.dropped)
        else:
            logger.info("pipeline stopped; nothing was inside")
        for name in receipt.busy:
            logger.info("stage %r is still in a call, which is waited for if it cannot be cancelled", name)

    # -- interrupts ---------------------------------------------------------------------

    def interrupt(
        self, interruption: Interruption, first: int = 0, *, markers: Sequence[Control] = (), gently: bool = True
    ) -> None:
        """Drop everything stale in one step, and let the next turn begin.

        Args:
            interruption: Where to note what was dropped.
            first: The first stage to interrupt.
            markers: What enters the output behind the surviving sentinels.
            gently: Whether sentinels survive, and what protected stages have accepted.
        """
        if self.closed or (gently and self.failure is not None):
            return
        self._drop(interruption, first, markers=markers, gently=gently)
        if self.turns is not None:
            self.turns.interrupt()
        self.pump()

    def interrupt_from_thread(
        self,
        first: int,
        markers: Sequence[Control],
        new: Callable[[], Interruption],
        on_idle: Callable[[], object],
    ) -> Interruption | None:
        """Have the loop interrupt, and wait for that step; ``None`` if the run has ended."""
        return self._requests.ask(lambda it: self.interrupt(it, first, markers=markers), new, on_idle)

    def forget(self, interruption: Interruption) -> None:
        """Wait no longer for the calls of an interrupt."""
        for runner in self.runners:
            runner.stale_calls.forget(interruption)

    def _drop(
        self, interruption: Interruption, first: int = 0, *, markers: Sequence[Control] = (), gently: bool = True
    ) -> None:
        """Drop the items of these stages; what survives goes as far as it can, in order.

        Nothing is left between a surviving sentinel and the output, so it waits for no stage
        that is still in a call. Only a protected stage keeps its items, and what comes from
        before it lines up behind them.
        """
        at_output, survivors = 0, list[Control]()
        if not gently or self.runners[-1].stage.interruptible:
            finished, survivors = self.exit.flush(keep_sentinels=gently)
            at_output = len(finished)
            interruption.entries += finished
        ahead: StageRunner | Exit = self.exit
        dropped: dict[str, DroppedItems] = {}
        for index, runner in reversed([*enumerate(self.runners)][first:]):
            part = DroppedItems()
            if gently and not runner.stage.interruptible:
                if runner.occupied:
                    self._line_up(survivors, ahead, markers)
                    ahead, survivors = runner, []
            else:
                part, controls = runner.flush(interruption)
                survivors += [each for each in controls if gently or each.kind is Kind.END]
            if runner is self.runners[-1]:
                part = attrs.evolve(part, finished=part.finished + at_output)
            if index == 0:
                part = attrs.evolve(part, queued=part.queued + self.entrance.flush())
            dropped[runner.stage.name] = part
        self._line_up(survivors, ahead, markers)
        self._book(interruption.entries)
        interruption.entries = []
        interruption.dropped.update(reversed(dropped.items()))

    def _line_up(self, controls: list[Control], ahead: StageRunner | Exit, markers: Sequence[Control]) -> None:
        if isinstance(ahead, Exit):
            ahead.line_up([*controls, *markers])
        else:
            ahead.link.buffer.extend(controls)
            ahead.accept(0, controls)

    def clear_output(self) -> int:
        """Drop what waits for the consumer, sentinels included; return the items."""
        items, controls = self.exit.flush(keep_sentinels=False)
        self._book(items, cut_short=False)
        self._line_up(controls, self.exit, ())
        self.pump()
        return len(items)

    def clear_link(self, index: int) -> int:
        """Drop what waits for one stage, sentinels included; return the items."""
        items = self.runners[index].clear_link()
        self._book(items, cut_short=False)
        self.pump()
        return len(items)

    def _book(self, items: list[Timed], *, cut_short: bool = True) -> None:
        if self.turns is not None:
            self.turns.drop(items, cut_short=cut_short)
