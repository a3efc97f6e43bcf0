"""G3: Memory is bounded from source to sink, by a stated formula; ``max_queue_size=1`` means one.

The rule: the formula of the documentation is checked from outside, by counting what a source was
asked for while nobody reads the output.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import AsyncIterator, Iterator

import anyio
import pytest
from anyio import create_task_group, to_thread

from async_task_pipeline import AsyncTaskPipeline, PipelineStateError
from tests.support.gates import Gate
from tests.support.law import assert_law
from tests.support.waiting import PATIENCE, until, waiting

pytestmark = pytest.mark.anyio


async def until_quiet(pipeline: AsyncTaskPipeline[int, str], expected: int) -> int:
    """Wait until as many are inside, and then until nothing moves any more; return how many are."""
    with anyio.fail_after(PATIENCE):
        await until(lambda: pipeline.statistics().inside >= expected)
    inside, still = -1, 0
    while still < 200:
        await anyio.sleep(0)
        now = pipeline.statistics()
        state = (now.inside, tuple(flow.delivered for flow in now.stages.values()))
        still = still + 1 if state == inside else 0
        inside = state
        await anyio.to_thread.run_sync(lambda: None)  # let the worker threads run
    return pipeline.statistics().inside


@pytest.mark.parametrize("size", [1, 2, 7])
@pytest.mark.parametrize("stages", [1, 3])
async def test_an_idle_consumer_bounds_what_is_inside(anyio_backend: object, size: int, stages: int) -> None:
    """At most (2 * stages + 1) * max_queue_size, and an async source is one item ahead."""
    asked = 0

    async def source() -> AsyncIterator[int]:
        nonlocal asked
        while True:
            asked += 1
            yield asked

    pipeline: AsyncTaskPipeline[int, str] = AsyncTaskPipeline(size)
    for index in range(stages):
        pipeline.add_stage(f"s{index}", lambda value: value)
    async with pipeline.process(source()):
        inside = await until_quiet(pipeline, (2 * stages + 1) * size)
        assert inside == (2 * stages + 1) * size
        assert asked == inside + 1
        for link in (pipeline.input_queue, *pipeline.queues):
            assert link.qsize() <= size
        for flow in pipeline.statistics().stages.values():
            assert flow.peak_queue_depth <= size


async def test_a_source_read_by_a_thread_is_one_queue_ahead(anyio_backend: object) -> None:
    """A blocking iterable is read ahead by at most max_queue_size, plus one in hand."""
    asked = 0

    def source() -> Iterator[int]:
        nonlocal asked
        while True:
            asked += 1
            yield asked

    pipeline: AsyncTaskPipeline[int, str] = AsyncTaskPipeline(3).add_stage("s", lambda value: value)
    async with pipeline.process(source()):
        assert await until_quiet(pipeline, 9) == 9
        assert asked <= 9 + 3 + 1


async def test_what_a_thread_has_read_meanwhile_is_accepted_as_far_as_there_is_room(anyio_backend: object) -> None:
    """All of it, though the loop stood still and it is more than one step moves."""
    entered, gate, stand_still, read = (threading.Event() for _ in range(4))

    def source() -> Iterator[int]:
        yield 0
        assert stand_still.wait(PATIENCE)
        yield from range(1, 3_000)
        read.set()
        assert gate.wait(PATIENCE)

    def hold(value: int) -> int:
        entered.set()
        assert gate.wait(PATIENCE)
        return value

    pipeline: AsyncTaskPipeline[int, str] = AsyncTaskPipeline(5_000).add_stage("hold", hold)
    try:
        async with pipeline.process(source()):
            await until(entered.is_set)
            stand_still.set()
            assert read.wait(PATIENCE)  # in the loop's thread
            await until(lambda: pipeline.statistics().accepted >= 3_000)
            gate.set()
    finally:
        gate.set()


async def test_a_bound_of_one_means_one(anyio_backend: object) -> None:
    """One item in the link, one with the worker, and the third put has to wait."""
    gate = anyio.Event()

    async def hold(value: int) -> int:
        await gate.wait()
        return value

    pipeline: AsyncTaskPipeline[int, str] = AsyncTaskPipeline(1).add_stage("hold", hold)
    async with pipeline:
        await pipeline.process_input_data(1)
        await until(lambda: pipeline.statistics().stages["hold"].in_call != 0)
        await pipeline.process_input_data(2)
        with pytest.raises(anyio.WouldBlock):
            pipeline.put_input_data(3)
        gate.set()


async def test_input_closed_while_a_source_is_stuck_holds_up_nobody(caplog):
    caplog.set_level("INFO", "async_task_pipeline")
    asked, stuck, gate = threading.Event(), threading.Event(), Gate("first")

    def source():
        yield from ("first", "second", "third", "fourth")
        asked.set()
        assert stuck.wait(PATIENCE / 2)
        yield "too late"

    async def feed():
        with pytest.raises(PipelineStateError, match="the input of this pipeline has been closed"):
            await pipeline.process_input_stream(source())

    pipeline = AsyncTaskPipeline(2).add_stage("gate", gate)
    async with pipeline, create_task_group() as tg:
        tg.start_soon(feed)
        await gate.entered()
        await until(asked.is_set)
        pipeline.close_input()
        gate.open()
        got = [each async for each in pipeline.generate_output_stream()]
        assert got == ["first", "second", "third", "fourth"]
        stuck.set()
    assert_law(pipeline)
    assert pipeline.statistics().accepted == 4
    assert "1 item had been read from the source and was not accepted" in caplog.messages


async def same(data):
    if data == "fails":
        raise LookupError(data)
    return data


def shares(names: dict[str, int], total: int) -> None:
    """Nobody starved: a thread has to get the interpreter's lock before it can put again."""
    assert min(names.values()) >= total / len(names) / 16, names


@pytest.mark.parametrize("size", [1, 10])
@pytest.mark.parametrize("tasks", [0, 1, 2])
async def test_all_who_feed_at_once_share_the_room(tasks, size):
    """Each of them has something to put whenever there is room, so nobody is slow by chance."""
    rounds, threads, got = 20, 1 if tasks else 2, dict.fromkeys(["thread", "task" if tasks else "other thread"], 0)
    pipeline = AsyncTaskPipeline(size).add_stage("same", same)

    async def put():
        while True:
            await pipeline.process_input_data("task")

    asked = collections.Counter()

    def source(name):
        while True:
            asked[name] += 1
            yield name

    async def all_wait() -> None:
        """Nothing moves any more: the links, the worker and what the sources have read ahead are full."""
        before, still = None, 0
        while still < 5:
            await to_thread.run_sync(int)
            now = (pipeline.statistics().inside, waiting(pipeline), *asked.values())
            there = len(asked) == threads and now[1] >= tasks
            still = still + 1 if there and now == before else 0
            before = now

    async with pipeline, create_task_group() as tg:
        for _ in range(tasks):
            tg.start_soon(put)
        for name in got:
            if name != "task":
                tg.start_soon(pipeline.process_input_stream, source(name))
        output = pipeline.generate_output_stream()
        for _ in range(8 * size):  # let in before all were there
            await anext(output)
        for _ in range(rounds):
            await all_wait()
            for _ in range(size):
                got[await anext(output)] += 1
        tg.cancel_scope.cancel()
    shares(got, rounds * size)
