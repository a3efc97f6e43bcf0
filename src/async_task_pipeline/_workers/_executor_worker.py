"""Calls on a ``concurrent.futures.Executor`` of the user's: a pool, or a cluster.

The rule: a worker has one call in the executor at a time, so ``workers`` is how many are
in flight. Cancelling a call cancels its future; where that is refused, because the call
is running, the worker stays busy until it has ended, as a thread would. Futures are
cancelled in a thread: that of a cluster asks the cluster and waits for the answer.

A generator cannot be resumed where it ran, so what it yields is gathered there and comes
back with the end of the call; one that would not end is stopped at ``MOST_VALUES``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor, Future
from itertools import count
from types import GeneratorType
from typing import Any
from uuid import uuid4

from anyio import CancelScope, CapacityLimiter, Event, get_cancelled_exc_class, to_thread

from .._exceptions import StageProtocolError, not_awaited, raisable, unawaited
from .._posting import Waker
from .._stage import PipelineStage

MOST_VALUES = 65_536
"""What one call may yield: far beyond a fan-out, and soon reached by an endless one."""


class Gathered(list[Any]):
    """All that a generator yielded."""

    __slots__ = ()


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
    values = Gathered()
    try:
        for value in result:
            if len(values) >= MOST_VALUES:
                raise StageProtocolError(
                    f"{function!r} yielded more than {MOST_VALUES} values in one call on an executor, where they are "
                    "gathered before they go on; run it in a thread or a process, where they are not"
                )
            values.append(value)
    finally:
        result.close()
    return values


def on_executor(executor: Executor, stage: PipelineStage, waker: Waker) -> Callable[[Any], Any]:
    """The function of a stage as an async one, or async generator, that runs it on an executor."""
    function = stage.process_fn
    cancelling = CapacityLimiter(1)
    run, numbers = uuid4().hex, count()

    def submit(data: Any) -> Future[Any]:
        return executor.submit(call, function, data, (run, next(numbers)))

    async def batch(data: list[Any]) -> Any:
        return await _result(submit(data), waker, cancelling)

    if stage.batch is not None:
        return batch

    async def calls(data: Any) -> AsyncGenerator[Any]:
        result = await _result(submit(data), waker, cancelling)
        if type(result) is Gathered:
            for value in result:
                yield value
        elif result is not None:
            yield result

    return calls


async def _result(future: Future[Any], waker: Waker, cancelling: CapacityLimiter) -> Any:
    done = Event()
    # In the executor's thread, or here and now if it is done already; neither may wait.
    future.add_done_callback(lambda _: waker.post(done.set))
    try:
        await done.wait()
    except get_cancelled_exc_class():
        with CancelScope(shield=True):
            if not await to_thread.run_sync(future.cancel, limiter=cancelling):
                await done.wait()
        raise
    try:
        return future.result()
    except BaseException as exc:
        # A StopIteration would be something else when it leaves a coroutine, and a
        # cancellation would be taken for ours.
        error = raisable(exc, get_cancelled_exc_class())
    raise error
