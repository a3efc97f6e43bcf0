"""Work in C that releases the GIL: four equal stages against the same calls one after another.

A plain chain of threads over queues runs beside them: it shows what this machine can give.
"""

import hashlib
from statistics import median
from time import perf_counter

import anyio
from harness.chain import through
from harness.line import BACKENDS, STAGES, emit, options

from async_task_pipeline import AsyncTaskPipeline


def digest(block: bytes) -> bytes:
    """Hash the block and pass it on, so that every stage has the same work."""
    hashlib.sha256(block).digest()
    return block


def sequential(block: bytes, items: int) -> float:
    """Return the seconds of all calls in one thread."""
    begun = perf_counter()
    for _ in range(items):
        value = block
        for _ in range(STAGES):
            value = digest(value)
    return perf_counter() - begun


async def piped(block: bytes, items: int) -> float:
    """Return the seconds of the same work as a pipeline."""
    pipeline: AsyncTaskPipeline[bytes, object] = AsyncTaskPipeline()
    for number in range(STAGES):
        pipeline.add_stage(f"stage {number}", digest)
    received = 0
    begun = perf_counter()
    async with pipeline.process(block for _ in range(items)) as results:
        async for _ in results:
            received += 1
    seconds = perf_counter() - begun
    assert received == items
    return seconds


if __name__ == "__main__":
    given = options()
    block, items = bytes(given["block"]), given["items"]
    sequential(block, max(items // 10, 1))
    runs: dict[str, list[float]] = {"sequential": [], "pipeline": [], "threads": []}
    for _ in range(given["repeats"]):
        runs["sequential"].append(sequential(block, items))
        runs["pipeline"].append(anyio.run(piped, block, items, **BACKENDS[given["backend"]]))
        runs["threads"].append(through([block] * items, 100, digest))
    emit(
        "async-task-pipeline",
        items=items,
        **{f"{name}_ms": median(seconds) * 1e3 for name, seconds in runs.items()},
    )
