"""Requests to a local server by one async stage with a hundred workers, in order or as ready."""

from time import perf_counter

import anyio
from harness.client import Client
from harness.line import BACKENDS, emit_per_item, options
from harness.server import served

from async_task_pipeline import AsyncTaskPipeline


async def job(items: int, port: int, workers: int, ordered: bool) -> float:
    """Request every number and return the seconds it took."""
    client = Client(port)
    await client.connect(workers)
    pipeline: AsyncTaskPipeline[int, int] = AsyncTaskPipeline()
    pipeline.add_stage("get", client.get, workers=workers, ordered=ordered)
    received = []
    begun = perf_counter()
    async with pipeline.process(range(items)) as results:
        async for value in results:
            received.append(value)
    seconds = perf_counter() - begun
    await client.aclose()
    assert (received if ordered else sorted(received)) == list(range(items))
    return seconds


if __name__ == "__main__":
    given = options()
    with served(given["delay"]) as port:
        emit_per_item(
            "async-task-pipeline",
            lambda items: anyio.run(job, items, port, given["workers"], given["ordered"], **BACKENDS[given["backend"]]),
        )
