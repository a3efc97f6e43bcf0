"""The ways to run a pipeline: a scope, a task group's child, a whole job, start and stop.

The rule: each of them is ``Run.serve`` in a task of somebody's; none has a task group
of its own around user code but the two context managers, which raise a lone failure
bare, because a pipeline has one reason to fail and nobody wants a group of one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import asynccontextmanager
from typing import Any, Generic, Self

from anyio import TASK_STATUS_IGNORED, AsyncContextManagerMixin, CancelScope, create_task_group, get_cancelled_exc_class
from anyio.abc import TaskStatus
from anyio.lowlevel import checkpoint

from ._exceptions import PipelineStateError
from ._input._source import checked_source
from ._intake import Intake
from ._output import OutputStream
from ._run import Run
from ._supervisor import Supervisor
from ._type_variables import ResultT, T, U


class Lifetime(AsyncContextManagerMixin, Intake[T, U], Generic[T, U, ResultT]):
    """The lifetime of a pipeline."""

    _supervisor: Supervisor | None = None

    def _begin(self) -> Run:
        if not self.stages:
            raise PipelineStateError("cannot start a pipeline without stages: call add_stage first")
        if self._current is not None and not self._current.done.is_set():
            raise PipelineStateError(f"cannot start {self!r}: it is still running")
        self._forget_run()
        self._supervisor = None
        for stage in self.stages:
            stage.counts.settle()
        if self.enable_timing:
            self._history.begin([stage.name for stage in self.stages])
        self._current = Run(
            self.stages,
            self.max_queue_size,
            clock=self._clock if self.enable_timing else None,
            history=self._history if self.enable_timing else None,
            numbers=self._turn_numbers,
            overflow=self.overflow,
        )
        return self._current

    async def run(self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """Run the pipeline in the current task; for ``await tg.start(pipeline.run)``.

        Returns when the pipeline is stopped, or when the input was closed and everything
        has been delivered. Cancelling it stops the pipeline.

        Raises:
            PipelineStateError: If the pipeline is running or has no stages.
            BaseException: What ended the pipeline, if a stage raised it.
        """
        await self._begin().serve(task_status=task_status)

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        async with self._open():
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
        async with self._open(checked_source("source", source)):
            yield self.generate_output_stream()

    @asynccontextmanager
    async def _open(self, source: Any = None) -> AsyncGenerator[None]:
        """Run in a task group around the block, and raise a lone failure bare."""
        run = self._begin()
        errors: dict[int, BaseException] = {}
        try:
            async with create_task_group() as tg:
                await tg.start(_serve_quietly, run, tg.cancel_scope)
                if run.started:
                    if source is not None:
                        tg.start_soon(self._feed_job, run, source)
                    try:
                        yield
                    finally:
                        run.stop()
        except BaseExceptionGroup as group:
            # Block and run may raise the same failure: the block met it in the output.
            errors = {id(each): each for each in group.exceptions}
        except get_cancelled_exc_class():
            if run.failure is None:
                raise
        finally:
            run.stop()
        if run.failure is not None:
            errors[id(run.failure)] = run.failure
        if len(errors) > 1:
            raise BaseExceptionGroup("the pipeline and the block around it failed", [*errors.values()])
        for error in errors.values():
            raise error

    async def _feed_job(self, run: Run, source: Any) -> None:
        try:
            await self._feed(run, source, close_input=True)
        except get_cancelled_exc_class():
            raise
        except Exception as exc:
            if isinstance(exc, PipelineStateError) and run.entrance.is_closed and exc is not run.entrance.error:
                return  # closed or stopped by the block: no fault of the source
            # It is in the output, behind the results of what was read before. If the
            # block is left without meeting it there, it must not vanish; so whatever
            # cancels this task, an error of the block too, has to wait for the verdict.
            with CancelScope(shield=True):
                await run.done.wait()
            if not run.exit.ended_with(exc):
                raise
        except BaseException as exc:
            run.fail(exc)

    async def start(self) -> None:
        """Start the pipeline in a task of its own, as in 0.1.10; returns when its workers are ready.

        The task belongs to no scope: call ``stop`` in the end, or prefer
        ``async with pipeline:``. May be called from any task and under a timeout.

        Raises:
            PipelineStateError: If the pipeline is running or has no stages.
            BaseException: What a stage's ``setup`` raised.
        """
        run = self._begin()

        def ended() -> None:
            run.closed = True  # if the task has never begun, nothing else says so
            run.done.set()

        self._supervisor = supervisor = Supervisor(run.serve, ended)
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
        run, supervisor = self._current, self._supervisor
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

    def generate_output_stream(self) -> OutputStream[ResultT | U]:
        """The results in order, as an async iterator; see :py:class:`OutputStream`.

        Belongs to the current run (or the last one, of which it can still tell how it
        ended).

        Raises:
            PipelineStateError: If the pipeline was never started.
        """
        if self._current is None:
            raise PipelineStateError("the pipeline has no output yet: start it first")
        return OutputStream(self._current.exit)


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
