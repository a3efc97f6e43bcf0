"""Trio's channels and threads on both sides of a pipeline.

The rule: as in ``test_trio_native``: pytest-trio in strict mode and trio's own names;
anyio's only where a stage in a thread may use either.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import anyio.from_thread
import pytest
import trio
import trio.testing

from async_task_pipeline import AsyncTaskPipeline

pytestmark = pytest.mark.trio

Pipeline = AsyncTaskPipeline[Any, Any]


async def double(value: int) -> int:
    await trio.lowlevel.checkpoint()
    return value * 2


def increment(value: int) -> int:
    return value + 1


# -- channels -----------------------------------------------------------------------------


@pytest.mark.parametrize("buffer", [0, 1, 100])
async def test_a_memory_channel_as_source_of_a_job(buffer: int) -> None:
    send, receive = trio.open_memory_channel[int](buffer)

    async def produce() -> None:
        async with send:
            for each in range(20):
                await send.send(each)

    pipeline = Pipeline(2).add_stage("double", double).add_stage("increment", increment)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(produce)
        async with pipeline.process(receive) as results:
            assert [each async for each in results] == [2 * each + 1 for each in range(20)]


async def test_two_channels_close_the_input_when_both_have_ended() -> None:
    pipeline = Pipeline(1).add_stage("double", double)
    channels = [trio.open_memory_channel[int](5) for _ in range(2)]
    async with trio.open_nursery() as nursery:
        await nursery.start(pipeline.run)
        for base, (send, receive) in enumerate(channels):
            nursery.start_soon(pipeline.process_input_stream, receive)
            for each in range(5):
                send.send_nowait(10 * base + each)
        await trio.testing.wait_all_tasks_blocked()
        for send, _ in channels:
            await send.aclose()
        got = [each async for each in pipeline.generate_output_stream()]
    assert sorted(got) == sorted(2 * (10 * base + each) for base in range(2) for each in range(5))
    for base in range(2):
        assert [each for each in got if each // 20 == base] == [2 * (10 * base + each) for each in range(5)]


async def test_a_broken_source_channel_fails_the_job_with_trios_own_error() -> None:
    send, receive = trio.open_memory_channel[int](1)
    send.send_nowait(1)
    await receive.aclose()
    with pytest.raises(trio.ClosedResourceError):
        async with Pipeline().add_stage("double", double).process(receive) as results:
            async for _ in results:
                pytest.fail("the channel was closed")


async def test_results_go_on_into_a_channel() -> None:
    send, receive = trio.open_memory_channel[int](0)

    async def forward() -> None:
        async with send, Pipeline(1).add_stage("double", double).process(range(5)) as results:
            async for each in results:
                await send.send(each)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(forward)
        assert [each async for each in receive] == [0, 2, 4, 6, 8]


# -- threads ------------------------------------------------------------------------------


@pytest.mark.parametrize("look", [trio.from_thread.check_cancelled, anyio.from_thread.check_cancelled])
@pytest.mark.parametrize("end", ["interrupt", "stop", "cancel"])
async def test_a_thread_stage_that_looks_is_cancelled_where_it_looks(look: Any, end: str) -> None:
    entered, cancelled = trio.Event(), threading.Event()

    def poll(value: int) -> None:
        trio.from_thread.run_sync(entered.set)
        try:
            while True:
                look()
        except BaseException:
            cancelled.set()
            raise

    pipeline = Pipeline().add_stage("poll", poll)
    async with trio.open_nursery() as nursery:
        await nursery.start(pipeline.run)
        await pipeline.process_input_data(1)
        await entered.wait()
        if end == "interrupt":
            receipt = await pipeline.interrupt()
            assert receipt.busy == ("poll",)
            await trio.to_thread.run_sync(cancelled.wait)
            assert pipeline.running
        if end == "cancel":
            nursery.cancel_scope.cancel()
        else:
            await pipeline.stop()
    assert cancelled.is_set()
    now = pipeline.statistics()
    assert (now.dropped, now.failed, now.inside) == (1, 0, 0)


async def test_a_thread_stage_uses_trios_way_back_to_the_loop() -> None:
    def ask(value: int) -> int:
        return trio.from_thread.run(double, value)  # type: ignore[no-any-return]

    async with Pipeline().add_stage("ask", ask).process([1, 2]) as results:
        assert [each async for each in results] == [2, 4]


async def test_a_generator_in_a_thread_is_closed_when_the_block_is_left() -> None:
    closed = []

    def count(value: int) -> Iterator[int]:
        try:
            while True:
                value += 1
                yield value
        finally:
            closed.append(threading.get_ident())

    async with Pipeline(2).add_stage("count", count).process([0]) as results:
        async for each in results:
            if each == 10:
                break
    assert len(closed) == 1
    assert closed[0] != threading.get_ident()


async def test_the_run_ends_without_a_stop() -> None:
    # A system task hosts it: the end of the program's main task must cancel it.
    pipeline = Pipeline().add_stage("increment", increment)

    def another_program() -> None:
        async def main() -> None:
            await pipeline.start()
            await pipeline.process_input_data(1)

        trio.run(main)

    await trio.to_thread.run_sync(another_program)
    assert not pipeline.running
    now = pipeline.statistics()
    assert now.accepted == 1 == now.delivered + now.dropped
