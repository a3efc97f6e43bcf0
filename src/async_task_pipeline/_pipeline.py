"""The pipeline as its user sees it.

The rule: this file turns arguments into steps of the current run. It finds what is wrong
with an argument, before anything is accepted, and moves no item itself. The pipeline
owns its parts and inherits nothing; what it keeps are four private attributes (the run, the
supervisor of ``start``, the records that outlive a run, what ``clear`` does inside an
interrupt), whose names Python mangles, so that no subclass meets them by accident.

Each way to run it is ``Run.serve`` in a task of somebody's. None has a task group of its
own around user code but a block (:py:mod:`._block`), which raises a lone failure bare,
because a pipeline has one reason to fail and nobody wants a group of one.
"""

from __future__ import annotations

import contextlib
import enum
import math
import threading
import time
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Generic,
    Literal,
    NoReturn,
    Self,
    TypeAlias,
    Unpack,
    get_args,
    overload,
)

from anyio import (
    TASK_STATUS_IGNORED,
    CancelScope,
    Event,
    NoEventLoopError,
    get_cancelled_exc_class,
    move_on_after,
)
from anyio import run as run_loop
from anyio.abc import TaskStatus
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled, current_token

from ._arguments import MOST_KEPT, flag, one_of, seconds, whole_number
from ._block import Block
from ._counts import StageCounts
from ._engine._input import Overflow
from ._engine._interrupt import Interrupt
from ._engine._item import SENTINEL, Item
from ._engine._link import Link
from ._engine._loop_thread import LoopThread
from ._engine._output import OutputStream
from ._engine._run import Run
from ._engine._source import IsSentinel, Put, checked_sentinels, checked_source, feed
from ._engine._supervisor import Supervisor
from ._engine._turn import Turn
from ._exceptions import PipelineStateError, raisable, shown, stopped
from ._native import cancelled_from_outside
from ._picture import lines, svg
from ._records import Records
from ._stage import BatchSize, OnError, PipelineStage, StageFunction, StageOptions, check_meaning
from ._statistics import InterruptReceipt, PipelineStatistics, StageFlow
from ._timing._busy import Moment
from ._timing._clock import Clock
from ._timing._history import CompletedItems, TimingHistory
from ._timing._item import PipelineItem
from ._type_variables import ResultT, T, U
from ._workers._kinds import check_kind, workers_of

if TYPE_CHECKING:
    from ._timing._analysis import PipelineAnalysis
    from ._timing._report import LatencySummary


class _Nothing(enum.Enum):
    """Stands for "no sentinel given", since any object may be a sentinel, ``None`` included."""

    NOTHING = enum.auto()


Nothing: TypeAlias = Literal[_Nothing.NOTHING]
NOTHING: Final = _Nothing.NOTHING

Backend: TypeAlias = Literal["asyncio", "trio"]
"""The event loops that :py:func:`anyio.run` knows."""

_HOW_TO_READ: Final = (
    "for a whole job write 'async with pipeline.process(source) as results:' and in it 'async for result in results:'; "
    "of a pipeline that runs, 'async for result in pipeline.output():'"
)


class AsyncTaskPipeline(Generic[T, U, ResultT]):
    """An ordered chain of stages with an async input and an async output.

    ``T`` is the type of the data, ``U`` that of what passes through untouched
    (sentinels, and exceptions if they are returned), ``ResultT`` that of the data that
    comes out: ``T``, unless given, as by :py:class:`Chain`. Runs on asyncio, asyncio with
    uvloop, and trio. Enter it with ``async with pipeline:``, with
    ``await tg.start(pipeline.run)``, with ``pipeline.process(source)``, or with
    ``start()`` and ``stop()``.

    A subclass may override methods, and has all private names for itself. As in 0.1.10,
    streams are put by ``process_input_data``, which puts by ``put_input_data`` (one of your own
    is called in a thread, for it may block; cancelling waits for it), ``process_input_sentinel``
    by ``put_input_sentinel``, and ``interrupt`` calls ``clear``.

    Async methods belong on the event loop that runs the pipeline, and so do ``turn`` and
    ``close_input``. Everything else may be called in any thread.

    Args:
        max_queue_size: The bound of each link, at least 1. The ``stages + 1`` links take at most so
            many entries each; a stage has accepted at most ``max_queue_size + workers - 1`` more,
            a batch stage ``max_queue_size - 1 + workers * max_size``, and the generators of a worker
            have yielded at most ``max_queue_size`` values that its stage has not passed on.
        enable_timing: Whether to time every item in every stage, for ``get_report``. The attribute
            may be set; it counts from the next start on.
        return_exceptions: Whether an exception raised by a stage takes the item's place
            in the output, instead of ending the pipeline; the same as ``on_error="return"``.
        on_error: What an exception means in stages without an ``on_error`` of their own: see
            ``add_stage``. By default ``"raise"``.
        timing_history: How many of the last delivered items the report keeps whole.
        overflow: What a full input means to who puts an item: ``"wait"``; ``"drop_oldest"``, which
            drops the item that has waited longest in the first link; or ``"drop_newest"``, which
            drops the one put. For live sources, whose next item comes anyway. What is dropped is
            counted; sentinels never are, and wait if there is no other way.
        show_items: Whether an item is shown where its failure is told, in the note on the exception and in
            the log, by its ``repr`` cut short. ``False`` for data that no log may have.
        warn_after: Seconds after which a line in the log tells, once in a run, that nothing has read the
            output while it is full and a producer waits for room; ``None`` for never. Of
            :py:func:`time.monotonic`, not of ``clock``.
        clock: A monotonic clock in seconds.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a number is out of range, or two arguments contradict each other.
    """

    def __init__(
        self,
        max_queue_size: int = 100,
        enable_timing: bool = False,
        return_exceptions: bool = False,
        *,
        on_error: OnError | None = None,
        timing_history: int = 1000,
        overflow: Overflow = "wait",
        show_items: bool = True,
        warn_after: float | None = 10.0,
        clock: Clock = time.perf_counter,
    ) -> None:
        self.max_queue_size: int = whole_number("max_queue_size", max_queue_size, at_least=1)
        self.enable_timing: bool = flag("enable_timing", enable_timing)
        self.on_error: OnError = _meaning(on_error, returned=flag("return_exceptions", return_exceptions))
        if not callable(clock):
            raise TypeError(f"clock must be callable, not {shown(clock)}")
        one_of("overflow", overflow, get_args(Overflow))
        self.overflow: Overflow = overflow
        self.warn_after: float | None = None if warn_after is None else seconds("warn_after", warn_after, zero=False)
        self.show_items: bool = flag("show_items", show_items)
        self.stages: list[PipelineStage] = []
        kept = whole_number("timing_history", timing_history, at_least=0, at_most=MOST_KEPT)
        self.__records = Records(clock, TimingHistory(kept))
        # While an interrupt has a subclass's clear() called: what AsyncTaskPipeline.clear does then.
        self.__instead_of_clear: Callable[[], InterruptReceipt] | None = None
        self.__run: Run | None = None
        self.__supervisor: Supervisor | None = None

    def __class_getitem__(cls, types: Any) -> Any:
        """The class with these types, the third being the first unless given."""
        # Python would leave the default of the third as it stands, and a generic subclass that passes
        # on two variables of its own would have three.
        if cls is AsyncTaskPipeline:
            given = types if isinstance(types, tuple) else (types,)
            types = (*given, *(Any, given[0])[len(given) - 1 :]) if given else given
        generic: Any = super()
        return generic.__class_getitem__(types)

    def __repr__(self) -> str:
        """Show the state, and per stage how many wait for a worker and how many items are in calls."""
        now = self.__statistics()
        chain = " > ".join(f"{name} {flow.queue_depth}+{flow.in_call}" for name, flow in now.stages.items())
        state = "running" if self.running else "stopped"
        return (
            f"<AsyncTaskPipeline {state} [{chain or 'no stages'}] "
            f"accepted={now.accepted} delivered={now.delivered} inside={now.inside}>"
        )

    def __str__(self) -> str:
        """Show the state, and a line for each stage: where it runs, who waits for it, what it has passed on."""
        return "\n".join(lines(self.stages, self.__statistics(), running=self.running))

    def _repr_svg_(self) -> str:
        """Show the chain in a notebook: the stages, and how many items wait before each."""
        return svg(self.stages, self.__statistics())

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
                puts it in the output in place of the item, ``"drop"`` logs and counts it. Or a
                function that is called with a :py:class:`Failure` and answers with one of the three:
                a plain one in a thread, an async one on the loop, about one item after another.
                What it raises, or answers otherwise, ends the pipeline. It must not wait for room in this
                pipeline, which its answer may be what makes. By default as the pipeline has it.
            interruptible: Whether ``interrupt`` drops what this stage has accepted. With
                ``False`` that is finished and handed on, like items of the next turn.
            on_interrupt: Called by each of the stage's workers after an interrupt, once its
                interrupted call has ended and before the next item. May be async if
                ``process_fn`` is. Only for threads and the loop.
            reentrant: Whether the next turn may start beside an interrupted call that
                has not ended, in a worker of its own. Each such call keeps a thread.
            workers: How many calls run at once.
            ordered: Whether items leave in the order in which they came. If not, an item may
                overtake others in this stage; no item overtakes a sentinel, and no sentinel an
                item.
            executor: Where a plain function runs: ``"thread"`` (the default), ``"process"``,
                ``"interpreter"`` (Python 3.13 and later), or an executor of your own, which
                stays yours to shut down. A function for another process or interpreter has
                to be importable there; any other one needs the extra ``cloudpickle``.
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
            options["on_error"] = self.on_error
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
        self.__records.links += [Link(self.max_queue_size) for _ in range(2 if len(self.stages) == 1 else 1)]
        return self

    def __clear_link_of(self, stage: PipelineStage) -> None:
        if self.__run is not None:
            self.__run.do(partial(self.__run.clear_link, self.stages.index(stage)))

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

    async def __aenter__(self) -> Self:
        """Start the pipeline around a block, and wait until its workers are ready.

        Raises:
            PipelineStateError: If the pipeline is running, is entered already, or has no stages.
            BaseException: What a stage's ``setup`` raised.
        """
        if self.__records.block is not None:
            raise PipelineStateError(f"cannot enter {self!r}: it is entered already")
        block = Block(self.__begin, lambda run: run)
        await block.__aenter__()
        self.__records.block = block
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Stop the pipeline and drop what is inside; raise what it or the block has failed with."""
        block, self.__records.block = self.__records.block, None
        if block is None:
            raise PipelineStateError(f"cannot leave {self!r}: it was not entered")
        return await block.__aexit__(kind, exc, traceback)

    if not TYPE_CHECKING:  # which refuse all three by themselves

        def __aiter__(self) -> NoReturn:
            """Say what to write."""
            raise TypeError(f"'async for' over a pipeline means nothing: {_HOW_TO_READ}")

        def __iter__(self) -> NoReturn:
            """Say what to write."""
            raise TypeError(f"'for' over a pipeline means nothing: {_HOW_TO_READ}")

        def __enter__(self) -> NoReturn:
            """Say what to write."""
            raise TypeError("'with pipeline' means nothing: write 'async with pipeline:'")

        def __exit__(self, *exc_info: object) -> None:
            """Do nothing: it is never entered so. Python asks for it before it calls the other."""

    @overload
    def process(
        self, source: AsyncIterable[T] | Iterable[T], *, in_thread: bool = True, sentinels: None = None
    ) -> AbstractAsyncContextManager[OutputStream[ResultT | U], bool | None]: ...

    @overload
    def process(
        self,
        source: AsyncIterable[T | U] | Iterable[T | U],
        *,
        in_thread: bool = True,
        sentinels: Callable[[T | U], object],
    ) -> AbstractAsyncContextManager[OutputStream[ResultT | U], bool | None]: ...

    def process(
        self, source: Any, *, in_thread: bool = True, sentinels: IsSentinel | None = None
    ) -> AbstractAsyncContextManager[OutputStream[ResultT | U], bool | None]:
        """Do a whole job: feed a source, close the input, drain, stop.

        Use it as ``async with pipeline.process(source) as results:`` and iterate over
        ``results``. Leaving the block early stops the pipeline and drops what is inside.

        Args:
            source: An iterable or async iterable. What is not a container of Python's own
                is iterated in a thread of its own, so a file or a generator that blocks is
                fine. A generator is closed, and so is an async iterator that has ``aclose``.
            in_thread: With ``False``, an iterable is iterated in the event loop's thread, for one
                that is bound to it, such as a cursor of sqlite3. The loop waits for each item.
            sentinels: Called with each thing that the source yields, where that is iterated; what
                it is true for is put as a sentinel. For a source that is another pipeline's
                output, so that its sentinels, and the exceptions it returns, pass this one too.

        Raises:
            TypeError: If ``source`` cannot be iterated, or is a text or bytes, or ``sentinels``
                cannot be called.
            PipelineStateError: If the pipeline is running or has no stages.
            BaseException: What a stage or the source raised, the object itself. An error of
                the source comes after the results of everything read before it.
        """
        checked, told = checked_source("source", source, in_thread=in_thread), checked_sentinels(sentinels)
        return Block(
            self.__begin,
            lambda run: OutputStream(run.output, self.__records.output),
            lambda run: _feed_job(run, checked, self.__own_put(told), told),
        )

    @overload
    async def collect(
        self, source: AsyncIterable[T] | Iterable[T], *, in_thread: bool = True, sentinels: None = None
    ) -> list[ResultT | U]: ...

    @overload
    async def collect(
        self,
        source: AsyncIterable[T | U] | Iterable[T | U],
        *,
        in_thread: bool = True,
        sentinels: Callable[[T | U], object],
    ) -> list[ResultT | U]: ...

    async def collect(
        self, source: Any, *, in_thread: bool = True, sentinels: IsSentinel | None = None
    ) -> list[ResultT | U]:
        """Do a whole job, and return all that came out, in order, as a list.

        What ``process`` would have given one by one: the results, returned exceptions in the place of
        their items, and sentinels that others put meanwhile. So memory grows with the number of results.
        Cancelling stops the pipeline and loses what had come out; so does a failure.

        Args:
            source: As for ``process``.
            in_thread: As for ``process``.
            sentinels: As for ``process``.

        Raises:
            TypeError: As ``process``.
            PipelineStateError: As ``process``.
            BaseException: What a stage or the source raised, the object itself.
        """
        # Not self.process: a subclass written for 0.1.10 may have one of its own.
        job = AsyncTaskPipeline.process(self, source, in_thread=in_thread, sentinels=sentinels)
        async with job as results:
            return [each async for each in results]

    @overload
    def run_sync(
        self,
        source: AsyncIterable[T] | Iterable[T],
        *,
        in_thread: bool = True,
        sentinels: None = None,
        backend: Backend = "asyncio",
        backend_options: dict[str, Any] | None = None,
    ) -> list[ResultT | U]: ...

    @overload
    def run_sync(
        self,
        source: AsyncIterable[T | U] | Iterable[T | U],
        *,
        in_thread: bool = True,
        sentinels: Callable[[T | U], object],
        backend: Backend = "asyncio",
        backend_options: dict[str, Any] | None = None,
    ) -> list[ResultT | U]: ...

    def run_sync(
        self,
        source: Any,
        *,
        in_thread: bool = True,
        sentinels: IsSentinel | None = None,
        backend: Backend = "asyncio",
        backend_options: dict[str, Any] | None = None,
    ) -> list[ResultT | U]:
        """Do a whole job from code that has no event loop, and return all that came out, as ``collect``.

        Runs an event loop of its own from beginning to end, as :py:func:`anyio.run` does.

        Args:
            source: As for ``process``.
            in_thread: As for ``process``.
            sentinels: As for ``process``.
            backend: ``"asyncio"`` or ``"trio"``.
            backend_options: For :py:func:`anyio.run`: ``{"use_uvloop": True}`` for example.

        Raises:
            PipelineStateError: If an event loop runs in this thread, as in a notebook; there write
                ``await pipeline.collect(source)``. As ``process`` otherwise.
            LookupError: If ``backend`` is not installed.
            TypeError: As ``process``.
            ValueError: If there is no such backend.
            BaseException: As ``collect``.
        """
        checked_source("source", source, in_thread=in_thread)
        checked_sentinels(sentinels)
        one_of("backend", backend, get_args(Backend))
        with contextlib.suppress(NoEventLoopError):
            current_token()
            raise PipelineStateError(
                "run_sync() brings an event loop of its own, and in this thread one is running already, as always in a "
                "notebook: write 'await pipeline.collect(source)' instead"
            )

        async def job() -> list[ResultT | U]:
            return await AsyncTaskPipeline.collect(self, source, in_thread=in_thread, sentinels=sentinels)

        return run_loop(job, backend=backend, backend_options=backend_options)

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
        """Stop the pipeline, dropping and counting what is in stages.

        What has come as far as the output stays readable, in order, until ``clear`` or the
        next start. Returns when nothing of it is left; so it waits for a stage function that cannot be
        cancelled, without blocking the loop. Under a timeout it goes on in the background
        and can be awaited again. Does nothing if the pipeline is not running.

        Raises:
            PipelineStateError: If called in another thread, or on another event loop.
            BaseException: What ended the pipeline, once, if it was begun with ``start`` and
                a stage raised it.
        """
        run, supervisor = self.__run, self.__supervisor
        if run is None:
            await checkpoint()
            return
        if not run.done.is_set():
            run.waker.check_here("stop()")
        run.stop(keep_output=True)
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
            self.__run.discard_output()
            self.__records.take_over(self.__run.output)
            # The consumer of the run before must not meet the results of this one.
            self.__records.links = [Link(self.max_queue_size) for _ in self.__records.links]
        self.__supervisor = None
        self.__records.timing.end_run(self.stages)
        for stage in self.stages:
            stage.counts.forget_workers()
        timed = flag("enable_timing", self.enable_timing)
        for stage in self.stages:
            stage.enable_timing = timed
        if timed:
            self.__records.timing.begin([stage.name for stage in self.stages])
        self.__run = Run(
            self.stages,
            self.__records.links,
            self.max_queue_size,
            clock=self.__records.clock,
            timed=timed,
            history=self.__records.timing if timed else None,
            numbers=self.__records.turn_numbers,
            overflow=self.overflow,
            show_items=self.show_items,
            warn_after=self.warn_after,
            workers_of=workers_of,
        )
        self.__records.output.begin(self.__run.output)
        return self.__run

    # -- input ---------------------------------------------------------------------------

    @overload
    async def process_input_stream(
        self,
        input_stream: AsyncIterable[T] | Iterable[T],
        *,
        close_input: bool = False,
        in_thread: bool = True,
        sentinels: None = None,
    ) -> None: ...

    @overload
    async def process_input_stream(
        self,
        input_stream: AsyncIterable[T | U] | Iterable[T | U],
        *,
        close_input: bool = False,
        in_thread: bool = True,
        sentinels: Callable[[T | U], object],
    ) -> None: ...

    async def process_input_stream(
        self,
        input_stream: Any,
        *,
        close_input: bool = False,
        in_thread: bool = True,
        sentinels: IsSentinel | None = None,
    ) -> None:
        """Feed every item of a stream, with back-pressure; the input stays open.

        More streams, items and sentinels may follow at any time, after a stream that failed
        too: a producer that reconnects goes on.

        Args:
            input_stream: An async iterable, or an iterable (see ``process``).
            close_input: Whether this stream is (part of) the whole input: when the last
                stream running with it is exhausted, the input closes and the output ends
                after the last result.
            in_thread: As for ``process``.
            sentinels: As for ``process``.

        Raises:
            TypeError: If ``input_stream`` cannot be iterated, or is a text or bytes, or
                ``sentinels`` cannot be called.
            PipelineStateError: If the pipeline is not running, or stops meanwhile.
            Exception: What the stream raised. With ``close_input`` the output raises it too,
                after the results of everything fed before. A generator is closed.
        """
        source = checked_source("input_stream", input_stream, in_thread=in_thread)
        told = checked_sentinels(sentinels)
        # Before the state is looked at: what cancelled the caller may have stopped the
        # pipeline, and of the two the cancellation is what the caller has to hear. It
        # lets nobody else run, or a later call could be accepted before this one.
        await checkpoint_if_cancelled()
        run = self.__on_the_loop("process_input_stream")
        run.input.check_open()
        refusal = await _feed(run, source, self.__own_put(told), told, close_input=close_input)
        if refusal is not None:
            raise refusal

    async def process_input_data(self, data: T, created_at: float | None = None) -> None:
        """Put one item, waiting for room.

        Checks for cancellation first, and lets other tasks run only if it has to wait. If
        it raises, the item was not accepted; if it returns, it was (an interrupt may have
        dropped it since, and counted it). The caller's context variables do not travel with
        the item.

        Args:
            data: The item; any object, ``None`` included.
            created_at: When it was created, in seconds of the pipeline's clock; ``None``
                means when it is accepted, and so does what cannot be right, which is logged
                once in a run. Without timing only its type matters.

        Raises:
            TypeError: If ``created_at`` is not a number.
            PipelineStateError: If the pipeline is not running, its input is closed, this is
                another thread, or (:py:exc:`PipelineStoppedError`) it stopped while this waited.
        """
        await checkpoint_if_cancelled()
        run = self.__on_the_loop("process_input_data")
        if type(self).put_input_data is not AsyncTaskPipeline.put_input_data:
            created_at = self.__records.clock() if created_at is None else created_at
            await LoopThread.here().run(self.put_input_data, data, created_at)
            return
        await run.input.put(run.input.item(data, created_at))

    async def process_input_sentinel(self, sentinel: U) -> None:
        """Put a sentinel, waiting for room; it passes every stage in order with the items.

        Raises:
            PipelineStateError: As ``process_input_data``.
        """
        await checkpoint_if_cancelled()
        run = self.__on_the_loop("process_input_sentinel")
        if type(self).put_input_sentinel is not AsyncTaskPipeline.put_input_sentinel:
            await LoopThread.here().run(self.put_input_sentinel, sentinel)
            return
        await run.input.put(Item(sentinel, SENTINEL))

    async def put(self, data: T, created_at: float | None = None) -> None:
        """Put one item, waiting for room: ``process_input_data``, by the name that a turn has for it.

        Args:
            data: The item; any object, ``None`` included.
            created_at: As for ``process_input_data``.

        Raises:
            TypeError: As ``process_input_data``.
            PipelineStateError: As ``process_input_data``.
        """
        await self.process_input_data(data, created_at)

    async def put_sentinel(self, sentinel: U) -> None:
        """Put a sentinel, waiting for room: ``process_input_sentinel``, by the name that a turn has for it.

        Raises:
            PipelineStateError: As ``process_input_data``.
        """
        await self.process_input_sentinel(sentinel)

    def __own_put(self, sentinels: IsSentinel | None) -> Put | None:
        """How a subclass puts what a stream yields, if it has a way of its own: by the calls of 0.1.10."""
        names = ["process_input_data", "put_input_data"]
        if sentinels is not None:
            names += ["process_input_sentinel", "put_input_sentinel"]
        if all(getattr(type(self), name) is getattr(AsyncTaskPipeline, name) for name in names):
            return None

        async def put(data: Any) -> None:
            if sentinels is not None and sentinels(data):
                await self.process_input_sentinel(data)
            else:
                await self.process_input_data(data, self.__records.clock())

        return put

    def put_input_data(self, data: T, created_at: float | None = None) -> None:
        """Put one item from code that is not async.

        In another thread it is accepted there and then if there is room, and blocks until there is,
        or the pipeline stops. In the loop's own thread it never blocks.

        Raises:
            anyio.WouldBlock: In the loop's thread, if there is no room.
            TypeError: As ``process_input_data``.
            PipelineStateError: As ``process_input_data``.
        """
        run = self.__begun()
        _put_sync(run, run.input.item(data, created_at))

    def put_input_sentinel(self, sentinel: U) -> None:
        """Put a sentinel from code that is not async; see ``put_input_data``."""
        _put_sync(self.__begun(), Item(sentinel, SENTINEL))

    def put_from_thread(self, data: T, created_at: float | None = None) -> None:
        """Put one item from another thread, blocking it until there is room: ``put_input_data`` there.

        Raises:
            TypeError: As ``process_input_data``.
            PipelineStateError: As ``process_input_data``, or if this is the loop's own thread.
        """
        self.__begun().input.check_elsewhere()
        self.put_input_data(data, created_at)

    def put_sentinel_from_thread(self, sentinel: U) -> None:
        """Put a sentinel from another thread; see ``put_from_thread``.

        Raises:
            PipelineStateError: As ``put_from_thread``.
        """
        self.__begun().input.check_elsewhere()
        self.put_input_sentinel(sentinel)

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
        return Turn(self.__on_the_loop("turn").input)

    def close_input(self) -> None:
        """Close the input: nothing more is accepted, and the output ends after the last result.

        Producers that wait for room get a :py:exc:`PipelineStateError`. Does nothing if
        the input is closed already.

        Raises:
            PipelineStateError: If the pipeline is not running, or this is another thread.
        """
        self.__on_the_loop("close_input").input.end()

    # -- output --------------------------------------------------------------------------

    def generate_output_stream(self) -> OutputStream[ResultT | U]:
        """The results in order, as an async iterator; see :py:class:`OutputStream`.

        May be called at any time, in a task that begins before the pipeline does, too. It is
        the output of the run in which it is first read (or of the last one, of which it can
        still tell how it ended); before the first start, that read waits for it. A consumer
        that goes on over a stop and a new start finds the first run at its end.
        """
        return OutputStream(None, self.__records.output)

    def output(self) -> OutputStream[ResultT | U]:
        """The results in order, as an async iterator: ``generate_output_stream``, in a word."""
        return self.generate_output_stream()

    # -- interrupts ----------------------------------------------------------------------

    async def interrupt(
        self, *, from_stage: str | None = None, sentinel: U | Nothing = NOTHING, grace: float = 0.0
    ) -> InterruptReceipt:
        """Drop every item inside and keep running; sentinels survive, in order.

        From the moment it is entered, nothing older is ever emitted, whatever is still
        running; the next item accepted is the next processed. Without ``grace`` it does
        not wait for stage functions and is no checkpoint, so a stage may call it; but more than a
        thousand items are counted while other tasks run, which no cancellation cuts short.
        Producers blocked in a put return: their items were of this turn and are dropped
        with it. The receipt has those of threads; that of a task is counted when its put
        returns. Without effect when the pipeline is not running.

        Args:
            from_stage: The first stage to interrupt, by name. What is before it goes on
                untouched, and is not stale; turns are not over. By default, all stages.
            sentinel: What enters the output in the same step, behind the sentinels that
                survive and before anything newer, so that a sink can empty its device's
                buffer. Those that have to wait behind the items of a protected stage
                (``interruptible=False``) come later. Where nobody would read it any more, because
                the end has been read or the pipeline does not run, it does not enter, and the
                receipt's ``sentinel_placed`` is false.
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
        self.__interrupt(run, interrupt, first, _markers(sentinel))
        await run.counted()
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

        def step() -> Interrupt:
            made = self.__new_interrupt(waits=patience > 0)
            self.__interrupt(run, made, first, _markers(sentinel))
            made.when_idle(idle.set)
            return made

        interrupt = run.ask(step)
        if interrupt is None:
            return InterruptReceipt()
        if patience:
            idle.wait(min(patience, threading.TIMEOUT_MAX))
            run.waker.post(lambda: run.forget(interrupt))
        return interrupt.receipt()

    def __interrupt(self, run: Run, interrupt: Interrupt, first: int, markers: tuple[Item, ...]) -> None:
        if type(self).clear is AsyncTaskPipeline.clear:
            run.interrupt(interrupt, first, markers=markers)
            return

        def instead() -> InterruptReceipt:
            run.interrupt(interrupt, first, markers=markers)
            run.counting.finish_counting()
            return interrupt.receipt()

        # In 0.1.10 an interrupt called clear(), so one of a subclass's own is called; what it gets by
        # super() is the interrupt, which drops less.
        self.__instead_of_clear = instead
        try:
            self.clear()
        finally:
            self.__instead_of_clear = None

    def clear(self) -> InterruptReceipt:
        """Drop everything inside, sentinels included, and reset counters and report.

        May be called at any time; the end of a closed input is kept. On the loop it waits for
        nothing, and counts at once the results that wait in stages for room. Another thread, a stage's own included, waits until the loop has done it.

        Returns:
            What was dropped.
        """
        run, instead = self.__run, self.__instead_of_clear
        if run is not None and instead is not None and threading.get_ident() == run.waker.thread:
            return instead()
        interrupt = self.__new_interrupt()
        if run is None:
            self.__reset()
        else:
            run.do(lambda: run.clear(interrupt, self.__reset))
            if threading.get_ident() == run.waker.thread:
                run.counting.finish_counting()
        return interrupt.receipt()

    def __reset(self) -> None:
        since = self.__records.clock() if self.enable_timing else -math.inf
        for stage in self.stages:
            stage.counts = StageCounts(since)
        if self.__run is not None:
            self.__records.take_over(self.__run.output)
        self.__records.clear()

    def clear_input_queue(self) -> None:
        """Drop what waits for the first stage, sentinels included; counted as dropped.

        In any thread, as ``clear``.
        """
        if self.stages:
            self.__clear_link_of(self.stages[0])

    def clear_output_queue(self) -> None:
        """Drop what waits for the consumer, sentinels included; counted as dropped.

        In any thread, as ``clear``.
        """
        if self.__run is not None:
            self.__run.do(self.__run.clear_output)

    def __new_interrupt(self, *, waits: bool = False) -> Interrupt:
        return Interrupt(
            self.__records.clock, self.__records.timing.turns.idle(), last_delivered=self.__delivered_now, waits=waits
        )

    # -- what can be read of it at any moment --------------------------------------------

    @property
    def running(self) -> bool:
        """True between start and the beginning of shutdown."""
        return self.__run is not None and not self.__run.closed

    @property
    def return_exceptions(self) -> bool:
        """Whether ``on_error`` is ``"return"``; may be set, for the stages added from then on."""
        return self.on_error == "return"

    @return_exceptions.setter
    def return_exceptions(self, value: bool) -> None:
        if flag("return_exceptions", value) != self.return_exceptions:
            self.on_error = "return" if value else "raise"

    @property
    def queues(self) -> list[Link]:
        """The link behind each stage, of the current or last run; the output is the last."""
        return self.__records.links[1:]

    @property
    def input_queue(self) -> Link | None:
        """The link before the first stage, or ``None`` while there is no stage."""
        return self.__records.links[0] if self.__records.links else None

    @property
    def output_queue(self) -> Link | None:
        """The link behind the last stage, or ``None`` while there is no stage."""
        return self.__records.links[-1] if self.__records.links else None

    @property
    def counter(self) -> int:
        """Items accepted since the last ``clear``; may be set, to count from there."""
        return self.__accepted + self.__records.counter_offset

    @counter.setter
    def counter(self, value: int) -> None:
        self.__records.counter_offset = whole_number("counter", value, at_least=0) - self.__accepted

    @property
    def __accepted(self) -> int:
        return self.stages[0].counts.accepted if self.stages else 0

    @property
    def completed_items(self) -> CompletedItems:
        """The last ``timing_history`` items delivered, oldest first; empty without timing.

        May be set to a list of items, which then are all that the report knows of.
        """
        return CompletedItems(self.__records.timing)

    @completed_items.setter
    def completed_items(self, items: Iterable[PipelineItem[Any]]) -> None:
        self.__records.timing.replace(items)

    def statistics(self) -> PipelineStatistics:
        """The counters now, as a frozen snapshot."""
        return self.__statistics()

    def __statistics(self) -> PipelineStatistics:
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
            accepted=self.__accepted,
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
        return self.__records.timing.report(self.stages, self.__moment(), details=include_item_details)

    def __moment(self) -> Moment:
        run, now = self.__run, self.__statistics()
        return Moment(
            self.__records.clock(),
            self.running,
            now.stages,
            {} if run is None else {runner.stage.name: runner.calls_since() for runner in run.runners},
            output_was_full=run is not None and run.output.link.peak >= run.output.link.maxsize,
        )

    def get_latency_summary(self) -> LatencySummary | None:
        """The summary of the report alone: ``get_report().summary``, or ``None`` as that has it."""
        report = self.get_report(include_item_details=False)
        return None if report is None else report.summary

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
        run.waker.check_here(f"{call}()")
        return run

    @property
    def __delivered_now(self) -> int:
        return self.__records.delivered + (self.__run.output.delivered if self.__run is not None else 0)


async def _feed(
    run: Run, source: Any, put: Put | None, sentinels: IsSentinel | None, *, close_input: bool
) -> PipelineStateError | None:
    """Feed a source to its end; return what refused its next item, if the input was closed before."""
    refusal = None
    run.streams += close_input
    try:
        with CancelScope() as scope:
            run.feeding.add(scope)
            try:
                refusal = await feed(run.input, source, put, sentinels)
            finally:
                run.feeding.discard(scope)
        if scope.cancelled_caught:
            refusal = run.input.refusal()  # as a put would be told
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
    return refusal


async def _feed_job(run: Run, source: Any, put: Put | None, sentinels: IsSentinel | None) -> None:
    try:
        if not run.input.is_closed:  # by a block that is left at once
            # A refusal is no fault of the source: the block has closed or stopped the input.
            await _feed(run, source, put, sentinels, close_input=True)
    except get_cancelled_exc_class():
        raise
    except Exception as exc:
        # It is in the output, behind the results of what was read before. If the
        # block is left without meeting it there, it must not vanish; so whatever
        # cancels this task, an error of the block too, has to wait for the verdict.
        with CancelScope(shield=True):
            await run.done.wait()
        if not run.output.ended_with(exc):
            raise
    except BaseException as exc:
        run.fail(exc)


def _meaning(on_error: OnError | None, *, returned: bool) -> OnError:
    """What a failure means in stages that do not say."""
    if on_error is None:
        return "return" if returned else "raise"
    check_meaning("on_error", on_error)
    if returned and on_error != "return":
        raise ValueError(f"return_exceptions=True means on_error='return', and on_error is {shown(on_error)}")
    return on_error


def _put_sync(run: Run, item: Item) -> None:
    if threading.get_ident() == run.waker.thread:
        run.input.put_nowait(item)
    else:
        run.input.put_from_thread(item)


def _index_of(stages: Sequence[PipelineStage], name: str | None) -> int:
    if name is None:
        return 0
    names = [stage.name for stage in stages]
    one_of("from_stage", name, names)
    return names.index(name)


def _markers(sentinel: Any) -> tuple[Item, ...]:
    return () if sentinel is NOTHING else (Item(sentinel, SENTINEL),)
