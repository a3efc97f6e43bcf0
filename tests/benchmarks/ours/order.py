"""Four threads in one stage that waits, with one item in fifty slow: in order, or as ready."""

from statistics import median
from time import perf_counter, sleep

import anyio
from harness.line import BACKENDS, emit, options

from async_task_pipeline import AsyncTaskPipeline

WORKERS = 4
FAST, SLOW, EVERY = 0.001, 0.02, 50


def wait(number: int) -> int:
    """Take twenty times as long for one item in fifty."""
    sleep(SLOW if number % EVERY == 0 else FAST)
    return number


def sequential(items: int) -> float:
    """Return the seconds of all calls one after another."""
    begun = perf_counter()
    for number in range(items):
        wait(number)
    return perf_counter() - begun


async def piped(items: int, bound: int, ordered: bool) -> float:
    """Return the seconds of the same calls in a pipeline."""
    pipeline: AsyncTaskPipeline[int, int] = AsyncTaskPipeline(max_queue_size=bound)
    pipeline.add_stage("wait", wait, workers=WORKERS, ordered=ordered)
    received = []
    begun = perf_counter()
    async with pipeline.process(range(items)) as results:
        async for value in results:
            received.append(value)
    seconds = perf_counter() - begun
    assert (received if ordered else sorted(received)) == list(range(items))
    return seconds


if __name__ == "__main__":
    given = options()
    runs: dict[str, list[float]] = {"sequential": [], "ordered": [], "unordered": []}
    for _ in range(given["repeats"]):
        runs["sequential"].append(sequential(given["items"]))
        for name in ("ordered", "unordered"):
            job = (given["items"], given["bound"], name == "ordered")
            runs[name].append(anyio.run(piped, *job, **BACKENDS[given["backend"]]))
    emit(
        "async-task-pipeline",
        workers=WORKERS,
        **{f"{name}_ms": median(seconds) * 1e3 for name, seconds in runs.items()},
    )
