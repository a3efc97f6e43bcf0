"""A whole job by `process()`: what each item costs, from an iterable or an async iterable.

Timed around the whole block, so starting and stopping the pipeline count.
"""

from collections.abc import AsyncIterator
from time import perf_counter

import anyio
from harness.line import BACKENDS, STAGES, emit_per_item, identity, options

from async_task_pipeline import AsyncTaskPipeline


async def numbers(items: int) -> AsyncIterator[int]:
    """Yield the items as an async source that never waits."""
    for number in range(items):
        yield number


async def job(items: int, bound: int, timing: bool, feed: str) -> float:
    """Pass the items through and return the seconds it took."""
    pipeline: AsyncTaskPipeline[int, object] = AsyncTaskPipeline(max_queue_size=bound, enable_timing=timing)
    for number in range(STAGES):
        pipeline.add_stage(f"stage {number}", identity)
    source = range(items) if feed == "iterable" else numbers(items)
    received = 0
    begun = perf_counter()
    async with pipeline.process(source) as results:
        async for value in results:
            assert value == received
            received += 1
    seconds = perf_counter() - begun
    assert received == items
    return seconds


if __name__ == "__main__":
    given = options()
    emit_per_item(
        "async-task-pipeline",
        lambda items: anyio.run(
            job,
            items,
            given["bound"],
            given["timing"],
            given["feed"],
            **BACKENDS[given["backend"]],
        ),
    )
