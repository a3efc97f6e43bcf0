"""G4: With timing on, the report's memory does not grow with the number of items.

The rule: memory is what the interpreter has allocated, and time the number of calls made, so no
clock is involved.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc

import pytest

from async_task_pipeline import AsyncTaskPipeline
from tests.support.functions import same

pytestmark = pytest.mark.anyio


async def count_results(pipeline, items) -> int:
    async with pipeline.process(items) as results:
        return len([None async for _ in results])


async def test_the_reports_memory_does_not_grow_with_the_items():
    """Ten times the items, the same memory, but for a few buckets of the sketches."""
    pipeline = AsyncTaskPipeline(100, True, timing_history=50).add_stage("one", same).add_stage("two", same)
    await count_results(pipeline, range(2_000))
    gc.collect()
    tracemalloc.start()
    try:
        await count_results(pipeline, range(500))
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        await count_results(pipeline, range(10_000))
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    report = pipeline.get_report()
    assert (report.summary.total_items, len(report.item_breakdowns)) == (12_500, 50)
    # A busy machine fills more buckets; 40 bytes an item is less than any object takes.
    assert grown < 400_000


async def test_completed_items_are_the_last_thousand():
    """0.1.10: all of them, for ever: 4 KB an item with four stages."""
    pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("same", same)
    assert await count_results(pipeline, range(1500)) == 1500
    assert [item.data for item in pipeline.completed_items] == list(range(500, 1500))
    report = pipeline.get_report()
    assert (report.summary.total_items, len(report.item_breakdowns)) == (1500, 1000)


def calls_of(function) -> int:
    """How many calls, of Python and C functions, one call of a function makes."""
    calls = 0

    def count(frame, event, argument) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    previous = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(previous)
    return calls


async def test_a_report_costs_the_same_however_many_items_there_were():
    """0.1.10: every item, for every stage, on the loop: 12.9 s after 100,000 items."""
    costs = []
    for count in (512, 5_120):
        pipeline = AsyncTaskPipeline(enable_timing=True, timing_history=100)
        for name in "abcd":
            pipeline.add_stage(name, same)
        assert await count_results(pipeline, range(count)) == count
        costs.append(calls_of(pipeline.get_report))
    few, many = costs
    assert many < 2 * few
