"""Emptying one queue while the pipeline runs: counted, and the end of input is kept."""

from __future__ import annotations

import threading

import pytest
from anyio import fail_after, to_thread
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
