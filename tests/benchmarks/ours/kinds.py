"""One identity stage of any kind: what each item costs once its worker is there.

Timed from the first item fed to the last one received; starting and stopping stay outside, for a
process takes longer to start than the items do.
"""

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from time import perf_counter
from typing import Any

import anyio
from harness.line import BACKENDS, emit_per_item, identity, on_loop, options

from async_task_pipeline import AsyncTaskPipeline


async def job(items: int, kind: str, workers: int, pool: Any) -> float:
    """Pass the items through and return the seconds it took."""
    executor: Any = pool or kind
    pipeline: AsyncTaskPipeline[int, int] = AsyncTaskPipeline(max_queue_size=100)
    if kind == "loop":
        pipeline.add_stage("identity", on_loop, workers=workers)
    else:
        pipeline.add_stage("identity", identity, executor=executor, workers=workers)
    async with pipeline:
        output = pipeline.generate_output_stream()
        # The first one finds what is started on demand.
        await pipeline.process_input_data(0, 0.0)
        await anext(output)
        if kind == "process":
            await anyio.sleep(0.5)  # until the spare is there, too
        begun = perf_counter()
        async with anyio.create_task_group() as group:
            group.start_soon(partial(pipeline.process_input_stream, range(items), close_input=True))
            received = 0
            async for value in output:
                assert value == received
                received += 1
        seconds = perf_counter() - begun
    assert received == items
    return seconds


if __name__ == "__main__":
    given = options()
    kind, workers = given["kind"], given["workers"]
    with ExitStack() as stack:
        pool: Any = None
        if kind == "ThreadPoolExecutor":
            pool = stack.enter_context(ThreadPoolExecutor(1))
        elif kind == "ProcessPoolExecutor":
            pool = stack.enter_context(ProcessPoolExecutor(1, get_context("spawn")))
        emit_per_item(
            "async-task-pipeline",
            lambda items: anyio.run(job, items, kind, workers, pool, **BACKENDS[given["backend"]]),
        )
