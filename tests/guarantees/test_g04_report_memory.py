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

pytestmark = pytest.mark.anyio


async def test_the_reports_memory_does_not_grow_with_the_items(anyio_backend: object) -> None:
    """Ten times the items, the same memory, but for a few buckets of the sketches."""
    pipeline: AsyncTaskPipeline[int, str] = AsyncTaskPipeline(100, True, timing_history=50)
    pipeline.add_stage("one", lambda value: value).add_stage("two", lambda value: value)

    async def deliver(count: int) -> None:
        async with pipeline.process(range(count)) as results:
            async for _ in results:
                pass

    await deliver(2_000)
    gc.collect()
    tracemalloc.start()
    try:
        await deliver(500)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        await deliver(10_000)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    report = pipeline.get_report()
    assert report is not None
    assert (report.summary.total_items, len(report.item_breakdowns)) == (12_500, 50)
    # A busy machine fills more buckets; 40 bytes an item is less than any object takes.
    assert grown < 400_000


async def count_results(pipeline, items) -> int:
    delivered = 0
    async with pipeline.process(items) as results:
        async for _ in results:
            delivered += 1
    return delivered


async def test_completed_items_are_the_last_thousand():
    """0.1.10: all of them, for ever: 4 KB an item with four stages."""
    pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("same", lambda x: x)
    assert await count_results(pipeline, range(3000)) == 3000
    assert [item.data for item in pipeline.completed_items] == list(range(2000, 3000))
    report = pipeline.get_report()
    assert (report.summary.total_items, len(report.item_breakdowns)) == (3000, 1000)


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
    for count in (1024, 10_240):
        pipeline = AsyncTaskPipeline(enable_timing=True, timing_history=100)
        for name in "abcd":
            pipeline.add_stage(name, lambda x: x)
        assert await count_results(pipeline, range(count)) == count
        costs.append(calls_of(pipeline.get_report))
    few, many = costs
    assert many < 2 * few
