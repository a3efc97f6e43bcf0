"""The pipeline as its user sees it.

The rule: this file turns arguments into steps of the current run. It finds what is wrong
with an argument, before anything is accepted, and moves no item itself. The pipeline
owns its parts and inherits nothing but the way to be entered; what it keeps are four
private attributes (the run, the supervisor of ``start``, the records that outlive a
run, the clock), whose names Python mangles, so that no subclass meets them by accident.

Each way to run it is ``Run.serve`` in a task of somebody's. None has a task group of its
own around user code but the two context managers, which raise a lone failure bare,
because a pipeline has one reason to fail and nobody wants a group of one.
"""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, Generic, Literal, Self, TypeAlias, Unpack, get_args

from anyio import (
    TASK_STATUS_IGNORED,
    AsyncContextManagerMixin,
    CancelScope,
    Event,
    create_task_group,
    get_cancelled_exc_class,
    move_on_after,
)
from anyio.abc import TaskStatus
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled

from ._arguments import finite, flag, seconds, whole_number
from ._counts import StageCounts
from ._engine._input import Overflow
from ._engine._interrupt import Interrupt
from ._engine._item import SENTINEL, Item
from ._engine._link import Link
from ._engine._output import OutputStream
from ._engine._run import Run
from ._engine._source import checked_source, feed
from ._engine._supervisor import Supervisor
from ._engine._turn import Turn
from ._exceptions import PipelineStateError, PipelineStoppedError, leaves_of, raisable, shown, stopped, without
from ._native import cancelled_from_outside
from ._records import Records
from ._stage import BatchSize, PipelineStage, StageFunction, StageOptions
from ._statistics import InterruptReceipt, PipelineStatistics, StageFlow
from ._timing._clock import Clock
from ._timing._history import TimingHistory
from ._timing._item import PipelineItem
from ._timing._report import PipelineAnalysis
from ._type_variables import ResultT, T, U
from ._workers._kinds import check_kind, workers_of


class _Nothing(enum.Enum):
    """Any object may be a sentinel, ``None`` included; so "none given" is one of ours."""

    NOTHING = enum.auto()


Nothing: TypeAlias = Literal[_Nothing.NOTHING]
NOTHING: Final = _Nothing.NOTHING


class AsyncTaskPipeline(AsyncContextManagerMixin, Generic[T, U, ResultT]):
    """An ordered chain of stages with an async input and an async output.

    ``T`` is the type of the data, ``U`` that of what passes through untouched
    (sentinels, and exceptions if they are returned), ``ResultT`` that of the data that
    comes out: ``T``, unless given, as by :py:class:`Chain`. Runs on asyncio, asyncio with
    uvloop, and trio. Enter it with ``async with pipeline:``, with
    ``await tg.start(pipeline.run)``, with ``pipeline.process(source)``, or with
    ``start()`` and ``stop()``.

    All methods belong on the event loop's thread, except ``put_input_data``,
    ``put_input_sentinel`` and ``statistics``, which may be called in any, and those that are
    named for other threads.

    Args:
        max_queue_size: The bound of each link, at least 1. The ``stages + 1`` links take at most so
            many entries each; a stage has accepted at most ``max_queue_size + workers - 1`` more,
            a batch stage ``max_queue_size - 1 + workers * max_size``, and the generators of a worker
            have yielded at most ``max_queue_size`` values that its stage has not passed on.
        enable_timing: Whether to time every item in every stage, for ``get_report``.
        return_exceptions: Whether an exception raised by a stage takes the item's place
            in the output, instead of ending the pipeline.
        timing_history: How many of the last delivered items the report keeps whole.
        overflow: What a full input means to who puts an item: ``"wait"``; ``"drop_oldest"``, which
            drops the item that has waited longest in the first link; or ``"drop_newest"``, which
            drops the one put. For live sources, whose next item comes anyway. What is dropped is
            counted; sentinels never are, and wait if there is no other way.
        clock: A monotonic clock in seconds.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a number is out of range.
    """

    def __init__(
        self,
        max_queue_size: int = 100,
        enable_timing: bool = False,
        return_exceptions: bool = False,
        *,
        timing_history: int = 1000,
        overflow: Overflow = "wait",
        clock: Clock = time.perf_counter,
    ) -> None:
        self.max_queue_size: int = whole_number("max_queue_size", max_queue_size, at_least=1)
        self.enable_timing: bool = flag("enable_timing", enable_timing)
        self.return_exceptions: bool = flag("return_exceptions", return_exceptions)
        if not callable(clock):
            raise TypeError(f"clock must be callable, not {shown(clock)}")
        if overflow not in get_args(Overflow):
            raise ValueError(f"overflow must be one of {get_args(Overflow)}, not {shown(overflow)}")
        self.overflow: Overflow = overflow
        self.stages: list[PipelineStage] = []
        self.__clock = clock
        self.__records = Records(TimingHistory(whole_number("timing_history", timing_history, at_least=0)))
        self.__run: Run | None = None
        self.__supervisor: Supervisor | None = None

    def __repr__(self) -> str:
        """Show the state, and per stage how many wait for a worker and how many items are in calls."""
        now = self.statistics()
        chain = " > ".join(f"{name} {flow.queue_depth}+{flow.in_call}" for name, flow in now.stages.items())
        state = "running" if self.running else "stopped"
        return (
            f"<AsyncTaskPipeline {state} [{chain or 'no stages'}] "
            f"accepted={now.accepted} delivered={now.delivered} inside={now.inside}>"
        )

    # -- stages --------------------------------------------------------------------------

    def add_stage(self, name: str, process_fn: StageFunction, **options: Unpack[StageOptions]) -> Self:
        """Append a stage; returns the pipeline, so that calls chain.

        Args:
            name: A name no other stage of this pipeline has.
            process_fn: Takes one item's data and returns a result, ``None`` (the item is
                filtered) or a generator (each yielded value becomes an item). A ``def``
                runs in a worker thread, an ``async def`` or async generator function on
                the event loop. Each call sees the context variables as they were where the
                pipeline was started, and what it sets the next does not see. What a plain
                function returns must not be awaitable.
            **options: How it runs, as follows.

        Keyword Args:
            on_error: What an exception means: ``"raise"`` ends the pipeline with it, ``"return"``
                puts it in the output in place of the item, ``"drop"`` logs and counts it.
                By default as ``return_exceptions`` has it.
            interruptible: Whether ``interrupt`` drops what this stage has accepted. With
                ``False`` that is finished and handed on, like items of the next turn.
            on_interrupt: Called by each of the stage's workers after an interrupt, once its
                interrupted call has ended and before the next item. May be async if
                ``process_fn`` is. Only for threads and the loop.
            reentrant: Whether the next turn may start beside an interrupted call that
                has not ended, in a worker of its own. Each such call keeps a thread.
            workers: How many calls run at once.
            ordered: Whether items leave in the order in which they came. If not, an item may
                overtake others in this stage; no item overtakes a sentinel, nor is overtaken
                by one.
            executor: Where a plain function runs: ``"thread"`` (the default), ``"process"``,
                ``"interpreter"`` (Python 3.13 and later), or an executor of your own, which
                stays yours to shut down. A function for another process or interpreter has
                to be importable there.
            setup: Called once in each worker before its first call. What it returns is passed
                to ``process_fn`` as its first argument; a context manager is entered, and left
                in the worker after its last call. May be async if ``process_fn`` is. If it
                fails, so does the start of the pipeline.
            timeout: Seconds that a call may take; for a generator, each step. A call that takes
                longer has failed with :py:exc:`TimeoutError`. It is cancelled, or its process
                ended; in a thread, which can not be ended, the worker stays busy until the
                call returns.
            max_failures: With ``on_error="return"`` or ``"drop"``, how many failures the pipeline
                survives in one run; a float is a share of the last ``failure_window`` outcomes.
            failure_window: See ``max_failures``.

        Raises:
            PipelineStateError: If the pipeline is running.
            TypeError: If an argument has the wrong type, or ``process_fn`` or ``setup`` cannot be
                sent where it is to run.
            ValueError: If an argument has an impossible value, or two cannot be had together.
        """
        return self.__append("add_stage", name, process_fn, None, options)

    def add_batch_stage(
        self,
        name: str,
        process_fn: StageFunction,
        *,
        max_size: int,
        max_wait: float,
        per_item: bool = True,
        **options: Unpack[StageOptions],
    ) -> Self:
        """Append a stage whose function takes many items in one call.

        A batch goes when it has ``max_size`` items, when its oldest has waited ``max_wait``
        seconds, or when a sentinel or the end of input comes after it. A call that fails has
        failed for each of its items.

        Args:
            name: As for ``add_stage``.
            process_fn: Takes a list of items' data and returns a result for each, in the same
                order, as a list, a tuple, an array or any other sequence that has a length; a
                ``None`` in it filters that item.
            max_size: The most items in a batch, at least 1.
            max_wait: The most seconds that an item waits for others; 0 takes what is there.
            per_item: Whether there is a result for each item. With ``False`` the function
                returns any number of results; fewer than items are counted as filtered, more
                as fanned out.
            **options: Those of ``add_stage``.

        Raises:
            PipelineStateError: As ``add_stage``.
            TypeError: As ``add_stage``.
            ValueError: As ``add_stage``.
        """
        batch = BatchSize(
            whole_number(f"max_size of stage {name!r}", max_size, at_least=1),
            seconds(f"max_wait of stage {name!r}", max_wait),
            flag(f"per_item of stage {name!r}", per_item),
        )
        return self.__append("add_batch_stage", name, process_fn, batch, options)

    def __append(
        self, call: str, name: str, process_fn: StageFunction, batch: BatchSize | None, options: StageOptions
    ) -> Self:
        for option in options:
            if option not in StageOptions.__optional_keys__:
                raise TypeError(f"AsyncTaskPipeline.{call}() got an unexpected keyword argument {option!r}")
        if self.__run is not None and not self.__run.done.is_set():
            raise PipelineStateError(f"cannot add stage {name!r} while the pipeline is running")
        if options.get("on_error") is None:
            options["on_error"] = "return" if self.return_exceptions else "raise"
        stage = PipelineStage(
            name,
            process_fn,
            batch=batch,
            enable_timing=self.enable_timing,
            clear_link=self.__clear_link_of,
            **options,
        )
        check_kind(stage)
        if any(each.name == name for each in self.stages):
            raise ValueError(f"name {name!r} is already that of another stage")
        self.stages.append(stage)
        return self

    def __clear_link_of(self, stage: PipelineStage) -> None:
        if self.running:
            self.__on_the_loop("clear_input_queue").clear_link(self.stages.index(stage))

    # -- its life ------------------------------------------------------------------------

    async def run(self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """Run the pipeline in the current task; for ``await tg.start(pipeline.run)``.

        Returns when the pipeline is stopped, or when the input was closed and everything
        has been delivered. Cancelling it stops the pipeline.

        Raises:
            PipelineStateError: If the pipeline is running or has no stages.
            BaseException: What ended the pipeline, if a stage raised it.
        """
        await self.__begin().serve(task_status=task_status)

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        async with self.__open():
            yield self

    @asynccontextmanager
    async def process(self, source: AsyncIterable[T] | Iterable[T]) -> AsyncGenerator[OutputStream[ResultT | U]]:
        """Do a whole job: feed a source, close the input, drain, stop.

        Use it as ``async with pipeline.process(source) as results:`` and iterate over
        ``results``. Leaving the block early stops the pipeline and drops what is inside.

        Args:
            source: An iterable or async iterable. What is not a container of Python's own
                is iterated in a thread of its own, so a file or a generator that blocks is
                fine.

        Raises:
            TypeError: If ``source`` cannot be iterated.
            PipelineStateError: If the pipeline is running or has no stages.
            BaseException: What a stage or the source raised, the object itself. An error of
                the source comes after the results of everything read before it.
        """
        async with self.__open(checked_source("source", source)):
            yield self.generate_output_stream()

    async def start(self) -> None:
        """Start the pipeline in a task of its own, as in 0.1.10; returns when its workers are ready.

        The task belongs to no scope: call ``stop`` in the end, or prefer
        ``async with pipeline:``. May be called from any task and under a timeout.

        Raises:
            PipelineStateError: If the pipeline is running or has no stages.
            BaseException: What a stage's ``setup`` raised.
        """
        run = self.__begin()

        self.__supervisor = supervisor = Supervisor(run.serve, run.never_began)
        supervisor.spawn()
        try:
            await supervisor.ready.wait()
        except BaseException:
            run.stop()
            raise
        if not run.started:
            await self.stop()

    async def stop(self) -> None:
        """Stop the pipeline, dropping and counting what is inside.

        Returns when nothing of it is left; so it waits for a stage function that cannot be
        cancelled, without blocking the loop. Under a timeout it goes on in the background
        and can be awaited again. Does nothing if the pipeline is not running.

        Raises:
            BaseException: What ended the pipeline, once, if it was begun with ``start`` and
                a stage raised it.
        """
        run, supervisor = self.__run, self.__supervisor
        if run is None:
            await checkpoint()
            return
        run.stop()
        for done in [run.done] if supervisor is None else [run.done, supervisor.done]:
            # One that is set may be another event loop's.
            await (checkpoint() if done.is_set() else done.wait())
        if supervisor is not None:
            exception, supervisor.exception = supervisor.exception, None
            if exception is not None:
                raise exception

    def __begin(self) -> Run:
        if not self.stages:
            raise PipelineStateError("cannot start a pipeline without stages: call add_stage first")
        if self.__run is not None and not self.__run.done.is_set():
            raise PipelineStateError(f"cannot start {self!r}: it is still running")
        if self.__run is not None:
            self.__records.take_over(self.__run.output)
        self.__supervisor = None
        for stage in self.stages:
            stage.counts.forget_workers()
        if self.enable_timing:
            self.__records.timing.begin([stage.name for stage in self.stages])
        self.__run = Run(
            self.stages,
            self.max_queue_size,
            clock=self.__clock if self.enable_timing else None,
            history=self.__records.timing if self.enable_timing else None,
            numbers=self.__records.turn_numbers,
            overflow=self.overflow,
            workers_of=workers_of,
        )
        return self.__run

    @asynccontextmanager
    async def __open(self, source: Any = None) -> AsyncGenerator[None]:
        """Run in a task group around the block, and raise a lone failure bare."""
        run = self.__begin()
        errors: list[BaseException] = []
        try:
            async with create_task_group() as tg:
                await tg.start(_serve_quietly, run, tg.cancel_scope)
                if run.started:
                    if source is not None:
                        tg.start_soon(_feed_job, run, source)
                    try:
                        yield
                    finally:
                        run.stop()
        except BaseExceptionGroup as group:
            errors = [*group.exceptions]
        except get_cancelled_exc_class():
            if run.failure is None:
                raise
        finally:
            run.stop()
        errors = _told_once(errors, run.failure)
        if len(errors) > 1:
            raise BaseExceptionGroup("the pipeline and the block around it failed", errors)
        for error in errors:
            raise error

    # -- input ---------------------------------------------------------------------------

    async def process_input_stream(
        self, input_stream: AsyncIterable[T] | Iterable[T], *, close_input: bool = True
    ) -> None:
        """Feed every item of a stream, with back-pressure.

        Args:
            input_stream: An async iterable, or an iterable (see ``process``).
            close_input: Whether this stream is (part of) the whole input: when the last
                stream running with it is exhausted, the input closes and the output ends
                after the last result. Pass ``False`` to feed more afterwards.

        Raises:
            TypeError: If ``input_stream`` cannot be iterated.
            PipelineStateError: If the pipeline is not running, or stops meanwhile.
            Exception: What the stream raised. With ``close_input`` the output raises it too,
                after the results of everything fed before. A generator is closed.
        """
        checked_source("input_stream", input_stream)
        # Before the state is looked at: what cancelled the caller may have stopped the
        # pipeline, and of the two the cancellation is what the caller has to hear. It
        # lets nobody else run, or a later call could be accepted before this one.
        await checkpoint_if_cancelled()
        run = self.__on_the_loop("process_input_stream")
        await _feed(run, input_stream, close_input=close_input)

    async def process_input_data(self, data: T, created_at: float | None = None) -> None:
        """Put one item, waiting for room.

        Checks for cancellation first, and lets other tasks run only if it has to wait. If
        it raises, the item was not accepted; if it returns, it was (an interrupt may have
        dropped it since, and counted it). The caller's context variables do not travel with
        the item.

        Args:
            data: The item; any object, ``None`` included.
            created_at: When it was created, in seconds of the pipeline's clock; ``None``
                means when it is accepted.

        Raises:
            TypeError: If ``created_at`` is not a number.
            ValueError: If ``created_at`` is not finite or lies in the future.
            PipelineStateError: If the pipeline is not running, its input is closed, this is
                another thread, or (:py:exc:`PipelineStoppedError`) it stopped while this waited.
        """
        await checkpoint_if_cancelled()
        run = self.__on_the_loop("process_input_data")
        await run.input.put(run.input.item(data, self.__created(created_at)))

    async def process_input_sentinel(self, sentinel: U) -> None:
        """Put a sentinel, waiting for room; it passes every stage in order with the items.

        Raises:
            PipelineStateError: As ``process_input_data``.
        """
        await checkpoint_if_cancelled()
        await self.__on_the_loop("process_input_sentinel").input.put(Item(sentinel, SENTINEL))

    def put_input_data(self, data: T, created_at: float | None = None) -> None:
        """Put one item from code that is not async.

        In another thread it is accepted there and then if there is room, and blocks until there is,
        or the pipeline stops. In the loop's own thread it never blocks.

        Raises:
            anyio.WouldBlock: In the loop's thread, if there is no room.
            TypeError: As ``process_input_data``.
            ValueError: As ``process_input_data``.
            PipelineStateError: As ``process_input_data``.
        """
        run = self.__begun()
        _put_sync(run, run.input.item(data, self.__created(created_at)))

    def put_input_sentinel(self, sentinel: U) -> None:
        """Put a sentinel from code that is not async; see ``put_input_data``."""
        _put_sync(self.__begun(), Item(sentinel, SENTINEL))

    def turn(self) -> Turn[T, U]:
        """A new turn, as ``async with pipeline.turn() as turn: await turn.put(x)``.

        An interrupt (of the first stage) cancels the block quietly, as
        :py:func:`anyio.move_on_after` would, and refuses whatever is put for the turn from
        then on, wherever it comes from. What is put without a turn meanwhile belongs
        to the turn begun last.

        Raises:
            PipelineStateError: If the pipeline is not running, or, when the turn is entered,
                its input is closed.
        """
        return Turn(self.__on_the_loop("turn").input, self.__created)

    def close_input(self) -> None:
        """Let nothing more in; the output ends after the last result.

        Producers that wait for room get a :py:exc:`PipelineStateError`. Does nothing if
        the input is closed already.

        Raises:
            PipelineStateError: If the pipeline is not running, or this is another thread.
        """
        self.__on_the_loop("close_input").input.end()

    def __created(self, created_at: float | None) -> float | None:
        if created_at is None:
            return None
        if isinstance(created_at, bool) or not isinstance(created_at, (int, float)):
            raise TypeError(f"created_at must be a number of seconds or None, not {shown(created_at)}")
        now = self.__clock()
        if not finite(created_at) or created_at > now:
            raise ValueError(
                f"created_at={shown(created_at)} must be a past instant of the pipeline's clock, which says {now!r}; "
                "time.time() is another clock than time.perf_counter()"
            )
        return float(created_at)

    # -- output --------------------------------------------------------------------------

    def generate_output_stream(self) -> OutputStream[ResultT | U]:
        """The results in order, as an async iterator; see :py:class:`OutputStream`.

        Belongs to the current run (or the last one, of which it can still tell how it
        ended).

        Raises:
            PipelineStateError: If the pipeline was never started.
        """
        if self.__run is None:
            raise PipelineStateError("the pipeline has no output yet: start it first")
        return OutputStream(self.__run.output)

    # -- interrupts ----------------------------------------------------------------------

    async def interrupt(
        self, *, from_stage: str | None = None, sentinel: U | Nothing = NOTHING, grace: float = 0.0
    ) -> InterruptReceipt:
        """Drop every item inside and keep running; sentinels survive, in order.

        From the moment it is entered, nothing older is ever emitted, whatever is still
        running; the next item accepted is the next processed. Without ``grace`` it does
        not wait for stage functions and is no checkpoint, so a stage may call it.
        Producers blocked in a put return: their items were of this turn and are dropped
        with it. The receipt has those of threads; that of a task is counted when its put
        returns. Without effect when the pipeline is not running.

        Args:
            from_stage: The first stage to interrupt, by name. What is before it goes on
                untouched, and is not stale; turns are not over. By default, all stages.
            sentinel: What enters the output in the same step, behind the sentinels that
                survive and before anything newer, so that a sink can empty its device's
                buffer. Those that have to wait behind the items of a protected stage
                (``interruptible=False``) come later.
            grace: Seconds to wait, at most, for interrupted calls to end. Cancelling the
                wait does not undo the interrupt.

        Returns:
            What was dropped, per stage, and which stages are still in an interrupted call.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If there is no such stage, or ``grace`` is negative or not finite.
            PipelineStateError: If called in another thread; see ``interrupt_from_thread``.
        """
        first = _index_of(self.stages, from_stage)
        patience = seconds("grace", grace)
        if not self.running:
            return InterruptReceipt()
        run = self.__on_the_loop("interrupt")
        interrupt = self.__new_interrupt(waits=patience > 0)
        run.interrupt(interrupt, first, markers=_markers(sentinel))
        if patience and interrupt.pending:
            idle = Event()
            interrupt.when_idle(idle.set)
            try:
                with move_on_after(patience):
                    await idle.wait()
            finally:
                run.forget(interrupt)
        return interrupt.receipt()

    def interrupt_from_thread(
        self, *, from_stage: str | None = None, sentinel: U | Nothing = NOTHING, grace: float = 0.0
    ) -> InterruptReceipt:
        """Interrupt from any other thread, a stage's own included; blocks until it is done.

        See ``interrupt`` for the arguments, the receipt and what is raised.

        Raises:
            PipelineStateError: If called in the event loop's thread.
        """
        first = _index_of(self.stages, from_stage)
        patience = seconds("grace", grace)
        run = self.__run
        if run is None or not self.running:
            return InterruptReceipt()
        if threading.get_ident() == run.waker.thread:
            raise PipelineStateError("interrupt_from_thread() belongs in another thread: await interrupt() on the loop")
        idle = threading.Event()
        new = partial(self.__new_interrupt, waits=patience > 0)
        interrupt = run.interrupt_from_thread(first, _markers(sentinel), new, idle.set)
        if interrupt is None:
            return InterruptReceipt()
        if patience:
            idle.wait(min(patience, threading.TIMEOUT_MAX))
            run.waker.post(lambda: run.forget(interrupt))
        return interrupt.receipt()

    def clear(self) -> InterruptReceipt:
        """Drop everything inside, sentinels included, and reset counters and report.

        May be called at any time; the end of a closed input is kept. Never blocks.

        Returns:
            What was dropped.

        Raises:
            PipelineStateError: If called in another thread while the pipeline is running.
        """
        interrupt = self.__new_interrupt()
        if self.running:
            self.__on_the_loop("clear").clear(interrupt, self.__reset)
        else:
            self.__reset()
        return interrupt.receipt()

    def __reset(self) -> None:
        for stage in self.stages:
            stage.counts = StageCounts()
        if self.__run is not None:
            self.__records.take_over(self.__run.output)
        self.__records.clear()

    def clear_input_queue(self) -> None:
        """Drop what waits for the first stage, sentinels included; counted as dropped.

        Raises:
            PipelineStateError: If called in another thread while the pipeline is running.
        """
        if self.running:
            self.__on_the_loop("clear_input_queue").clear_link(0)

    def clear_output_queue(self) -> None:
        """Drop what waits for the consumer, sentinels included; counted as dropped.

        Raises:
            PipelineStateError: If called in another thread while the pipeline is running.
        """
        if self.running:
            self.__on_the_loop("clear_output_queue").clear_output()

    def __new_interrupt(self, *, waits: bool = False) -> Interrupt:
        return Interrupt(
            self.__clock, self.__records.timing.turns.idle(), last_delivered=self.__delivered_now, waits=waits
        )

    # -- what can be read of it at any moment --------------------------------------------

    @property
    def running(self) -> bool:
        """Whether the pipeline takes part in the world: started and not ended."""
        return self.__run is not None and not self.__run.closed

    @property
    def queues(self) -> list[Link]:
        """The links of the current or last run, the input first and the output last."""
        return list(self.__run.links) if self.__run is not None else []

    @property
    def input_queue(self) -> Link | None:
        """The first link, or ``None`` before the first start."""
        return self.__run.links[0] if self.__run is not None else None

    @property
    def output_queue(self) -> Link | None:
        """The last link, or ``None`` before the first start."""
        return self.__run.links[-1] if self.__run is not None else None

    @property
    def counter(self) -> int:
        """Items accepted since the last ``clear``."""
        return self.stages[0].counts.accepted if self.stages else 0

    @property
    def completed_items(self) -> list[PipelineItem[Any]]:
        """The last ``timing_history`` items delivered, oldest first; empty without timing."""
        return self.__records.timing.items

    def statistics(self) -> PipelineStatistics:
        """The counters now, as a frozen snapshot."""
        if self.__run is None:
            return self.__snapshot()
        with self.__run.input.lock:  # a thread may be in the middle of a put
            return self.__snapshot()

    def __snapshot(self) -> PipelineStatistics:
        flows = {stage.name: StageFlow(0, 0, 0, 0, 0, 0, 0, 0, 0, 0) for stage in self.stages}
        run = self.__run
        if run is not None:
            flows |= {runner.stage.name: runner.flow() for runner in run.runners}
        leaving = run.output if run is not None else None
        finished = leaving.link.items if leaving is not None else 0
        parts = flows.values()
        return PipelineStatistics(
            accepted=self.counter,
            delivered=self.__delivered_now,
            fanned_out=sum(each.fanned_out for each in parts),
            filtered=sum(each.filtered for each in parts),
            failed=sum(each.failed for each in parts),
            dropped=sum(each.dropped for each in parts)
            + self.__records.dropped_at_output
            + (leaving.dropped if leaving is not None else 0),
            inside=sum(each.inside for each in parts) + finished,
            output_depth=leaving.link.level if leaving is not None else 0,
            stages=flows,
            overflowed=self.stages[0].counts.overflowed if self.stages else 0,
        )

    def get_report(self, include_item_details: bool = True) -> PipelineAnalysis | None:
        """The report of everything delivered since the last ``clear``.

        Takes time and memory independent of the number of items.

        Args:
            include_item_details: Whether to include the last ``timing_history`` items.

        Returns:
            The report, or ``None`` when timing is off or no call has had an outcome yet.
        """
        if not self.enable_timing:
            return None
        return self.__records.timing.report(self.stages, details=include_item_details, running=self.running)

    def __begun(self) -> Run:
        run = self.__run
        if run is None:
            raise PipelineStateError("the pipeline is not running: start it first")
        if run.closed and run.failure is None:
            # The same as for a put that was waiting: a producer that is between two puts
            # when the pipeline stops should not need to know.
            raise stopped(None)
        return run

    def __on_the_loop(self, call: str) -> Run:
        run = self.__begun()
        if threading.get_ident() != run.waker.thread:
            raise PipelineStateError(
                f"{call}() belongs on the event loop's thread; use anyio.from_thread to call it from another"
            )
        return run

    @property
    def __delivered_now(self) -> int:
        return self.__records.delivered + (self.__run.output.delivered if self.__run is not None else 0)


async def _feed(run: Run, source: Any, *, close_input: bool) -> None:
    run.input.check_open()
    run.streams += close_input
    try:
        await feed(run.input, source)
    except BaseException as exc:
        run.streams -= close_input
        error = exc
        if isinstance(exc, get_cancelled_exc_class()) and not cancelled_from_outside():
            error = raisable(exc, get_cancelled_exc_class())
        if close_input and isinstance(error, Exception):
            run.input.end(error)
        if error is exc:
            raise
        raise error from exc
    run.streams -= close_input
    if close_input and not run.streams:
        run.input.end()


async def _feed_job(run: Run, source: Any) -> None:
    try:
        await _feed(run, source, close_input=True)
    except get_cancelled_exc_class():
        raise
    except Exception as exc:
        if isinstance(exc, PipelineStateError) and run.input.is_closed and exc is not run.input.error:
            return  # closed or stopped by the block: no fault of the source
        # It is in the output, behind the results of what was read before. If the
        # block is left without meeting it there, it must not vanish; so whatever
        # cancels this task, an error of the block too, has to wait for the verdict.
        with CancelScope(shield=True):
            await run.done.wait()
        if not run.output.ended_with(exc):
            raise
    except BaseException as exc:
        run.fail(exc)


async def _serve_quietly(run: Run, scope: CancelScope, *, task_status: TaskStatus[None]) -> None:
    """Serve a run in a child task; its failure ends the scope and stays in ``run.failure``.

    Raised in the child, a ``SystemExit`` would stop asyncio's loop in mid-step, and raised
    again by whoever waits for the child it would close the loop before anyio's idle
    threads have heard of it: they would keep the process from ending.
    """
    try:
        await run.serve(task_status=task_status)
    except BaseException as exc:
        if exc is not run.failure:
            raise
        scope.cancel()
        if not run.started:
            task_status.started()  # whoever waits for that finds that it has not


def _told_once(errors: list[BaseException], failure: BaseException | None) -> list[BaseException]:
    """What a run's failure and the errors of the block around it have to say, each thing once.

    The block may have met the failure in the output, and a task group of the block, or trio, have put
    it in a group, or rebuilt one that it is. A put that was refused for it says nothing new, nor does
    a cancellation beside an error: trio has it in the same group.
    """
    if failure is not None:
        told = {id(each) for each in leaves_of(failure)}
        errors = without(errors, lambda each: id(each) in told or _told_by(each, failure))
        errors.append(failure)
    return without(errors, lambda each: isinstance(each, get_cancelled_exc_class())) or errors


def _told_by(error: BaseException, failure: BaseException) -> bool:
    """Whether an error only tells that the pipeline has stopped because of its failure."""
    return isinstance(error, PipelineStoppedError) and error.__cause__ is failure


def _put_sync(run: Run, item: Item) -> None:
    if threading.get_ident() == run.waker.thread:
        run.input.put_nowait(item)
    else:
        run.input.put_from_thread(item)


def _index_of(stages: Sequence[PipelineStage], name: str | None) -> int:
    if name is None:
        return 0
    names = [stage.name for stage in stages]
    if name not in names:
        raise ValueError(f"from_stage must be one of {names}, not {name!r}")
    return names.index(name)


def _markers(sentinel: Any) -> tuple[Item, ...]:
    return () if sentinel is NOTHING else (Item(sentinel, SENTINEL),)
