"""G5, long chains: a wake-up looks only at what has changed, so an item costs each stage the same,
however many stages there are.

The rule: no clock. What is counted is the calls of the library's own functions in the loop's thread.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import async_task_pipeline
from async_task_pipeline import AsyncTaskPipeline
from tests.support.functions import same, same_on_loop

pytestmark = pytest.mark.anyio

PACKAGE = str(Path(async_task_pipeline.__file__).parent)
SHORT = 10
GROWTH = 1.5
"""To visit all stages at each wake-up, or all that are busy, made it five times as much, or more."""


async def calls_of(function, *, stages: int, bound: int, items: int) -> float:
    """How often, for each item and stage, the loop's thread calls a function of the library."""
    calls = 0

    def count(frame, event, _):
        nonlocal calls
        calls += event == "call" and frame.f_code.co_filename.startswith(PACKAGE)

    pipeline = AsyncTaskPipeline(bound)
    for number in range(stages):
        pipeline.add_stage(str(number), function)
    async with pipeline.process(range(items)) as results:
        previous = sys.getprofile()
        sys.setprofile(count)
        try:
            got = [each async for each in results]
        finally:
            sys.setprofile(previous)
    assert got == [*range(items)]
    return calls / stages / items


@pytest.mark.parametrize(
    ("function", "stages", "bound", "items"),
    [(same_on_loop, 200, 1, 15), (same_on_loop, 200, 10, 40), (same_on_loop, 50, 100, 300), (same, 60, 1, 15)],
)
async def test_what_an_item_costs_a_stage_does_not_grow_with_the_chain(function, stages, bound, items):
    short = await calls_of(function, stages=SHORT, bound=bound, items=items)
    assert await calls_of(function, stages=stages, bound=bound, items=items) <= GROWTH * short
