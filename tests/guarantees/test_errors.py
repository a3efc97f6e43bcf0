"""G9 and G10: an exception is the user's own object, and is never lost."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from async_task_pipeline import AsyncTaskPipeline, StageProtocolError

pytestmark = pytest.mark.anyio


def plain(exc: BaseException) -> Callable[[Any], Any]:
    def function(value: Any) -> Any:
        raise exc

    return function


def on_loop(exc: BaseException) -> Callable[[Any], Any]:
    async def function(value: Any) -> Any:
        raise exc

    return function


def generator(exc: BaseException) -> Callable[[Any], Any]:
    def function(value: Any) -> Iterator[Any]:
        yield "first"
        raise exc

    return function


def generator_on_loop(exc: BaseException) -> Callable[[Any], Any]:
    async def function(value: Any) -> Any:
        yield "first"
        raise exc

    return function


KINDS = pytest.mark.parametrize("kind", [plain, on_loop, generator, generator_on_loop])


@KINDS
async def test_g09_the_very_object_reaches_scope_and_consumer(anyio_backend: object, kind: Any) -> None:
    """With a note naming the stage, bare, and never a quiet end of the output."""
    await fails_loudly(kind, ValueError("mine"))


@KINDS
@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt])
def test_g10_exits_propagate(anyio_backend: tuple[str, dict[str, Any]], kind: Any, exception: Any) -> None:
    """In a loop of its own, because asyncio stops the loop for these two."""
    backend, options = anyio_backend
    exc = exception("mine")
    before = set(threading.enumerate())
    with pytest.raises(exception) as caught:
        anyio.run(fails_loudly, kind, exc, backend=backend, backend_options=options)
    assert caught.value is exc or exc in getattr(caught.value, "exceptions", ())
    # A thread that was never told to end would keep the whole process alive.
    for thread in set(threading.enumerate()) - before:
        if not thread.daemon:
            thread.join(10)
            assert not thread.is_alive()


async def fails_loudly(kind: Any, exc: BaseException) -> None:
    """Have a stage raise, look at both ends, and pass on what is not an Exception."""
    pipeline: AsyncTaskPipeline[Any, Any] = AsyncTaskPipeline().add_stage("fails", kind(exc))
    seen: BaseException | None = None
    met: BaseException | None = None
    try:
        async with pipeline:
            await pipeline.process_input_data(1)
            try:
                async for _ in pipeline.generate_output_stream():
                    pass
            except type(exc) as error:
                seen = error
                if isinstance(exc, Exception):
                    raise
            else:
                pytest.fail("the output ended quietly")
    except type(exc) as error:
        met = error
    assert seen is exc
    assert met is exc
    assert exc.__notes__ == ["raised in stage 'fails' of the pipeline"]
    after = pipeline.statistics()
    assert (after.failed, after.inside) == (1, 0)
    assert after.accepted + after.fanned_out == after.delivered + after.failed + after.dropped
    if not isinstance(exc, Exception):
        raise exc


@KINDS
async def test_g09_it_is_loud_though_nobody_reads(anyio_backend: object, kind: Any) -> None:
    """The block is cancelled and left with the failure, even with the output full."""
    exc = ValueError("mine")
    pipeline: AsyncTaskPipeline[Any, Any] = AsyncTaskPipeline(1).add_stage("fails", kind(exc))
    with anyio.fail_after(30), pytest.raises(ValueError, match="mine") as caught:
        async with pipeline:
            await pipeline.process_input_data(1)
            await anyio.sleep_forever()
    assert caught.value is exc


async def test_g09_in_a_users_group_it_arrives_in_that_group(anyio_backend: object) -> None:
    """``tg.start(pipeline.run)`` raises it as any child would."""
    exc = ValueError("mine")
    pipeline: AsyncTaskPipeline[Any, Any] = AsyncTaskPipeline().add_stage("fails", plain(exc))
    with pytest.raises(ExceptionGroup) as caught:
        async with anyio.create_task_group() as tg:
            await tg.start(pipeline.run)
            await pipeline.process_input_data(1)
            await anyio.sleep_forever()
    assert (exc,) == caught.value.exceptions


async def test_g09_start_and_stop_give_it_to_both_ends(anyio_backend: object) -> None:
    """Once to stop, at every read to the consumer."""
    exc = ValueError("mine")
    pipeline: AsyncTaskPipeline[Any, Any] = AsyncTaskPipeline().add_stage("fails", plain(exc))
    await pipeline.start()
    await pipeline.process_input_data(1)
    stream = pipeline.generate_output_stream()
    for _ in range(2):
        with pytest.raises(ValueError, match="mine"):
            await anext(stream)
    with pytest.raises(ValueError, match="mine") as caught:
        await pipeline.stop()
    assert caught.value is exc
    await pipeline.stop()


@pytest.mark.parametrize("exception", [StopIteration, StopAsyncIteration, GeneratorExit, asyncio.CancelledError])
@pytest.mark.parametrize("kind", [plain, on_loop])
async def test_g10_control_flow_of_python_does_not_end_a_stage_quietly(
    anyio_backend: object, kind: Any, exception: type[BaseException]
) -> None:
    """It cannot travel through a coroutine, so it arrives as the cause of an error."""
    if kind is on_loop and exception is StopIteration:
        pytest.skip("Python itself turns StopIteration in a coroutine into a RuntimeError")
    exc = exception("mine")
    pipeline: AsyncTaskPipeline[Any, Any] = AsyncTaskPipeline().add_stage("fails", kind(exc))
    with anyio.fail_after(30), pytest.raises(BaseException) as caught:
        async with pipeline.process([1]) as results:
            assert [each async for each in results] == []
    # trio has no use for asyncio's class, so there it arrives as it is.
    assert caught.value is exc or (isinstance(caught.value, StageProtocolError) and caught.value.__cause__ is exc)


async def test_g10_a_cancellation_of_the_backends_own_that_nobody_asked_for_is_loud(anyio_backend: object) -> None:
    """Kept from another scope and raised again, it must not end the stage quietly."""
    kept: list[BaseException] = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        try:
            await anyio.lowlevel.checkpoint()
        except anyio.get_cancelled_exc_class() as exc:
            kept.append(exc)
            raise
    for kind in (plain, on_loop):
        pipeline: AsyncTaskPipeline[Any, Any] = AsyncTaskPipeline().add_stage("fails", kind(kept[0]))
        with anyio.fail_after(30), pytest.raises(StageProtocolError) as caught:
            async with pipeline:
                await pipeline.process_input_data(1)
                await anyio.sleep_forever()
        assert caught.value.__cause__ is kept[0]


@KINDS
async def test_g09_returned_in_the_place_of_the_item(anyio_backend: object, kind: Any) -> None:
    """In order, past the stages behind it, counted as failed and not as delivered."""
    exc = ValueError("mine")

    def is_odd(value: Any) -> Any:
        assert not isinstance(value, Exception)
        return value

    pipeline: AsyncTaskPipeline[Any, Any] = AsyncTaskPipeline(return_exceptions=True)
    pipeline.add_stage("fails", kind(exc)).add_stage("after", is_odd)
    async with pipeline.process([1, 2]) as results:
        got = [each async for each in results]
    expected = [exc, exc] if kind in (plain, on_loop) else ["first", exc, "first", exc]
    assert expected == got
    after = pipeline.statistics()
    assert (after.failed, after.delivered, after.inside) == (2, len(expected) - 2, 0)
    assert exc.__notes__ == ["raised in stage 'fails' of the pipeline"]


async def test_g09_dropped_only_by_asking_logged_and_counted(
    anyio_backend: object, caplog: pytest.LogCaptureFixture
) -> None:
    """``on_error="drop"`` overrides the pipeline's rule for one stage."""

    def odd(value: int) -> int:
        if value % 2:
            raise ValueError(value)
        return value

    pipeline: AsyncTaskPipeline[int, Any] = AsyncTaskPipeline().add_stage("odd", odd, on_error="drop")
    with caplog.at_level(logging.WARNING, logger="async_task_pipeline"):
        async with pipeline.process(range(4)) as results:
            assert [each async for each in results] == [0, 2]
    assert pipeline.statistics().failed == 2
    assert [record.message for record in caplog.records] == ["stage 'odd' dropped an item: its call failed"] * 2
    assert all(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("kind", ["coroutine", "async_generator"])
async def test_g09_a_plain_function_that_returns_what_only_the_loop_can_run_is_told_so(
    anyio_backend: object, kind: str
) -> None:
    """It can be known at the first call only, and ends the pipeline with advice."""

    async def work(value: int) -> int:
        return value

    async def generate(value: int) -> Any:
        yield value

    function = work if kind == "coroutine" else generate
    pipeline: AsyncTaskPipeline[int, Any] = AsyncTaskPipeline().add_stage("sync", lambda value: function(value))  # noqa: PLW0108
    with pytest.raises(StageProtocolError, match=rf"'sync'.*returned an? {kind}; declare it 'async def'"):
        async with pipeline.process([1]) as results:
            assert [each async for each in results] == []
