"""What `interrupt()` costs when four stages are full and each is inside a call that blocks.

An item whose value is a stage's number blocks in that stage until the gate opens. Sent last stage
first, with plain items between, they leave every stage in a call, with its link filled behind it.
"""

import threading
from statistics import median
from time import perf_counter
from typing import Any

import anyio
from harness.line import BACKENDS, STAGES, emit, options, percentiles

from async_task_pipeline import AsyncTaskPipeline

PLAIN = -1
DEADLINE = 30


class Gate:
    """Where the blocking calls of one round wait."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def stage(self, number: int) -> Any:
        """Return the function of a stage, which blocks on the item of its own number."""

        def process(value: int) -> int:
            if value == number:
                self.opened.wait()
            return value

        return process


async def fill(pipeline: AsyncTaskPipeline[int, object], bound: int) -> None:
    """Block every stage, the last one first, then fill up until nothing more is taken."""
    for number in reversed(range(STAGES)):
        await pipeline.process_input_data(number)
        for _ in range(bound):
            await pipeline.process_input_data(PLAIN)
    # Full is when the input has found no room for long enough that the stages came to rest.
    while True:
        with anyio.move_on_after(0.05) as scope:
            await pipeline.process_input_data(PLAIN)
        if scope.cancelled_caught:
            return


async def one(bound: int) -> tuple[float, int]:
    """Return the seconds of one interrupt of a full pipeline, and the items it dropped."""
    gate = Gate()
    pipeline: AsyncTaskPipeline[int, object] = AsyncTaskPipeline(max_queue_size=bound)
    for number in range(STAGES):
        pipeline.add_stage(f"stage {number}", gate.stage(number))
    try:
        with anyio.fail_after(DEADLINE):
            async with pipeline:
                await fill(pipeline, bound)
                flow = pipeline.statistics()
                assert all(stage.in_call == 1 for stage in flow.stages.values()), flow
                begun = perf_counter()
                receipt = await pipeline.interrupt()
                seconds = perf_counter() - begun
                assert receipt.total == flow.inside, (receipt, flow)
                gate.opened.set()
                # It did interrupt, and the pipeline still runs: the next item is the next output.
                await pipeline.process_input_data(PLAIN)
                assert await anext(pipeline.generate_output_stream()) == PLAIN
    finally:
        gate.opened.set()
    return seconds, receipt.total


async def job(repeats: int, bound: int) -> tuple[list[float], float]:
    """Return the seconds of each interrupt, and the median of what one dropped."""
    await one(bound)
    done = [await one(bound) for _ in range(repeats)]
    return [seconds for seconds, _ in done], median(dropped for _, dropped in done)


if __name__ == "__main__":
    given = options()
    taken, dropped = anyio.run(job, given["repeats"], given["bound"], **BACKENDS[given["backend"]])
    emit("async-task-pipeline", dropped=dropped, worst_us=max(taken) * 1e6, **percentiles(taken))
