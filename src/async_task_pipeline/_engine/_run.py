"""One life of a pipeline: from start to end, with everything it owns.

The rule: ``serve`` has the only task group, and everything that runs for the pipeline runs in it.
Whatever ends the run (stop, failure, the end of input, a cancellation from outside) goes through
``_close`` before the group waits for its tasks: a worker thread that is parked has to be told to
leave, or the group would wait for it for ever.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, pairwise

from anyio import TASK_STATUS_IGNORED, CancelScope, Event, create_task_group, get_cancelled_exc_class
from anyio.abc import TaskGroup, TaskStatus

from .._exceptions import stopped
from .._log import logger
from .._native import current_native_task
from .._stage import PipelineStage
from .._timing._clock import Clock
from .._timing._history import TimingHistory
from ._counting import Counting, Note, TakenOut, Tally
from ._input import Input, Overflow
from ._interrupt import AnswerT, Interrupt, Requests
from ._item import SENTINEL, Item
from ._link import Link
from ._output import Output
from ._shift import Worker
from ._stage_runner import Downstream, Shared, StageRunner
from ._unread import UnreadOutput
from ._wakeup import Waker
from ._window import lasting


class Run:
    """The links, stages, input and output of a running pipeline.

    Attributes:
        failure: What ended it, if something has failed.
        closed: Whether nothing moves any more.
        started: Whether every worker was ready.
        feeding: A scope around each source that is being fed: one that waits for its own next item, a
            socket perhaps, puts nothing that could be refused when the run has ended.
        streams: How many streams are being fed that are, together, the whole input.
        done: Set when nothing of it is left.
    """

    def __init__(
        self,
        stages: Sequence[PipelineStage],
        links: Sequence[Link],
        maxsize: int,
        *,
        clock: Clock,
        timed: bool,
        history: TimingHistory | None,
        numbers: Iterator[int],
        overflow: Overflow,
        show_items: bool,
        warn_after: float | None,
        workers_of: Callable[[StageRunner], list[Worker]],
    ) -> None:
        self.waker = Waker(self.fail)
        self.turns = None if history is None else history.turns
        self.failure: BaseException | None = None
        self.closed = self.started = False
        self.streams = 0
        self.feeding: set[CancelScope] = set()
        self.done = Event()
        self._over = self._ready = self._keeps_output = False
        self._beside: list[Worker] = []
        self._woken = Event()
        self.counting = Counting(self.waker)
        self._requests = Requests(self.waker, self.counting)
        self._workers_of = workers_of
        self.shared = Shared(
            bound=maxsize,
            clock=clock if timed else None,
            waker=self.waker,
            counting=self.counting,
            fail=self.fail,
            beside=self._work_beside,
            turns=self.turns,
            context=contextvars.Context(),
            cancelled=get_cancelled_exc_class(),
            main_task=None,
            show_items=show_items,
            now=clock,
        )
        self.links = links
        for link in links:
            link.maxsize = maxsize
            link.open()
        self.output = Output(
            self.links[-1], self.waker, record=None if history is None else history.record, on_end=self.stop
        )
        self.runners = self._connected(stages)
        self.output.last = self.runners[-1]
        self._unread = None if warn_after is None else UnreadOutput(warn_after, self.output, self._has_waiting)
        on_wait = None if self._unread is None else self._unread.watch
        self.input = Input(self.runners[0], self.shared, numbers=numbers, overflow=overflow, on_wait=on_wait)
        self.runners[0].upstream = self.input

    def _connected(self, stages: Sequence[PipelineStage]) -> list[StageRunner]:
        """The stages as a chain: the one place that knows which follows which."""
        runners: list[StageRunner] = []
        downstream: Downstream = self.output
        for stage, (link, outbound) in reversed([*zip(stages, pairwise(self.links), strict=True)]):
            runner = StageRunner(stage, link, outbound, downstream, self.shared)
            runners.insert(0, runner)
            downstream = runner
        for before, runner in pairwise(runners):
            runner.upstream = before
        return runners

    # -- its life -----------------------------------------------------------------------

    async def serve(self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """Run until stopped, failed, drained or cancelled; raise the failure, if any.

        Has started when every worker is ready. If making a worker's state fails, it never has.
        """
        try:
            async with create_task_group() as tasks:
                try:
                    self._begin(tasks)
                    await self._until_over(tasks, task_status)
                finally:
                    interrupt = self._close()
                    await self.counted()
                    self._log_end(interrupt)
                tasks.cancel_scope.cancel()
        except get_cancelled_exc_class():
            if self.failure is None:  # which is what the owner has to hear, if there is one
                raise
        finally:
            self.counting.finish()  # what is left of it, if waiting for that was cancelled natively
            with self.output.lock:
                for link in self.links:
                    link.close()
            self.waker.loop_thread.forget(self)
            self.done.set()
        if self.failure is not None:
            raise self.failure

    def never_began(self) -> None:
        """Leave nothing behind, if the task that was to serve has ended before its first step."""
        if not self.done.is_set():
            self.closed = True
            for link in self.links:
                link.close()
            self.done.set()

    def _begin(self, tasks: TaskGroup) -> None:
        """Bring all workers to life."""
        self.shared.context = contextvars.copy_context()
        self.shared.main_task = current_native_task()
        self.waker.loop_thread.begin(self)
        for runner in self.runners:
            runner.workers = self._workers_of(runner)
            for service in runner.services:
                tasks.start_soon(runner.serve, service)
            for worker in runner.workers:
                tasks.start_soon(worker.live, name=f"stage {runner.stage.name}")
        if self._unread is not None:
            tasks.start_soon(self._unread.timer.serve)
        workers = [worker for runner in self.runners for worker in runner.workers]
        self._ready = all(worker.ready.is_set() for worker in workers)
        if not self._ready:
            tasks.start_soon(self._wait_ready, workers)

    async def _wait_ready(self, workers: list[Worker]) -> None:
        for worker in workers:
            await worker.ready.wait()
        self._ready = True
        self._woken.set()

    async def _until_over(self, tasks: TaskGroup, task_status: TaskStatus[None]) -> None:
        while not self._over:
            if self._ready and not self.started:
                self._start(task_status)
            await self._woken.wait()
            self._woken = Event()
            workers, self._beside = self._beside, []
            for worker in workers:
                tasks.start_soon(worker.work_shifts)
        if not self.started and self.failure is None:
            self._start(task_status)  # stopped before it had begun

    def _start(self, task_status: TaskStatus[None]) -> None:
        self.started = True
        for each in self.runners:
            logger.info("Started pipeline stage: %s", each.stage.name)
        logger.info("Pipeline started")
        task_status.started()

    def _has_waiting(self) -> bool:
        return self.input.has_waiting

    def _work_beside(self, worker: Worker) -> None:
        # Not at once: an interrupt from a thread is a callback, in which no task can be started.
        self._beside.append(worker)
        self._woken.set()

    def stop(self, *, keep_output: bool = False) -> None:
        """End the run soon; what is inside is dropped, but for the output if that is to be kept."""
        if not self._over:
            self._keeps_output = keep_output
        self._over = True
        self._woken.set()

    def fail(self, exc: BaseException) -> None:
        """End the run with a failure; the first one counts, later ones are logged."""
        if exc is self.failure:
            return
        if self.failure is not None or self.done.is_set():
            logger.warning("the pipeline had ended when this was raised", exc_info=exc)
            return
        self.failure = exc
        for runner in self.runners:
            runner.closing = True  # no shift begins any more, which would call functions for nothing
        if self.closed:
            return  # raised when the last worker has left
        self.input.close(partial(stopped, exc))
        self.output.end(exc)
        self.stop()

    def _end_clock(self) -> float:
        """The clock, with timing on; an injected one may raise, and the end of a run is no place for that."""
        try:
            return self.shared.clock() if self.shared.clock is not None else 0.0
        except Exception:
            return 0.0

    def _close(self) -> Interrupt:
        self.closed = True
        self.input.close(partial(stopped, self.failure))
        for scope in self.feeding:
            scope.cancel()
        self._requests.close()
        interrupt = Interrupt(self._end_clock)
        if self.turns is not None:
            interrupt.note = partial(self.turns.drop, known=interrupt.known)
        keeps_output = self._keeps_output and self.failure is None
        try:
            self._drop(interrupt, keep=False, output=not keeps_output)
        finally:  # or a thread that is parked would be waited for
            if not keeps_output:
                self.links[-1].take_out()  # not even the end of input is waited for any more
            self.output.end(self.failure)
            for runner in self.runners:
                runner.close()
        self.waker.pump_now(self.counting)
        return interrupt

    def _log_end(self, interrupt: Interrupt) -> None:
        receipt = interrupt.receipt()
        if receipt.total:
            # Whoever calls stop() may not have meant that; whoever leaves a block has read what it wanted.
            level = logging.WARNING if self._keeps_output else logging.INFO
            logger.log(level, "stopping the pipeline dropped %d items: %s", receipt.total, receipt.dropped)
        for each in reversed(self.runners):
            logger.info("Stopped pipeline stage: %s", each.stage.name)
        logger.info("Pipeline stopped")
        for name in receipt.busy:
            logger.info("stage %r is still in a call, which is waited for if it cannot be cancelled", name)

    def abandon(self) -> None:
        """Have the threads that wait for the loop wait no longer, as it never runs again. In any thread."""
        self._requests.close()
        self.input.abandon()
        for runner in self.runners:
            runner.abandon()

    # -- interrupts ---------------------------------------------------------------------

    def interrupt(self, interrupt: Interrupt, first: int = 0, *, markers: Sequence[Item] = ()) -> None:
        """Drop everything stale in one step, and let the next turn begin.

        Args:
            interrupt: Where to note what was dropped.
            first: The first stage to interrupt.
            markers: What enters the output behind the surviving sentinels.
        """
        if self.closed or self.failure is not None:
            return
        if self.output.ended or (self._over and not self._keeps_output):
            markers = ()  # nobody reads on, and what nobody reads is not said to be there
        if self.turns is not None:
            self.turns.interrupt()
            interrupt.note = partial(self.turns.drop, known=interrupt.known)
        self._drop(interrupt, first, markers=markers)
        interrupt.sentinel_placed = bool(markers)
        self._pump()

    def clear(self, interrupt: Interrupt, reset: Callable[[], None]) -> int:
        """Drop everything, sentinels included, and set the counters back in the same step."""
        with self.input.lock:
            if self.closed:
                interrupt.dropped[self.runners[-1].stage.name] = Tally(finished=self.discard_output())
            else:
                self._drop(interrupt, keep=False)
            reset()
        self._pump()
        return 0

    def discard_output(self) -> int:
        """Drop what a stop has kept for the consumer; return how many items."""
        out = self.output.flush()
        if self.turns is not None:  # at once: what comes next may be to clear the report
            self.turns.drop(each for each in chain.from_iterable(out.entries) if each.outcome < SENTINEL)
        self._free(out)
        return out.items

    async def counted(self) -> None:
        """Wait until all that was dropped is counted; no checkpoint if it is, as what is not much is at once."""
        while not self.counting.done:
            done = Event()
            self.counting.then(done.set)
            with CancelScope(shield=True):
                await done.wait()

    def ask(self, step: Callable[[], AnswerT]) -> AnswerT | None:
        """Run a step on the loop and block until it is done; ``None`` if the run has ended."""
        return self._requests.ask(step)

    def do(self, step: Callable[[], int]) -> None:
        """Run a step on the loop: at once in its own thread, and in any thread when the run has ended."""
        if self.closed or threading.get_ident() == self.waker.thread or self._requests.ask(step) is None:
            step()

    def forget(self, interrupt: Interrupt) -> None:
        """Wait no longer for the calls of an interrupt."""
        for runner in self.runners:
            runner.forget(interrupt)

    def _pump(self) -> None:
        if self.closed:
            return
        self.waker.pump_now(self.counting, self.input, *self.runners)

    def _drop(
        self,
        interrupt: Interrupt,
        first: int = 0,
        *,
        markers: Sequence[Item] = (),
        keep: bool = True,
        output: bool = True,
    ) -> None:
        """Drop the items of these stages; what survives goes as far as it can, in order.

        Nothing is left between a surviving sentinel and the output, so it waits for no stage that is
        still in a call. Only a protected stage keeps its items, and what comes from before it waits
        behind them. With ``keep`` false nothing survives but the end of input; with ``output`` false,
        what waits for the consumer too.
        """
        first_stage, last_stage = self.runners[0].stage, self.runners[-1].stage
        with self.input.lock:
            interrupt.dropped.update((each.stage.name, Tally()) for each in self.runners[first:])
            if first == 0:
                interrupt.dropped[first_stage.name].queued += self.input.flush()
            survivors: list[Item] = []
            if output and (not keep or last_stage.interruptible):
                out = self.output.flush()
                interrupt.dropped[last_stage.name].finished += out.items
                self.counting.free(out.entries, interrupt.note)
                survivors = lasting(out.others, sentinels=keep)
            ahead: StageRunner | Output = self.output
            for runner in reversed(self.runners[first:]):
                if not keep or runner.stage.interruptible:
                    survivors += lasting(runner.flush(interrupt), sentinels=keep)
                elif runner.occupied:
                    self._line_up(survivors, ahead, markers)
                    ahead, survivors = runner, []
            self._line_up(survivors, ahead, markers)
        self.counting.free(interrupt.known.values())

    def _line_up(self, others: list[Item], ahead: StageRunner | Output, markers: Sequence[Item]) -> None:
        if isinstance(ahead, Output):
            ahead.line_up([*others, *markers])
        elif others:
            ahead.link.send(others, others)

    def clear_output(self) -> int:
        """Drop what waits for the consumer, sentinels included; return how many items."""
        out = self.output.flush()
        self._free(out, self._note_cleared)
        if not self.closed:
            self.output.line_up(lasting(out.others, sentinels=False))
        self._pump()
        return out.items

    def clear_link(self, index: int) -> int:
        """Drop what waits for one stage, sentinels included; return how many items."""
        if self.closed:
            return 0
        with self.input.lock:
            if index == 0:
                self.input.push()
            out = self.runners[index].clear_link()
        self._free(out, self._note_cleared)
        self._pump()
        return out.items

    def _note_cleared(self, items: list[Item]) -> None:
        if self.turns is not None:
            self.turns.drop(items, cut_short=False)

    def _free(self, out: TakenOut, note: Note | None = None) -> None:
        self.counting.free(out.entries, note)
        self.counting.free(out.rest)
        if self.closed and not self.waker.post(partial(self.waker.pump_now, self.counting)):
            self.counting.finish()  # there is no loop any more
