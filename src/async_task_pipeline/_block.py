"""A run around a block: what ``async with pipeline`` and ``async with pipeline.process(source)`` do.

The rule: a block is entered once, in one task. It is left when nothing of its run is left, and what
it raises is told once: a lone error as the very object, several in one group. It is a class and
not a generator, for two reasons: :py:mod:`contextlib` sets the traceback of what the block raises, which an
exception that is frozen refuses; and what is written in place of ``async with`` can be told so.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Generic, NoReturn, TypeVar

from anyio import CancelScope, create_task_group, get_cancelled_exc_class
from anyio.abc import TaskGroup, TaskStatus

from ._engine._run import Run
from ._exceptions import PipelineStateError, PipelineStoppedError, leaves_of, without

EnteredT = TypeVar("EnteredT")


class Block(AbstractAsyncContextManager[EnteredT, bool | None], Generic[EnteredT]):
    """A run that begins when the block is entered and is over when it is left.

    Args:
        begin: Makes the run.
        entered: What the block gets.
        feed: Feeds the run, in a task of its own.
    """

    def __init__(
        self,
        begin: Callable[[], Run],
        entered: Callable[[Run], EnteredT],
        feed: Callable[[Run], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self._begin = begin
        self._entered = entered
        self._feed = feed
        self._run: Run | None = None
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> EnteredT:
        """Begin the run, and wait until its workers are ready."""
        if self._run is not None:
            raise PipelineStateError(
                "cannot enter what process() has returned again: it is entered once; call process() again"
            )
        run = self._run = self._begin()
        self._tasks = tasks = create_task_group()
        await tasks.__aenter__()
        try:
            await tasks.start(_serve_quietly, run, tasks.cancel_scope)
            if run.started and self._feed is not None:
                tasks.start_soon(self._feed, run)
        except BaseException as exc:
            await self.__aexit__(type(exc), exc, exc.__traceback__)
            raise
        if not run.started:
            await self.__aexit__(None, None, None)  # raises why not
        return self._entered(run)

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Stop the run, wait until nothing of it is left, and raise what it or the block has failed with.

        Returns whether a cancellation ends here, as a task group decides it: one that nobody around the
        block has asked for.
        """
        run, tasks = self._run, self._tasks
        if run is None or tasks is None:
            raise PipelineStateError("cannot leave what was never entered")
        run.stop()
        errors: list[BaseException] = []
        ends_here: bool | None = None
        try:
            ends_here = await tasks.__aexit__(kind, exc, traceback)
        except BaseExceptionGroup as group:
            errors = [*group.exceptions]
        except get_cancelled_exc_class():
            if run.failure is None:
                raise
        finally:
            run.discard_output()
        errors = told_once(errors, run.failure)
        if len(errors) > 1:
            raise BaseExceptionGroup("the pipeline and the block around it failed", errors)
        for error in errors:
            if error is not exc:  # which goes on by itself
                raise error
        return ends_here

    # -- what may be written in place of ``async with``; the type that process() names has none of it --------

    def __await__(self) -> NoReturn:
        """Say what to write."""
        self._refuse("'await pipeline.process(...)'")

    def __aiter__(self) -> NoReturn:
        """Say what to write."""
        self._refuse("'async for' over pipeline.process(...)")

    def __iter__(self) -> NoReturn:
        """Say what to write."""
        self._refuse("'for' over pipeline.process(...)")

    def __enter__(self) -> NoReturn:
        """Say what to write."""
        self._refuse("'with pipeline.process(...)'")

    def __exit__(self, *exc_info: object) -> None:
        """Do nothing: it is never entered so. Python asks for it before it calls the other."""

    def _refuse(self, written: str) -> NoReturn:
        raise TypeError(
            f"{written} means nothing: write 'async with pipeline.process(source) as results:' and in it "
            "'async for result in results:', or 'results = await pipeline.collect(source)'"
        )


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


def told_once(errors: list[BaseException], failure: BaseException | None) -> list[BaseException]:
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
