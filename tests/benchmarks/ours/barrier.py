"""How long after `interrupt()` a marker that is sent right behind it comes out of four stages.

In a storm: a stage of each kind, links of 8, a producer that never stops, a consumer that always
reads, and interrupts at moments drawn by lot. So every interrupt finds the stages full and in
calls, and the marker has the items of the new turn before and behind it. Items carry the number of
their turn: one that comes out after its turn was interrupted is stale.

Threads hand over to each other on the way, so on a machine with more to run than it has cores the
tail is its scheduler's: several milliseconds, however fast the library is.
"""

import random
from collections.abc import AsyncIterator, Iterator
from time import perf_counter

import anyio
from anyio.lowlevel import checkpoint
from harness.line import BACKENDS, emit, options, percentiles

from async_task_pipeline import AsyncTaskPipeline, Turn

BOUND = 8
PAUSE = 0.002
"""Seconds between two interrupts, at most."""
DEADLINE = 300


def in_thread(number: int) -> int:
    """Return it."""
    return number


def generator_in_thread(number: int) -> Iterator[int]:
    """Yield it twice."""
    yield number
    yield number


async def in_task(number: int) -> int:
    """Wait for nothing, but let others run."""
    await checkpoint()
    return number


async def generator_in_task(number: int) -> AsyncIterator[int]:
    """Yield it, let others run, and yield it again."""
    yield number
    await checkpoint()
    yield number


class Storm:
    """The pipeline, its producer and its consumer."""

    def __init__(self) -> None:
        self.pipeline: AsyncTaskPipeline[int, anyio.Event] = AsyncTaskPipeline(BOUND)
        self.pipeline.add_stage("thread", in_thread).add_stage("generator", generator_in_thread)
        self.pipeline.add_stage("task", in_task).add_stage("async generator", generator_in_task)
        self.turn: Turn[int, anyio.Event] | None = None
        self.begun = anyio.Event()
        self.over = 0
        self.stale = self.delivered = 0
        self.came = 0.0

    async def produce(self) -> None:
        """Put without end, in one turn after another."""
        while True:
            async with self.pipeline.turn() as self.turn:
                self.begun.set()
                while True:
                    await self.turn.put(self.turn.number)

    async def consume(self) -> None:
        """Read everything; a marker is an event to set."""
        async for each in self.pipeline.generate_output_stream():
            if isinstance(each, anyio.Event):
                self.came = perf_counter()
                each.set()
            else:
                self.delivered += 1
                self.stale += each <= self.over

    async def one(self) -> float:
        """Interrupt once; return the seconds until the marker came out."""
        assert self.turn is not None
        marker = anyio.Event()
        begun = perf_counter()
        self.over = self.turn.number
        await self.pipeline.interrupt()
        await self.pipeline.process_input_sentinel(marker)
        await marker.wait()
        return self.came - begun


async def job(interrupts: int) -> tuple[list[float], Storm]:
    """Return the seconds of each, and what the consumer has seen."""
    storm, lots, taken = Storm(), random.Random(interrupts), list[float]()
    with anyio.fail_after(DEADLINE):
        async with storm.pipeline, anyio.create_task_group() as tasks:
            tasks.start_soon(storm.consume)
            tasks.start_soon(storm.produce)
            await storm.begun.wait()
            for number in range(interrupts + interrupts // 10):
                await anyio.sleep(lots.uniform(0, PAUSE))
                seconds = await storm.one()
                if number >= interrupts // 10:  # the first ones warm caches and threads up
                    taken.append(seconds)
            tasks.cancel_scope.cancel()
    assert storm.delivered, "the producer and the stages have done nothing"
    return taken, storm


if __name__ == "__main__":
    given = options()
    seconds, seen = anyio.run(job, given["interrupts"], **BACKENDS[given["backend"]])
    emit(
        "async-task-pipeline",
        worst_us=max(seconds) * 1e6,
        stale=seen.stale,
        delivered=seen.delivered,
        **percentiles(seconds),
    )
