"""A whole job by `process()`: what each item costs, whatever the options of the pipeline and its stages.

Timed around the whole block, so starting and stopping the pipeline count.
"""

from time import perf_counter
from typing import Any

import anyio
from harness.line import BACKENDS, STAGES, emit_per_item, identity, numbers, on_loop, options

from async_task_pipeline import AsyncTaskPipeline

FUNCTIONS: dict[str, Any] = {"in threads": identity, "on the loop": on_loop}
FEEDS: dict[str, Any] = {"iterable": range, "async iterable": numbers}


async def job(items: int, given: dict[str, Any]) -> float:
    """Pass the items through and return the seconds it took."""
    pipeline: AsyncTaskPipeline[int, Any] = AsyncTaskPipeline(**given["pipeline"])
    stage = given.get("stage", {})
    for number in range(STAGES):
        pipeline.add_stage(f"stage {number}", FUNCTIONS[given.get("function", "in threads")], **stage)
    source = FEEDS[given.get("feed", "iterable")](items)
    received = []
    begun = perf_counter()
    async with pipeline.process(source) as results:
        async for value in results:
            received.append(value)
    seconds = perf_counter() - begun
    in_order = received if stage.get("ordered", True) else sorted(received)
    if given.get("drops"):
        assert in_order == sorted(set(received))
        assert received[-1] == items - 1
    else:
        assert in_order == list(range(items))
    return seconds


if __name__ == "__main__":
    given = options()
    emit_per_item(
        "async-task-pipeline",
        lambda items: anyio.run(job, items, given, **BACKENDS[given["backend"]]),
    )
