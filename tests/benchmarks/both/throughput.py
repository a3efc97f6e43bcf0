"""0.1.10's own way to do a job, one source for both libraries: what each accepted item costs.

Timed from the first item fed to the last one received; `start()` and `stop()` stay outside.
"""

import logging
from time import perf_counter
from typing import Any

import anyio
from harness.line import BACKENDS, STAGES, emit_per_item, identity, numbers, options

from async_task_pipeline import AsyncTaskPipeline

# 0.1.10 configures the root logger at import, with a rich handler at the lowest level.
logging.disable(logging.INFO)


async def job(items: int, bound: int, timing: bool) -> float:
    """Pass the items through and return the seconds it took."""
    pipeline: AsyncTaskPipeline[Any, Any] = AsyncTaskPipeline(max_queue_size=bound, enable_timing=timing)
    for number in range(STAGES):
        pipeline.add_stage(f"stage {number}", identity)
    await pipeline.start()
    received = 0
    begun = perf_counter()
    async with anyio.create_task_group() as group:
        group.start_soon(pipeline.process_input_stream, numbers(items))
        async for value in pipeline.generate_output_stream():
            assert value == received
            received += 1
            # 0.1.10's output never ends by itself.
            if received == items:
                break
    seconds = perf_counter() - begun
    await pipeline.stop()
    return seconds


if __name__ == "__main__":
    given = options()
    emit_per_item(
        "async-task-pipeline",
        lambda items: anyio.run(job, items, given["bound"], given["timing"], **BACKENDS[given["backend"]]),
    )
