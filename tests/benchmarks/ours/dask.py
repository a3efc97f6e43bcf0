"""Blocks through one stage on a Dask cluster of two processes, against `Client.map` on the same one.

The futures of the executor that the pipeline uses, submitted by hand, run beside them. All send each block there and bring it back.
"""

from importlib import import_module
from statistics import median
from time import perf_counter
from typing import Any

import anyio
from harness.line import BACKENDS, emit, options

from async_task_pipeline import AsyncTaskPipeline

# Imported by name: type checkers run where it is not installed.
distributed: Any = import_module("distributed")


def same(block: bytes) -> bytes:
    """Return the block."""
    return block


async def piped(block: bytes, items: int, workers: int, executor: Any) -> float:
    """Return the seconds by a pipeline."""
    pipeline: AsyncTaskPipeline[bytes, bytes] = AsyncTaskPipeline()
    pipeline.add_stage("same", same, executor=executor, workers=workers)
    received = 0
    begun = perf_counter()
    async with pipeline.process(block for _ in range(items)) as results:
        async for value in results:
            assert len(value) == len(block)
            received += 1
    seconds = perf_counter() - begun
    assert received == items
    return seconds


def mapped(block: bytes, items: int, client: Any) -> float:
    """Return the seconds by `Client.map`, which submits everything at once."""
    begun = perf_counter()
    results = client.gather(client.map(same, [block] * items, pure=False))
    seconds = perf_counter() - begun
    assert [len(each) for each in results] == [len(block)] * items
    return seconds


def submitted(block: bytes, items: int, executor: Any) -> float:
    """Return the seconds by the executor alone, to which everything is submitted at once."""
    begun = perf_counter()
    futures = [executor.submit(same, block) for _ in range(items)]
    results = [future.result() for future in futures]
    seconds = perf_counter() - begun
    assert [len(each) for each in results] == [len(block)] * items
    return seconds


def main() -> None:
    """Run all in turn on one cluster."""
    given = options()
    block, items = bytes(given["block"]), given["items"]
    runs: dict[str, list[float]] = {"pipeline": [], "map": [], "submit": []}
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        backend = BACKENDS[given["backend"]]
        for number in range(given["repeats"] + 1):
            seconds = {
                "pipeline": anyio.run(piped, block, items, given["workers"], client.get_executor(), **backend),
                "map": mapped(block, items, client),
                "submit": submitted(block, items, client.get_executor()),
            }
            for name in runs if number else ():  # the first ones warm it up
                runs[name].append(seconds[name])
    emit(
        "async-task-pipeline",
        items=items,
        distributed=distributed.__version__,
        **{f"{name}_us": median(seconds) / items * 1e6 for name, seconds in runs.items()},
    )


if __name__ == "__main__":
    main()
