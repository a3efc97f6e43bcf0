"""Faults C3 and C5 of 0.1.10: ``clear`` and ``interrupt`` froze, and reset half of it.

The rule: emptying the links waits for nothing and nobody; an interrupt keeps the report
and the counters, and ``clear`` resets them together.
"""

from __future__ import annotations

import sys

import pytest
from anyio import fail_after
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline

pytestmark = pytest.mark.anyio

PATIENCE = 60


@pytest.mark.parametrize("call", ["interrupt", "clear"])
async def test_c03_emptying_the_queues_never_waits_for_an_item(call):
    """0.1.10: ``while not q.empty(): q.get()`` raced the stage for the last item.

    It froze the loop within 107 interrupts, with processor load between put and
    interrupt; at once with a short switch interval.
    """
    rounds, interval = 3000, sys.getswitchinterval()
    pipeline = AsyncTaskPipeline().add_stage("a", lambda x: x).add_stage("b", lambda x: x)
    sys.setswitchinterval(1e-5)
    try:
        with fail_after(PATIENCE):
            async with pipeline:
                for turn in range(rounds):
                    for i in range(3):
                        pipeline.put_input_data((turn, i))
                    sum(range(turn % 97 * 20))  # the stages take items meanwhile
                    if call == "interrupt":
                        await pipeline.interrupt()
                    else:
                        pipeline.clear()
                    assert pipeline.statistics().inside == 0
                    if turn % 16 == 0:
                        await checkpoint()
                await pipeline.process_input_data("new")
                pipeline.close_input()
                assert [x async for x in pipeline.generate_output_stream()] == ["new"]
    finally:
        sys.setswitchinterval(interval)


async def test_c05_interrupt_keeps_report_and_counters_and_clear_resets_both():
    """0.1.10: the report was gone and the stage's count stayed: 3 items, 13 processed."""
    pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("same", lambda x: x)
    with fail_after(PATIENCE):
        async with pipeline:
            output = pipeline.generate_output_stream()

            async def through(count) -> tuple[int, int, int]:
                for i in range(count):
                    await pipeline.process_input_data(i)
                    assert await anext(output) == i
                report = pipeline.get_report()
                total = report.summary.total_items if report is not None else 0
                return total, pipeline.stages[0].processed_count, pipeline.counter

            assert await through(10) == (10, 10, 10)
            await pipeline.interrupt()
            assert await through(0) == (10, 10, 10)
            assert await through(3) == (13, 13, 13)
            pipeline.clear()
            assert pipeline.get_report() is None
            assert pipeline.completed_items == []
            assert await through(0) == (0, 0, 0)
            assert await through(3) == (3, 3, 3)
