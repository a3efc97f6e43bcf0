"""What the timing of many items costs: the time of `get_report()` and the memory held.

One pipeline passes more and more items. With ``trace`` the memory is what tracemalloc counts
(exact, but it slows everything several times); without, the times are true and the memory is the
resident set's.
"""

import gc
import logging
import tracemalloc
from pathlib import Path
from time import perf_counter
from typing import Any

import anyio
from harness.line import BACKENDS, STAGES, emit, identity, options

from async_task_pipeline import AsyncTaskPipeline

# 0.1.10 configures the root logger at import, with a rich handler at the lowest level.
logging.disable(logging.INFO)

MIB = 2**20


def resident() -> float | None:
    """Return the resident set in MiB, where the system tells it."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * 4096 / MIB if statm.exists() else None


async def feed(pipeline: AsyncTaskPipeline[Any, Any], items: int) -> None:
    """Hand the items in one by one; this way exists in both libraries and keeps input open."""
    for number in range(items):
        await pipeline.process_input_data(number, perf_counter())


def timed_report(pipeline: AsyncTaskPipeline[Any, Any], details: bool) -> float:
    """Return the milliseconds of one report."""
    begun = perf_counter()
    report = pipeline.get_report(include_item_details=details)
    assert report is not None
    return (perf_counter() - begun) * 1e3


def read_off(pipeline: AsyncTaskPipeline[Any, Any], traced: bool) -> dict[str, float | None]:
    """Return what the pipeline holds and what its report costs now."""
    gc.collect()
    memory = tracemalloc.get_traced_memory()[0] / MIB if traced else resident()
    return {
        "memory_mib": memory,
        "report_ms": timed_report(pipeline, details=True),
        "summary_ms": timed_report(pipeline, details=False),
    }


async def job(sizes: list[int], traced: bool) -> dict[str, float | None]:
    """Return what was read off at each size, as ``<key>_<size>``."""
    pipeline: AsyncTaskPipeline[Any, Any] = AsyncTaskPipeline(enable_timing=True)
    for number in range(STAGES):
        pipeline.add_stage(f"stage {number}", identity)
    await pipeline.start()
    output = pipeline.generate_output_stream()
    read: dict[str, float | None] = {}
    passed = 0
    for size in sizes:
        async with anyio.create_task_group() as group:
            group.start_soon(feed, pipeline, size - passed)
            for _ in range(size - passed):
                await anext(output)
        passed = size
        for key, value in read_off(pipeline, traced).items():
            read[f"{key}_{size}"] = value
    await pipeline.stop()
    return read


if __name__ == "__main__":
    given = options()
    if given["trace"]:
        tracemalloc.start()
    emit(
        "async-task-pipeline",
        **anyio.run(job, given["sizes"], given["trace"], **BACKENDS[given["backend"]]),
    )
