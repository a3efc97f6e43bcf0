"""G15, threads: what a program of 0.1.10 calls from any thread works from any thread, or says at once that
it does not.

The rule: clearing and reading work anywhere; a put works while the loop's thread waits for the thread that
puts; what belongs on the loop never hangs elsewhere. A docstring says what 0.1.10 did if that was something
else.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest
from anyio import create_task_group, to_thread, wait_all_tasks_blocked

from async_task_pipeline import AsyncTaskPipeline, PipelineStateError
from tests.support.functions import same, same_on_loop
from tests.support.gates import AsyncGate, Gate
from tests.support.law import assert_law
from tests.support.waiting import PATIENCE, read, rest_of, until

pytestmark = pytest.mark.anyio


CLEARS = {
    "clear": AsyncTaskPipeline.clear,
    "clear_input_queue": AsyncTaskPipeline.clear_input_queue,
    "clear_output_queue": AsyncTaskPipeline.clear_output_queue,
    "stage": lambda pipeline: pipeline.stages[0].clear_input_queue(),
}
clears = pytest.mark.parametrize("name", CLEARS)
DROPPED = {"clear": 4, "clear_input_queue": 2, "clear_output_queue": 1, "stage": 2}


async def full():
    """A pipeline with an item in the output, one in a call and two behind it."""
    gate = AsyncGate("held")
    pipeline = AsyncTaskPipeline(5).add_stage("gate", gate)
    await pipeline.start()
    await pipeline.process_input_stream(["out", "held", "a", "b"])
    await gate.entered()
    await until(lambda: pipeline.output_queue.qsize() == 1)
    return pipeline, gate


@clears
@pytest.mark.parametrize("place", ["loop", "thread"])
async def test_a_clear_works_in_any_thread(name, place):
    """0.1.10: the same; a clear returned nothing."""
    pipeline, gate = await full()
    receipt = CLEARS[name](pipeline) if place == "loop" else await to_thread.run_sync(CLEARS[name], pipeline)
    now = pipeline.statistics()
    assert now.inside == 4 - DROPPED[name]
    if name == "clear":
        assert (receipt.total, now.dropped) == (4, 0)  # which begins again at zero
    else:
        assert now.dropped == DROPPED[name]
    gate.open()
    await pipeline.process_input_data("new", 0.0)
    left = {"clear": [], "clear_input_queue": ["out", "held"], "stage": ["out", "held"]}.get(name, ["held", "a", "b"])
    assert await rest_of(pipeline) == [*left, "new"]
    await pipeline.stop()


@clears
async def test_a_clear_works_from_inside_a_stage(name):
    cleared = []

    def look(x):
        if x == "clear":
            CLEARS[name](pipeline)
            cleared.append(x)
        return x

    async with AsyncTaskPipeline().add_stage("before", same_on_loop).add_stage("look", look) as pipeline:
        await pipeline.process_input_data("clear", 0.0)
        await until(lambda: cleared)
        await pipeline.process_input_data("new", 0.0)
        assert await rest_of(pipeline) == [*(["clear"] if name != "clear" else []), "new"]


@clears
@pytest.mark.parametrize("state", ["new", "stopped"])
async def test_a_clear_works_in_any_thread_when_nothing_runs(name, state):
    pipeline = AsyncTaskPipeline().add_stage("same", same_on_loop)
    if state == "stopped":
        await pipeline.start()
        await pipeline.process_input_stream([1])
        await until(lambda: pipeline.output_queue.qsize() == 1)
        await pipeline.stop()
    await to_thread.run_sync(CLEARS[name], pipeline)
    kept = state == "stopped" and name in ("clear_input_queue", "stage")
    assert pipeline.statistics().inside == kept
    assert_law(pipeline)


@clears
async def test_a_clear_that_comes_when_the_pipeline_ends_returns(name):
    """0.1.10: hung, if it met a stop that emptied the queue between two looks."""
    pipeline = AsyncTaskPipeline().add_stage("same", same_on_loop)
    async with create_task_group() as tg:
        for _ in range(20):
            async with pipeline:
                await pipeline.process_input_stream([1, 2, 3])
                tg.start_soon(to_thread.run_sync, CLEARS[name], pipeline)
    assert_law(pipeline)


async def test_everything_can_be_read_in_any_thread_while_the_pipeline_runs():
    """0.1.10: the same, but for lists that changed while they were read."""
    pipeline = AsyncTaskPipeline(5, enable_timing=True, timing_history=50)
    pipeline.add_stage("thread", same).add_stage("loop", same_on_loop)
    pipeline.add_batch_stage("batches", list, max_size=3, max_wait=0.001)
    over, rounds, errors = threading.Event(), [0, 0], []

    def look(number):
        try:
            while not over.is_set():
                rounds[number] += 1
                assert pipeline.running
                now, report = pipeline.statistics(), pipeline.get_report()
                assert now.accepted <= pipeline.counter
                if report is not None:
                    assert len(report.item_breakdowns) <= 50
                    assert report.summary.total_items <= pipeline.counter
                for item in pipeline.completed_items:
                    assert item.get_total_latency() >= 0
                assert len(pipeline.queues) == 3
                repr(pipeline)
        except BaseException as exc:
            errors.append(exc)

    async def feed():
        await pipeline.process_input_stream(range(400))
        await pipeline.process_input_sentinel("end")

    await pipeline.start()
    async with create_task_group() as tg:
        for number in (0, 1):
            tg.start_soon(to_thread.run_sync, look, number)
        tg.start_soon(feed)
        got = 0
        async for result in pipeline.generate_output_stream():
            if result == "end":
                break
            got += 1
            if got % 20 == 0:
                await pipeline.interrupt(from_stage="loop")
        await until(lambda: all(rounds) or errors)
        over.set()
    await pipeline.stop()
    assert errors == []
    assert pipeline.get_report().summary.total_items == got
    assert_law(pipeline)


async def test_threads_may_put_while_the_loops_thread_waits_for_them():
    """0.1.10: the same: a queue of its own takes the item without asking anybody."""
    pipeline = AsyncTaskPipeline(100).add_stage("same", same)
    await pipeline.start()
    with ThreadPoolExecutor(4) as pool:
        # Both block the loop until all have put.
        assert [*pool.map(lambda x: pipeline.put_input_data(x, 0.0), range(20), timeout=PATIENCE)] == [None] * 20
    thread = threading.Thread(target=pipeline.put_input_sentinel, args=("end",))
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert sorted(await read(pipeline, 20)) == [*range(20)]
    assert await read(pipeline, 1) == ["end"]
    await pipeline.stop()


def in_another_loop(call):
    """What comes of an async call in a thread with a loop of its own."""

    async def main():
        with anyio.fail_after(PATIENCE / 2):
            return await call()

    return anyio.run(main)


ELSEWHERE = {
    "stop": AsyncTaskPipeline.stop,
    "read": lambda pipeline: anext(pipeline.generate_output_stream()),
    "process_input_data": lambda pipeline: pipeline.process_input_data(1, 0.0),
    "process_input_sentinel": lambda pipeline: pipeline.process_input_sentinel(1),
    "process_input_stream": lambda pipeline: pipeline.process_input_stream([1]),
    "interrupt": AsyncTaskPipeline.interrupt,
}


@pytest.mark.parametrize("name", ["stop", "read"])  # the others: test_g02_conservation_threads.py
async def test_what_belongs_on_the_loop_says_so_in_another_thread(name):
    """0.1.10: puts and reads worked; a stop blocked that loop instead of this one."""
    async with AsyncTaskPipeline().add_stage("same", same_on_loop) as pipeline:
        with pytest.raises(PipelineStateError, match="belongs on the event loop that runs the pipeline"):
            await to_thread.run_sync(in_another_loop, lambda: ELSEWHERE[name](pipeline))
        await pipeline.process_input_data("still running", 0.0)
        assert await rest_of(pipeline) == ["still running"]


async def test_a_stream_and_a_turn_of_this_loop_say_so_in_another_thread():
    """0.1.10: an async generator, of which Python says nothing; no turns."""
    async with AsyncTaskPipeline().add_stage("same", same_on_loop) as pipeline, pipeline.turn() as turn:
        stream = pipeline.generate_output_stream()
        await turn.put(1)
        assert await anext(stream) == 1
        for call in (lambda: anext(stream), lambda: turn.put(1), lambda: turn.put_sentinel(1)):
            with pytest.raises(PipelineStateError, match="belongs on the event loop"):
                await to_thread.run_sync(in_another_loop, call)


async def test_a_consumer_of_another_loop_that_waits_for_the_start_hears_of_it():
    """0.1.10: ended at once, for nothing ran yet."""
    pipeline, met = AsyncTaskPipeline().add_stage("same", same_on_loop), []

    def consume():
        with pytest.raises(PipelineStateError, match="belongs on the event loop") as caught:
            in_another_loop(lambda: anext(pipeline.generate_output_stream()))
        met.append(caught.value)

    async with create_task_group() as tg:
        tg.start_soon(to_thread.run_sync, consume)
        await wait_all_tasks_blocked()
        await pipeline.start()
    assert len(met) == 1
    await pipeline.stop()


def test_another_loop_of_the_same_thread_is_another_loop():
    """0.1.10: puts and reads worked."""
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    with contextlib.closing(first), contextlib.closing(second):
        pipeline = AsyncTaskPipeline().add_stage("same", same_on_loop)
        first.run_until_complete(pipeline.start())
        pipeline.put_input_data("between two steps", 0.0)
        for call in ELSEWHERE.values():
            with pytest.raises(PipelineStateError, match="belongs on the event loop"):
                second.run_until_complete(asyncio.ensure_future(call(pipeline), loop=second))
        assert first.run_until_complete(read(pipeline, 1)) == ["between two steps"]
        first.run_until_complete(pipeline.stop())
        second.run_until_complete(pipeline.stop())  # which has nothing to do


@pytest.mark.parametrize("name", ["stop", "read", "interrupt"])
async def test_what_has_ended_may_be_asked_on_any_loop(name):
    pipeline = AsyncTaskPipeline().add_stage("same", same_on_loop)
    await pipeline.start()
    await pipeline.process_input_stream([1])
    await until(lambda: pipeline.output_queue.qsize() == 1)
    await pipeline.stop()
    answer = await to_thread.run_sync(in_another_loop, lambda: ELSEWHERE[name](pipeline))
    if name == "read":
        assert answer == 1


async def test_what_is_bound_to_a_thread_has_one_for_good_in_a_pool_of_one():
    """0.1.10: each stage had its thread for the whole run."""
    made, gates = [], {}

    def stage(x):
        """Needs what no other thread may touch, which is made at the first call."""
        if not made:
            made.append(sqlite3.connect(":memory:"))
        if x in gates:
            gates[x](x)
        return made[0].execute("SELECT ?", (x,)).fetchone()[0]

    with ThreadPoolExecutor(1) as pool:
        async with AsyncTaskPipeline().add_stage("stage", stage, executor=pool) as pipeline:
            for number in range(5):
                await pipeline.process_input_data(number, 0.0)
                assert await read(pipeline, 1) == [number]
                gate = gates[f"held {number}"] = Gate()
                await pipeline.process_input_data(f"held {number}", 0.0)
                await gate.entered()
                await pipeline.interrupt()
                gate.open()
        pool.submit(made[0].close).result()
