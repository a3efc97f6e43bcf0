"""G10: A ``BaseException`` out of a stage propagates, and never kills a worker quietly; what Python
reads as control flow is an ordinary failure.

The rule: each runs in a loop of its own, because asyncio stops the loop for some of these.
"""

from __future__ import annotations

import asyncio
import threading

import anyio
import anyio.lowlevel
import pytest
from anyio import fail_after

from async_task_pipeline import AsyncTaskPipeline, StageProtocolError
from tests.support.backends import ASYNCIO
from tests.support.functions import of_kind, same
from tests.support.gates import KINDS
from tests.support.waiting import PATIENCE, drain

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("kind", "exception"),
    # Python itself turns StopIteration in a coroutine into a RuntimeError.
    [("thread", StopIteration), ("thread", StopAsyncIteration), ("async", StopAsyncIteration)],
)
async def test_control_flow_of_python_does_not_end_a_stage_quietly(kind, exception):
    """It cannot travel through a coroutine, so it arrives as the cause of an error."""
    exc = exception("mine")
    with pytest.raises(BaseException) as caught:
        await drain(AsyncTaskPipeline().add_stage("fails", raising(kind, exc)), [1])
    # trio has no use for asyncio's class, so there it arrives as it is.
    assert caught.value is exc or (isinstance(caught.value, StageProtocolError) and caught.value.__cause__ is exc)


async def test_a_cancellation_of_the_backends_own_that_nobody_asked_for_is_loud():
    """Kept from another scope and raised again, it must not end the stage quietly."""
    kept = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        try:
            await anyio.lowlevel.checkpoint()
        except anyio.get_cancelled_exc_class() as exc:
            kept.append(exc)
            raise
    for kind in ("thread", "async"):
        with pytest.raises(StageProtocolError) as caught:
            async with AsyncTaskPipeline().add_stage("fails", raising(kind, kept[0])) as pipeline:
                await pipeline.process_input_data(1)
                await anyio.sleep_forever()
        assert caught.value.__cause__ is kept[0]


def raising(kind, exc):
    """A stage of a kind that raises for whatever is not 0."""

    def plain(data):
        if data:
            raise exc
        return data

    return of_kind(kind, plain)


FATAL = [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit, BaseException]


@pytest.mark.parametrize(
    ("error", "return_exceptions"),
    [*((error, False) for error in FATAL), *((error, True) for error in (SystemExit, GeneratorExit, BaseException))],
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_base_exception_ends_the_pipeline(anyio_backend, kind, error, return_exceptions):
    """0.1.10: the thread died without a word, or the generator seemed to have come to its end."""
    exc, met, before = error("mine"), [], set(threading.enumerate())
    backend, options = anyio_backend
    pipeline = AsyncTaskPipeline(return_exceptions=return_exceptions)
    pipeline.add_stage("fatal", raising(kind, exc)).add_stage("same", lambda x: x)

    async def main() -> None:
        with fail_after(PATIENCE):
            async with pipeline.process([0, 1, 2]) as results:
                try:
                    async for _ in results:
                        pass
                except BaseException as error:
                    met.append(error)
                    raise

    with pytest.raises(BaseException) as caught:  # which one is looked at below
        anyio.run(main, backend=backend, backend_options=options)
    for raised in (caught.value, *met):  # the owner and the consumer meet the same
        chain = list(causes(raised))
        assert exc in chain, chain
        if chain[0] is not exc:
            # These two Python reads as control flow; only as a cause do they get through.
            assert isinstance(exc, (asyncio.CancelledError, GeneratorExit))
            assert isinstance(chain[0], StageProtocolError)
    assert any("raised in stage 'fatal'" in note for each in causes(caught.value) for note in notes_of(each))
    assert not pipeline.running
    # A thread that was never told to end would keep the whole process alive.
    for thread in set(threading.enumerate()) - before:
        if not thread.daemon:
            thread.join(PATIENCE / 2)
            assert not thread.is_alive()


@ASYNCIO  # on trio nobody can make one
@pytest.mark.parametrize("kind", KINDS)
async def test_a_cancellation_that_nobody_asked_for_is_a_failure_of_its_call(kind):
    exc = asyncio.CancelledError("mine")
    pipeline = AsyncTaskPipeline(return_exceptions=True).add_stage("fails", raising(kind, exc))
    first, error, last = await drain(pipeline, [0, 1, 0])
    assert (first, last) == (0, 0)
    assert isinstance(error, StageProtocolError)
    assert error.__cause__ is exc


def notes_of(exc: BaseException) -> list[str]:
    return getattr(exc, "__notes__", [])


def causes(exc: BaseException | None):
    while exc is not None:
        yield exc
        exc = exc.__cause__


def exits_from_a_thread(exc):
    yield 0
    raise exc


async def exits_from_a_task(exc):
    yield 0
    raise exc


@pytest.mark.parametrize("source", [exits_from_a_thread, exits_from_a_task])
@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt])
def test_a_source_that_exits_ends_the_job_with_its_exit(anyio_backend, source, exception):
    backend, options = anyio_backend
    exc = exception("mine")

    async def main():
        with fail_after(PATIENCE):
            async with AsyncTaskPipeline().add_stage("same", same).process(source(exc)):
                await anyio.sleep_forever()

    with pytest.raises(exception) as caught:
        anyio.run(main, backend=backend, backend_options=options)
    assert caught.value is exc
