"""What many pipelines cost while nothing happens: CPU of the process and context switches.

Each pipeline has passed one item, so that every worker has come to life, and has a consumer
waiting on its output, as it has in a service that waits for input.
"""

import logging
from time import perf_counter, process_time
from typing import Any

import anyio
from harness.line import BACKENDS, STAGES, emit, identity, options

from async_task_pipeline import AsyncTaskPipeline

# 0.1.10 configures the root logger at import, with a rich handler at the lowest level.
logging.disable(logging.INFO)


def switches() -> tuple[int, int]:
    """Return the voluntary and the involuntary context switches so far; zeros on Windows."""
    try:
        import resource
    except ImportError:
        return (0, 0)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (usage.ru_nvcsw, usage.ru_nivcsw)


async def consume(pipeline: AsyncTaskPipeline[Any, Any], first: anyio.Event) -> None:
    """Read the output, telling when the first value has come."""
    async for _ in pipeline.generate_output_stream():
        first.set()


async def job(count: int, seconds: float) -> dict[str, float]:
    """Hold ``count`` idle pipelines for a while and return what that cost."""
    pipelines: list[AsyncTaskPipeline[Any, Any]] = []
    async with anyio.create_task_group() as group:
        for _ in range(count):
            pipeline: AsyncTaskPipeline[Any, Any] = AsyncTaskPipeline()
            for number in range(STAGES):
                pipeline.add_stage(f"stage {number}", identity)
            await pipeline.start()
            pipelines.append(pipeline)
            first = anyio.Event()
            group.start_soon(consume, pipeline, first)
            await pipeline.process_input_data(0, perf_counter())
            await first.wait()
        await anyio.sleep(seconds / 4)
        voluntary, involuntary = switches()
        cpu, begun = process_time(), perf_counter()
        await anyio.sleep(seconds)
        cpu, elapsed = process_time() - cpu, perf_counter() - begun
        ended = switches()
        group.cancel_scope.cancel()
    for pipeline in pipelines:
        await pipeline.stop()
    return {
        "percent_of_a_core": cpu / elapsed * 100,
        "voluntary_per_second": (ended[0] - voluntary) / elapsed,
        "involuntary_per_second": (ended[1] - involuntary) / elapsed,
    }


if __name__ == "__main__":
    given = options()
    costs = anyio.run(job, given["pipelines"], given["seconds"], **BACKENDS[given["backend"]])
    emit("async-task-pipeline", pipelines=given["pipelines"], **costs)
