"""G8, as a trio program does it.

The rule: pytest-trio in strict mode: trio's own nurseries, timeouts, channels, threads and
exception groups. What holds under anyio's names has to hold under trio's.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import anyio.from_thread
import pytest
import trio
import trio.testing

from async_task_pipeline import AsyncTaskPipeline, PipelineStateError

Pipeline = AsyncTaskPipeline[Any, Any]

pytestmark = pytest.mark.trio


class FaultError(Exception):
    """What a stage raises here."""


async def double(value: int) -> int:
    await trio.lowlevel.checkpoint()
    return value * 2


def increment(value: int) -> int:
    return value + 1


async def for_ever(value: Any) -> None:
    await trio.sleep_forever()


def fail(value: Any) -> None:
    raise FaultError(value)


async def test_run_as_a_child_of_a_nursery() -> None:
    pipeline = Pipeline(2).add_stage("double", double).add_stage("increment", increment)
    async with trio.open_nursery() as nursery:
        await nursery.start(pipeline.run)
        assert pipeline.running
        nursery.start_soon(partial(pipeline.process_input_stream, range(10), close_input=True))
        got = [each async for each in pipeline.generate_output_stream()]
    # run() returned by itself: the nursery has ended.
    assert got == [2 * each + 1 for each in range(10)]
    assert not pipeline.running


async def test_a_cancelled_nursery_stops_the_pipeline() -> None:
    pipeline = Pipeline().add_stage("wait", for_ever)
    async with trio.open_nursery() as nursery:
        await nursery.start(pipeline.run)
        await pipeline.process_input_data(1)
        nursery.cancel_scope.cancel()
    assert not pipeline.running
    assert pipeline.statistics().dropped == 1


async def test_a_failure_arrives_in_the_group_of_the_users_nursery() -> None:
    pipeline = Pipeline().add_stage("fail", fail)
    with pytest.RaisesGroup(pytest.RaisesExc(FaultError, match="7"), flatten_subgroups=True) as caught:
        async with trio.open_nursery() as nursery:
            await nursery.start(pipeline.run)
            await pipeline.process_input_data(7)
            await trio.sleep_forever()
    (leaf,) = leaves(caught.value)
    assert leaf.__notes__ == ["raised in stage 'fail' of the pipeline, for item 7"]


async def test_except_star_catches_a_failure_beside_another() -> None:
    caught: list[type[BaseException]] = []
    pipeline = Pipeline().add_stage("fail", fail)

    async def other() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise KeyError("other")

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other)
            await trio.testing.wait_all_tasks_blocked()
            await nursery.start(pipeline.run)
            await pipeline.process_input_data(7)
            await trio.sleep_forever()
    except* FaultError:
        caught.append(FaultError)
    except* KeyError:
        caught.append(KeyError)
    assert caught == [FaultError, KeyError]


async def test_start_is_refused_while_a_nursery_runs_it() -> None:
    pipeline = Pipeline().add_stage("double", double)
    async with trio.open_nursery() as nursery:
        await nursery.start(pipeline.run)
        with pytest.raises(PipelineStateError, match="still running"):
            await pipeline.start()
        nursery.cancel_scope.cancel()


async def test_move_on_after_leaves_a_blocked_read_and_the_pipeline_whole(autojump_clock: Any) -> None:
    # Only stages on the loop: the clock would jump while a thread runs.
    async with Pipeline().add_stage("double", double) as pipeline:
        output = pipeline.generate_output_stream()
        with trio.move_on_after(5) as scope:
            await anext(output)
        assert scope.cancelled_caught
        await pipeline.process_input_data(1)
        assert await anext(output) == 2


async def test_fail_after_around_a_blocked_put(autojump_clock: Any) -> None:
    async with Pipeline(1).add_stage("wait", for_ever) as pipeline:
        accepted = 0
        with pytest.raises(trio.TooSlowError), trio.fail_after(5):
            while True:
                await pipeline.process_input_data(accepted)
                accepted += 1
        assert pipeline.statistics().accepted == pipeline.statistics().inside == accepted == 2


async def test_move_on_after_around_a_whole_job(autojump_clock: Any) -> None:
    pipeline = Pipeline().add_stage("wait", for_ever)
    with trio.move_on_after(5) as scope:
        async with pipeline.process([1, 2, 3]) as results:
            async for _ in results:
                pytest.fail("nothing can come out")
    assert scope.cancelled_caught
    now = pipeline.statistics()
    assert (now.accepted, now.dropped, now.inside) == (3, 3, 0)


async def test_a_stage_may_open_a_nursery() -> None:
    async def gather(value: int) -> list[int]:
        found: list[int] = []

        async def one(n: int) -> None:
            await trio.lowlevel.checkpoint()
            found.append(n)

        async with trio.open_nursery() as nursery:
            for n in range(value):
                nursery.start_soon(one, n)
        return sorted(found)

    async with Pipeline().add_stage("gather", gather).process([3]) as results:
        assert [each async for each in results] == [[0, 1, 2]]


def leaves(group: BaseException) -> list[BaseException]:
    if isinstance(group, BaseExceptionGroup):
        return [leaf for each in group.exceptions for leaf in leaves(each)]
    return [group]


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
            nursery.start_soon(partial(pipeline.process_input_stream, receive, close_input=True))
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
