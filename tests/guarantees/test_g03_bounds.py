"""G3: Memory is bounded from source to sink, by a stated formula; ``max_queue_size=1`` means one.

The rule: the formula of the documentation is checked from outside, by counting what a source was
asked for while nobody reads the output.
"""

from __future__ import annotations

import collections
import threading

import anyio
import pytest
from anyio import create_task_group, to_thread
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline, PipelineStateError
from tests.support.functions import same, same_on_loop
from tests.support.gates import Gate
from tests.support.law import assert_law
from tests.support.waiting import PATIENCE, until, waiting

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("size", [1, 2, 7])
@pytest.mark.parametrize("stages", [1, 3])
async def test_an_idle_consumer_bounds_what_is_asked_of_a_source(size, stages):
    """At most (2 * stages + 1) * max_queue_size, and the source is one item ahead; read by a thread, a queue more."""
    asked = 0

    async def source():
        while True:
            yield count()

    def blocking_source():
        while True:
            yield count()

    def count() -> int:
        nonlocal asked
        asked += 1
        return asked

    for each, ahead in ((source, 1), (blocking_source, size + 1)):
        asked, most = 0, (2 * stages + 1) * size
        pipeline = AsyncTaskPipeline(size)
        for index in range(stages):
            pipeline.add_stage(f"s{index}", same)
        async with pipeline.process(each()):
            with anyio.fail_after(PATIENCE):
                await until(lambda: pipeline.statistics().inside >= most)  # noqa: B023
            for _ in range(20):
                await to_thread.run_sync(int)  # the workers get on
                await checkpoint()
            assert pipeline.statistics().inside == most
            assert most < asked <= most + ahead
            for link in (pipeline.input_queue, *pipeline.queues):
                assert link.qsize() <= size
            for flow in pipeline.statistics().stages.values():
                assert flow.peak_queue_depth <= size


async def test_what_a_thread_has_read_meanwhile_is_accepted_as_far_as_there_is_room():
    """All of it, though the loop stood still and it is more than one step moves."""
    entered, gate, stand_still, read = (threading.Event() for _ in range(4))

    def source():
        yield 0
        assert stand_still.wait(PATIENCE)
        yield from range(1, 3_000)
        read.set()
        assert gate.wait(PATIENCE)

    def hold(value):
        entered.set()
        assert gate.wait(PATIENCE)
        return value

    pipeline = AsyncTaskPipeline(5_000).add_stage("hold", hold)
    try:
        async with pipeline.process(source()):
            await until(entered.is_set)
            stand_still.set()
            assert read.wait(PATIENCE)  # in the loop's thread
            await until(lambda: pipeline.statistics().accepted >= 3_000)
            gate.set()
    finally:
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


@pytest.mark.parametrize("size", [1, 10])
@pytest.mark.parametrize("tasks", [0, 1, 2])
async def test_all_who_feed_at_once_share_the_room(tasks, size):
    """Each of them has something to put whenever there is room, so nobody is slow by chance."""
    rounds, threads, got = 20, 1 if tasks else 2, dict.fromkeys(["thread", "task" if tasks else "other thread"], 0)
    pipeline = AsyncTaskPipeline(size).add_stage("same", same_on_loop)

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
    # Nobody starved: a thread has to get the interpreter's lock before it can put again.
    assert min(got.values()) >= rounds * size / len(got) / 16, got
