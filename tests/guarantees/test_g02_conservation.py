"""G2: ``accepted + fanned out = delivered + filtered + failed + dropped + inside``, exactly, at
every quiet moment, as counters a user can read. Nothing else removes an item.

The rule: a put or a read is cancelled at every moment it could be, by anyio's scopes and natively
on asyncio, which respects neither scope nor shield; a put that raises was not accepted, a read that
raises took nothing.
"""

from __future__ import annotations

import asyncio
import itertools
import threading

import pytest
from anyio import BusyResourceError, CancelScope, create_task_group, fail_after, wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline
from tests.support.backends import ASYNCIO
from tests.support.functions import same, same_on_loop
from tests.support.gates import Gate
from tests.support.law import assert_law
from tests.support.switching import switching_every
from tests.support.waiting import drain, read, rest_of, until, until_waiting

pytestmark = pytest.mark.anyio


async def test_a_cancelled_put_is_not_delivered():
    """0.1.10: item 5 was cancelled and came out all the same."""
    gate, returned = Gate(), []
    pipeline = AsyncTaskPipeline(max_queue_size=2).add_stage("gate", gate)
    scopes = [CancelScope() for _ in range(9)]

    async def put(i) -> None:
        with scopes[i]:
            await pipeline.process_input_data(i)
            returned.append(i)

    async with pipeline:
        await put(0)
        await gate.entered()
        for i in (1, 2, 3):
            await put(i)
        async with create_task_group() as tg:
            for i in range(4, 9):
                tg.start_soon(put, i)
            await until_waiting(pipeline, 5)
            for i in (6, 4, 8):
                scopes[i].cancel()
            gate.open()
            got = await read(pipeline, 6)
        assert await rest_of(pipeline) == []
    assert sorted(got) == sorted(returned) == [0, 1, 2, 3, 5, 7]
    assert pipeline.statistics().accepted == 6


@ASYNCIO
async def test_a_natively_cancelled_put_either_raises_or_is_delivered():
    """0.1.10: it raised and was delivered. Cancelled here in each tick around the room."""
    pipeline = AsyncTaskPipeline(max_queue_size=1).add_stage("same", same)
    accepted, got, cancelled = [], [], 0

    async def consume() -> None:
        async for x in pipeline.generate_output_stream():
            got.append(x)

    async with pipeline, create_task_group() as tg:
        tg.start_soon(consume)
        for i in range(500):
            task = asyncio.create_task(pipeline.process_input_data(i))
            for _ in range(i % 5):
                await asyncio.sleep(0)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                cancelled += 1
            else:
                accepted.append(i)
        pipeline.close_input()
    assert got == accepted
    assert pipeline.statistics().accepted == len(accepted)
    assert cancelled > 0
    assert accepted


async def test_cancelled_reads_lose_nothing():
    """0.1.10: 38 of 3,000 items lost in 385 cancelled reads; then the stream was dead."""
    got, cancelled, scope = [], 0, None
    pipeline = AsyncTaskPipeline(max_queue_size=5).add_stage("a", lambda x: x).add_stage("b", lambda x: x)

    async def disturb() -> None:
        for wait in itertools.cycle(range(7)):
            for _ in range(wait):
                await checkpoint()
            if scope is not None:
                scope.cancel()
            await checkpoint()

    with switching_every(1e-4):  # or the one who disturbs keeps the threads from the interpreter
        async with pipeline.process(iter(range(300))) as results, create_task_group() as tg:
            tg.start_soon(disturb)
            while len(got) < 300:
                with CancelScope() as scope:
                    got.append(await anext(results))
                cancelled += scope.cancelled_caught
            tg.cancel_scope.cancel()
    assert got == list(range(300))
    assert cancelled > 0


@ASYNCIO
async def test_natively_cancelled_reads_lose_nothing():
    """0.1.10: the executor thread took the item, and nobody was there to get it."""
    got, cancelled = [], 0
    pipeline = AsyncTaskPipeline(max_queue_size=5).add_stage("a", lambda x: x)
    async with pipeline.process(iter(range(500))) as results:
        for turn in itertools.count():
            if len(got) == 500:
                break
            task = asyncio.create_task(results.__anext__())
            for _ in range(turn % 4):
                await asyncio.sleep(0)
            task.cancel()
            try:
                got.append(await task)
            except asyncio.CancelledError:
                cancelled += 1
    assert got == list(range(500))
    assert cancelled > 0


async def test_the_output_can_be_read_after_a_timeout():
    """0.1.10: the generator was finished: StopAsyncIteration ever after."""
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    async with pipeline:
        output = pipeline.generate_output_stream()
        for i in range(3):
            with pytest.raises(TimeoutError), fail_after(0.001):
                await anext(output)
            await pipeline.process_input_data(i)
            assert await anext(output) == i


async def test_a_second_consumer_is_told_and_the_first_gets_everything():
    """0.1.10: two of them split 5 and 15 of the items; one never saw the end."""
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    got, second = [], pipeline.generate_output_stream

    async def consume() -> None:
        async for x in pipeline.generate_output_stream():
            got.append(x)

    async with pipeline, create_task_group() as tg:
        tg.start_soon(consume)
        for i in range(20):
            await until(lambda i=i: len(got) == i)
            await wait_all_tasks_blocked()
            with pytest.raises(BusyResourceError):
                await anext(second())
            await pipeline.process_input_data(i)
        pipeline.close_input()
    assert got == list(range(20))


@ASYNCIO
@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
@pytest.mark.parametrize("ticks", range(4))
async def test_a_natively_cancelled_put_raises_only_if_its_item_was_not_accepted(ticks, overflow):
    gate = Gate(0)
    pipeline = AsyncTaskPipeline(1, overflow=overflow).add_stage("gate", gate)
    async with pipeline, pipeline.turn() as turn:
        await pipeline.process_input_data(0)
        await gate.entered()
        await pipeline.process_input_data(1)
        outcomes = []
        for put in (pipeline.process_input_data, turn.put):
            before = pipeline.statistics().accepted
            task = asyncio.create_task(put(2))
            for _ in range(ticks):
                await asyncio.sleep(0)
            task.cancel()
            (raised,) = await asyncio.gather(task, return_exceptions=True)
            outcomes.append((pipeline.statistics().accepted - before, raised is None))
        gate.open()
    assert all(accepted == returned for accepted, returned in outcomes), outcomes
    assert_law(pipeline)


@pytest.mark.parametrize("there", [0, 2])
async def test_of_two_readers_the_second_is_told_also_while_the_first_lets_others_run(there):
    pipeline = AsyncTaskPipeline().add_stage("same", same_on_loop)
    begun, got, busy = [], [], []

    async def reader(name):
        begun.append(name)
        try:
            got.append((name, await anext(output)))
        except BusyResourceError:
            busy.append(name)

    async with pipeline:
        output = pipeline.generate_output_stream()
        for number in range(200):  # one read in many lets others run, and it may be that of either
            for each in (begun, got, busy):
                each.clear()
            if number == 100:
                await pipeline.process_input_data(0)
                assert await anext(output) == 0
            for item in range(there):
                await pipeline.process_input_data(item)
            await until(lambda: pipeline.statistics().output_depth == there)
            async with create_task_group() as tg:
                tg.start_soon(reader, "a")  # both begin in one tick, in any order
                tg.start_soon(reader, "b")
                await until(lambda: busy or len(got) == 2)
                if not there:
                    await pipeline.process_input_data(0)
            assert got[0] == (begun[0], 0)
            if there:  # whoever lets nobody run has read before the other begins
                got.extend([("rest", await anext(output)) for _ in range(2 - len(got))])
                assert [item for _, item in got] == [0, 1]
            else:
                assert (busy, len(got)) == (begun[1:], 1)


class Clock:
    """Time that passes inside the stage, and nowhere else."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, data):
        self.now += 1
        return data

    async def work_on_loop(self, data):
        return self.work(data)


@pytest.mark.parametrize("timing", [False, True])
@pytest.mark.parametrize("method", ["work", "work_on_loop"])
async def test_the_counters_of_many_runs_add_up(method, timing):
    clock = Clock()
    pipeline = AsyncTaskPipeline(enable_timing=timing, clock=clock).add_stage("work", getattr(clock, method))
    for _ in range(10):
        assert await drain(pipeline, [1, 2, 3]) == [1, 2, 3]
    (stage,) = pipeline.stages
    assert (stage.processed_count, pipeline.counter) == (30, 30)
    assert stage.total_processing_time == (30 if timing else 0)
    assert_law(pipeline)


async def test_what_waits_for_a_stage_is_dropped_and_the_end_kept():
    gate = Gate(0)
    pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("stand", gate)
    async with pipeline:
        for item in range(3):
            await pipeline.process_input_data(item)
        await pipeline.process_input_sentinel("end of turn")
        await gate.entered()
        pipeline.close_input()
        await until(lambda: pipeline.statistics().stages["stand"].queue_depth >= 4)
        pipeline.stages[0].clear_input_queue()
        assert pipeline.statistics().stages["stand"].dropped == 2
        gate.open()
        assert [each async for each in pipeline.generate_output_stream()] == [0]
        (turn,) = pipeline.get_report().turns
        assert (turn.delivered, turn.dropped, turn.interrupted) == (1, 2, False)
    assert_law(pipeline)
    pipeline.stages[0].clear_input_queue()  # not running: nothing to do
    pipeline.clear_input_queue()
    pipeline.clear_output_queue()


async def test_a_clock_that_fails_ends_the_pipeline_with_its_error():
    readings = iter([1.0] * 4)

    def clock():
        return next(readings, None) or 1 / 0

    pipeline = AsyncTaskPipeline(enable_timing=True, clock=clock).add_stage("same", same)
    with pytest.raises(ZeroDivisionError):
        async with pipeline:
            output = pipeline.generate_output_stream()
            for item in range(4):
                await pipeline.process_input_data(item)
                await anext(output)


async def test_an_exception_that_waits_in_place_of_an_item_is_dropped_and_counted_once():
    gate = Gate(1)
    pipeline = AsyncTaskPipeline(return_exceptions=True).add_stage("divide", lambda x: 1 / x).add_stage("stand", gate)
    async with pipeline:
        for item in (1, 0, 2):
            await pipeline.process_input_data(item)
        await gate.entered()
        await pipeline.process_input_sentinel("end of turn")
        await until(lambda: pipeline.statistics().stages["stand"].queue_depth >= 3)
        pipeline.stages[1].clear_input_queue()
        pipeline.close_input()
        gate.open()
        assert [each async for each in pipeline.generate_output_stream()] == [1.0]
    assert_law(pipeline)
    now = pipeline.statistics()
    assert (now.delivered, now.failed, now.dropped) == (1, 1, 1)


async def test_a_clock_that_fails_where_results_are_handed_on_ends_the_pipeline_and_nothing_more():
    """That is in a callback of the loop, out of which nothing may be raised."""
    loop, broken = threading.get_ident(), threading.Event()

    def clock():
        return 1 / (not (broken.is_set() and threading.get_ident() == loop))

    def breaks_it(item):
        broken.set()
        return item

    pipeline = AsyncTaskPipeline(enable_timing=True, clock=clock).add_stage("same", breaks_it)
    with pytest.raises(ZeroDivisionError):
        async with pipeline:
            await pipeline.process_input_data(1)
            await anext(pipeline.generate_output_stream())
    assert not pipeline.running
    assert_law(pipeline)


async def test_an_interrupt_in_the_step_of_a_failure_leaves_the_items_to_the_end():
    broken = threading.Event()

    def clock():
        return 1 / (not broken.is_set())

    pipeline = AsyncTaskPipeline(1, enable_timing=True, clock=clock).add_stage("same", same_on_loop)
    with pytest.raises(ZeroDivisionError):
        async with pipeline:
            for item in range(3):
                await pipeline.process_input_data(item)
            await wait_all_tasks_blocked()  # one waits in the output, one for room there
            broken.set()
            pipeline.clear_output_queue()  # hands on the next one in this step, and fails
            broken.clear()
            before = pipeline.statistics()
            assert (before.inside, before.dropped) == (2, 1)
            assert (await pipeline.interrupt()).total == 0
            assert pipeline.statistics() == before
            await anext(pipeline.generate_output_stream())
    assert_law(pipeline)
    assert pipeline.statistics().inside == 0
