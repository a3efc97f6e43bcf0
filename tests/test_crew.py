"""Several workers: whoever waits is told, and nobody else has to be asked.

A worker that is forgotten shows as a hang: each of these needs all of them.
"""

import threading

import anyio
import pytest

from async_task_pipeline import AsyncTaskPipeline

pytestmark = pytest.mark.anyio

WORKERS = 3


class Meeting:
    """Where calls meet: none returns before there are as many as workers."""

    def __init__(self):
        self.barrier = threading.Barrier(WORKERS, timeout=10)
        self.waiting = 0
        self.all_here = anyio.Event()

    def in_threads(self, value):
        self.barrier.wait()
        return value

    async def on_loop(self, value):
        self.waiting += 1
        if self.waiting == WORKERS:
            self.waiting = 0
            self.all_here.set()
            self.all_here = anyio.Event()
        else:
            with anyio.fail_after(10):
                await self.all_here.wait()
        return value


async def put_and_get(pipeline, output, values):
    for value in values:
        await pipeline.process_input_data(value, 0.0)
    return sorted([await anext(output) for _ in values])


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("kind", ["in_threads", "on_loop"])
async def test_as_many_workers_are_told_as_there_are_items(kind, ordered):
    pipeline = AsyncTaskPipeline().add_stage("meet", getattr(Meeting(), kind), workers=WORKERS, ordered=ordered)
    async with pipeline:
        output = pipeline.generate_output_stream()
        for start in range(0, 30 * WORKERS, WORKERS):
            values = list(range(start, start + WORKERS))
            assert await put_and_get(pipeline, output, values) == values


@pytest.mark.parametrize("kind", ["in_threads", "on_loop"])
async def test_workers_that_waited_in_an_interrupt_are_not_counted_twice(kind):
    # With on_interrupt every worker, waiting or not, gets a new session.
    pipeline = AsyncTaskPipeline().add_stage(
        "meet", getattr(Meeting(), kind), workers=WORKERS, on_interrupt=lambda: None
    )
    async with pipeline:
        output = pipeline.generate_output_stream()
        for start in range(0, 30 * WORKERS, WORKERS):
            values = list(range(start, start + WORKERS))
            assert await put_and_get(pipeline, output, values) == values
            await pipeline.interrupt()


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_a_bound_of_one_moves_on(kind, ordered):
    async def double_on_loop(value):
        for _ in range(2):
            await anyio.lowlevel.checkpoint()
            yield value

    def double(value):
        # The worker's outbox holds one outcome, or the end of the call.
        yield value
        yield value

    function = double if kind == "def" else double_on_loop
    pipeline = AsyncTaskPipeline(max_queue_size=1)
    pipeline.add_stage("double", function, workers=WORKERS, ordered=ordered)
    async with pipeline.process(range(300)) as results:
        received = [value async for value in results]
    expected = [value for value in range(300) for _ in range(2)]
    assert (received if ordered else sorted(received)) == expected
