"""One item at a time through four stages: from handing it in to having it back."""

import logging
from time import perf_counter
from typing import Any

import anyio
from harness.line import BACKENDS, STAGES, emit, identity, options, percentiles

from async_task_pipeline import AsyncTaskPipeline

# 0.1.10 configures the root logger at import, with a rich handler at the lowest level.
logging.disable(logging.INFO)


async def job(items: int) -> list[float]:
    """Return the seconds each item took."""
    pipeline: AsyncTaskPipeline[Any, Any] = AsyncTaskPipeline()
    for number in range(STAGES):
        pipeline.add_stage(f"stage {number}", identity)
    await pipeline.start()
    output = pipeline.generate_output_stream()
    taken = []
    for number in range(items + items // 10):
        begun = perf_counter()
        await pipeline.process_input_data(number, begun)
        value = await anext(output)
        taken.append(perf_counter() - begun)
        assert value == number
    await pipeline.stop()
    # The first ones warm caches and threads up.
    return taken[items // 10 :]


if __name__ == "__main__":
    given = options()
    seconds = anyio.run(job, given["items"], **BACKENDS[given["backend"]])
    emit("async-task-pipeline", items=len(seconds), **percentiles(seconds))
