"""Calls on a ``concurrent.futures.Executor`` of the user's: a pool, or a cluster.

The rule: a worker has one call in the executor at a time, so ``workers`` is how many are
in flight. Cancelling a call cancels its future; where that is refused, because the call
is running, the worker stays busy until it has ended, as a thread would. Futures are
cancelled in a thread: that of a cluster asks the cluster and waits for the answer.

A generator cannot be resumed where it ran, so what it yields is gathered there and comes
back with the end of the call, with what it raised in the end, if it did; one that would not end fails
behind ``MOST_VALUES``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor, Future
from itertools import count, islice
from types import GeneratorType
from typing import Any
from uuid import uuid4

import attrs
from anyio import CancelScope, CapacityLimiter, Event, get_cancelled_exc_class

from .._engine._loop_thread import LoopThread
from .._engine._stage_runner import StageRunner
from .._engine._wakeup import Waker
from .._exceptions import StageProtocolError, add_note, not_awaited, raisable, shown, unawaited
from ._task import TaskWorker

MOST_VALUES = 65_536
"""What one call may yield: far beyond a fan-out, and soon reached by an endless one."""


@attrs.frozen(repr=False)
class Gathered:
    """All that a generator yielded, and what it raised in the end; public to pickle."""

    values: list[Any]
    error: BaseException | None = None

    def __repr__(self) -> str:
        """Show what it stands for, to whoever expected something else."""
        return "a generator"


def call(function: Callable[[Any], Any], data: Any, _name: object) -> Any:
    """Make one call, over there. Public to pickle, for executors of processes.

    The name, which no other call has, is for executors that take equal calls for one and the
    same, as Dask's does: cancelling the one would cancel the other.
    """
    result = function(data)
    if type(result) is not GeneratorType:
        kind = unawaited(result)
        if kind is not None:
            raise not_awaited(function, kind)
        return result
    return _gathered(function, result)


def _gathered(function: Callable[[Any], Any], generator: Any) -> Gathered:
    values: list[Any] = []
    ended = object()
    error: Exception | None = None
    try:
        values.extend(islice(generator, MOST_VALUES))
        if next(generator, ended) is not ended:
            error = StageProtocolError(
                f"{shown(function)} yielded more than {MOST_VALUES} values in one call on an executor, where they "
                "are gathered before they go on; run it in a thread or a process, where they are not"
            )
            generator.close()
    except Exception as exc:
        if error is None:
            error = exc
        else:
            add_note(error, f"and the generator failed when it was closed: {shown(exc)}")
    return Gathered(values, error)


class ExecutorWorker(TaskWorker):
    """Has one call at a time in the stage's executor."""

    def __init__(self, runner: StageRunner) -> None:
        super().__init__(runner)
        self._cancelling = CapacityLimiter(1)
        self._run, self._numbers = uuid4().hex, count()
        self.function = self._call_once if self.stage.batch is not None else self._values

    def _submit(self, data: Any) -> Future[Any]:
        executor = self.stage.executor
        assert isinstance(executor, Executor)  # noqa: S101  which is what made it this kind
        return executor.submit(call, self.stage.process_fn, data, (self._run, next(self._numbers)))

    async def _call_once(self, data: Any) -> Any:
        return await _result(self._submit(data), self.shared.waker, self._cancelling)

    async def _values(self, data: Any) -> AsyncGenerator[Any]:
        result = await self._call_once(data)
        if isinstance(result, Gathered):
            for value in result.values:
                yield value
            if result.error is not None:
                raise result.error
        elif result is not None:
            yield result


async def _result(future: Future[Any], waker: Waker, cancelling: CapacityLimiter) -> Any:
    done = Event()
    # In the executor's thread, or here and now if it is done already; neither may wait.
    future.add_done_callback(lambda _: waker.post(done.set))
    try:
        await done.wait()
    except get_cancelled_exc_class():
        with CancelScope(shield=True):
            try:
                cancelled = await LoopThread.here().run(future.cancel, limiter=cancelling)
            except RuntimeError:  # there is no thread to be had, and the call must not be left running
                cancelled = future.cancel()
            if not cancelled:
                await done.wait()
        raise
    try:
        return future.result()
    except BaseException as exc:
        # A StopIteration would be something else when it leaves a coroutine, and a
        # cancellation would be taken for ours.
        error = raisable(exc, get_cancelled_exc_class())
    raise error
