"""Emptying one queue while the pipeline runs: counted, and the end of input is kept."""

from __future__ import annotations

import threading

import pytest
from anyio import fail_after, to_thread, wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline
from tests.cancelling import assert_law

pytestmark = pytest.mark.anyio

PATIENCE = 60


async def test_what_waits_for_a_stage_is_dropped_and_the_end_kept():
    gate, entered = threading.Event(), threading.Event()

    def stand(item):
        entered.set()
        assert gate.wait(PATIENCE)
        return item

    pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("stand", stand)
    with fail_after(PATIENCE):
        async with pipeline:
            for item in range(3):
                await pipeline.process_input_data(item)
            await pipeline.process_input_sentinel("end of turn")
            await to_thread.run_sync(entered.wait)
            pipeline.close_input()
            while pipeline.input_queue.qsize() < 4:
                await checkpoint()
            pipeline.stages[0].clear_input_queue()
            assert pipeline.statistics().stages["stand"].dropped == 2
            gate.set()
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

    pipeline = AsyncTaskPipeline(enable_timing=True, clock=clock).add_stage("same", lambda item: item)
    with fail_after(PATIENCE), pytest.raises(ZeroDivisionError):
        async with pipeline:
            output = pipeline.generate_output_stream()
            for item in range(4):
                await pipeline.process_input_data(item)
                await anext(output)


async def test_an_exception_that_waits_in_place_of_an_item_is_dropped_and_counted_once():
    gate, entered = threading.Event(), threading.Event()

    def stand(item):
        entered.set()
        assert gate.wait(PATIENCE)
        return item

    pipeline = AsyncTaskPipeline(return_exceptions=True).add_stage("divide", lambda x: 1 / x).add_stage("stand", stand)
    with fail_after(PATIENCE):
        async with pipeline:
            for item in (1, 0, 2):
                await pipeline.process_input_data(item)
            await to_thread.run_sync(entered.wait)
            await pipeline.process_input_sentinel("end of turn")
            while pipeline.statistics().stages["stand"].queue_depth < 3:
                await checkpoint()
            pipeline.stages[1].clear_input_queue()
            pipeline.close_input()
            gate.set()
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
    with fail_after(PATIENCE), pytest.raises(ZeroDivisionError):
        async with pipeline:
            await pipeline.process_input_data(1)
            await anext(pipeline.generate_output_stream())
    assert not pipeline.running
    assert_law(pipeline)


async def test_an_interrupt_in_the_step_of_a_failure_leaves_the_items_to_the_end():
    broken = threading.Event()

    def clock():
        return 1 / (not broken.is_set())

    async def same(item):
        return item

    pipeline = AsyncTaskPipeline(1, enable_timing=True, clock=clock).add_stage("same", same)
    with fail_after(PATIENCE), pytest.raises(ZeroDivisionError):
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
