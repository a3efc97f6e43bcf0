"""What `put_input_data` costs the thread that calls it, while there is room, against `queue.Queue.put`.

The puts come in bursts. The next one waits until the last item of the one before has come out of
four stages, and the bound is a burst's: so each put finds room, and only the puts are timed.
"""

import threading
from collections.abc import Callable
from queue import Queue
from statistics import median
from time import perf_counter
from typing import Any

import anyio
from anyio.to_thread import run_sync
from harness.chain import chained
from harness.line import BACKENDS, STAGES, emit, identity, options

from async_task_pipeline import AsyncTaskPipeline


def puts(put: Callable[[int], None], out: threading.Semaphore, burst: int, bursts: int) -> float:
    """Return the median seconds of one put; ``out`` tells that a burst has come out."""
    taken = []
    for _ in range(bursts):
        begun = perf_counter()
        for number in range(burst):
            put(number)
        taken.append((perf_counter() - begun) / burst)
        out.acquire()
    return median(taken)


def by_queue(burst: int, bursts: int) -> float:
    """Return the seconds of one put into a chain of threads over queues."""
    links: list[Queue[Any]] = [Queue(burst) for _ in range(STAGES + 1)]
    out = threading.Semaphore(0)

    def read() -> None:
        while (value := links[-1].get()) is not None:
            if value == burst - 1:
                out.release()

    reader = threading.Thread(target=read)
    with chained(links):
        reader.start()
        seconds = puts(links[0].put, out, burst, bursts)
        links[0].put(None)
        reader.join()
    return seconds


async def by_pipeline(burst: int, bursts: int) -> float:
    """Return the seconds of one put into a pipeline."""
    pipeline: AsyncTaskPipeline[int, Any] = AsyncTaskPipeline(max_queue_size=burst)
    for number in range(STAGES):
        pipeline.add_stage(f"stage {number}", identity)
    out = threading.Semaphore(0)

    async def read() -> None:
        async for value in pipeline.generate_output_stream():
            if value == burst - 1:
                out.release()

    async with pipeline, anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        seconds = await run_sync(puts, pipeline.put_input_data, out, burst, bursts)
        tasks.cancel_scope.cancel()
    return seconds


if __name__ == "__main__":
    given = options()
    job, found = (given["burst"], given["bursts"]), {}
    found["queue_us"] = median(by_queue(*job) for _ in range(given["repeats"])) * 1e6
    runs = [anyio.run(by_pipeline, *job, **BACKENDS[given["backend"]]) for _ in range(given["repeats"])]
    found["pipeline_us"] = median(runs) * 1e6
    emit("async-task-pipeline", **found)
