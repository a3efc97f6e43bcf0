"""Faults D8 and D9 of 0.1.10: what timing cost in memory, and the report in time.

The rule: neither may depend on how many items went through. Memory is what the
interpreter has allocated, and time the number of calls made, so no clock is involved.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc

import pytest
from anyio import fail_after

from async_task_pipeline import AsyncTaskPipeline

pytestmark = pytest.mark.anyio

PATIENCE = 60


async def drain(pipeline, items) -> int:
    delivered = 0
    async with pipeline.process(items) as results:
        async for _ in results:
            delivered += 1
    return delivered


async def test_d08_completed_items_are_the_last_thousand():
    """0.1.10: all of them, for ever: 4 KB an item with four stages."""
    pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("same", lambda x: x)
    with fail_after(PATIENCE):
        assert await drain(pipeline, range(3000)) == 3000
    assert [item.data for item in pipeline.completed_items] == list(range(2000, 3000))
    report = pipeline.get_report()
    assert (report.summary.total_items, len(report.item_breakdowns)) == (3000, 1000)


async def test_d08_memory_does_not_grow_with_the_items():
    """0.1.10: 2 KB an item with one stage, so 20 MiB for the 10,000 here."""
    pipeline = AsyncTaskPipeline(enable_timing=True, timing_history=10).add_stage("same", lambda x: x)
    with fail_after(PATIENCE):
        assert await drain(pipeline, range(2000)) == 2000
        tracemalloc.start()
        try:
            assert await drain(pipeline, range(2000)) == 2000
            gc.collect()
            before, _ = tracemalloc.get_traced_memory()
            assert await drain(pipeline, range(10_000)) == 10_000
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert pipeline.get_report().summary.total_items == 14_000
    assert after - before < 2**20


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


async def test_d09_a_report_costs_the_same_however_many_items_there_were():
    """0.1.10: every item, for every stage, on the loop: 12.9 s after 100,000 items."""
    costs = []
    for count in (1024, 10_240):
        pipeline = AsyncTaskPipeline(enable_timing=True, timing_history=100)
        for name in "abcd":
            pipeline.add_stage(name, lambda x: x)
        with fail_after(PATIENCE):
            assert await drain(pipeline, range(count)) == count
        costs.append(calls_of(pipeline.get_report))
    few, many = costs
    assert many < 2 * few
