"""Pure-Python work, which holds the GIL: stages in processes or interpreters against plain calls.

Starting workers is not part of the time, and shown beside it. A pool of two processes, which has
half of the work in each, runs beside them: it shows what this machine can give.
"""

import multiprocessing
from statistics import median
from time import perf_counter

import anyio
from harness.line import BACKENDS, STAGES, emit, options

from async_task_pipeline import AsyncTaskPipeline

LOOPS = 50_000


def count(value: int) -> int:
    """Be busy for about a millisecond, and pass the value on."""
    total = 0
    for number in range(LOOPS):
        total += number & 7
    return value + (total < 0)


def count_for_all(value: int) -> int:
    """Do the work of every stage."""
    for _ in range(STAGES):
        value = count(value)
    return value


def sequential(items: int) -> float:
    """Return the seconds of all calls one after another."""
    begun = perf_counter()
    for number in range(items):
        assert count_for_all(number) == number
    return perf_counter() - begun


def pooled(items: int) -> float:
    """Return the seconds of the same calls in two processes, told once what to do."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(count, range(2), 1)
        begun = perf_counter()
        pool.map(count_for_all, range(items), max(1, items // 8))
        return perf_counter() - begun


async def piped(items: int, executor: str, workers: int) -> tuple[float, float]:
    """Return the seconds of the same work in a pipeline, and those of its start.

    One worker: a stage for each step. More: one stage for all steps.
    """
    pipeline: AsyncTaskPipeline[int, int] = AsyncTaskPipeline()
    if workers == 1:
        for number in range(STAGES):
            pipeline.add_stage(f"stage {number}", count, executor=executor)  # type: ignore[arg-type]
    else:
        pipeline.add_stage("stage", count_for_all, executor=executor, workers=workers)  # type: ignore[arg-type]
    begun = perf_counter()
    await pipeline.start()
    output = pipeline.generate_output_stream()
    # A spare process per stage is started as well, and while it is there is less for the work.
    await anyio.sleep(1)
    started = perf_counter() - begun - 1
    seconds = 0.0
    for run in (10, items):  # the first ones find out how much a burst may hold
        begun = perf_counter()
        async with anyio.create_task_group() as group:
            group.start_soon(feed, pipeline, run)
            for number in range(run):
                assert await anext(output) == number
        seconds = perf_counter() - begun
    await pipeline.stop()
    return seconds, started


async def feed(pipeline: AsyncTaskPipeline[int, int], items: int) -> None:
    """Feed the numbers and leave the input open."""
    await pipeline.process_input_stream(range(items))


if __name__ == "__main__":
    given = options()
    items = given["items"]
    sequential(max(items // 10, 1))
    runs: dict[str, list[float]] = {"sequential": [], "pipeline": [], "start": [], "pool": []}
    for _ in range(given["repeats"]):
        runs["sequential"].append(sequential(items))
        seconds, started = anyio.run(piped, items, given["executor"], given["workers"], **BACKENDS[given["backend"]])
        runs["pipeline"].append(seconds)
        runs["start"].append(started)
        runs["pool"].append(pooled(items))
    emit(
        "async-task-pipeline",
        items=items,
        **{f"{name}_ms": median(seconds) * 1e3 for name, seconds in runs.items()},
    )
