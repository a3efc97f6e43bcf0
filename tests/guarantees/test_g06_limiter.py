"""G6: The library never takes a token of anyio's default thread limiter, and 100 pipelines in one
process do not starve each other or the application.

The rule: as many stages are held in a call, and as many producers made to wait, as would use up
every shared thread.
"""

from __future__ import annotations

import threading

import pytest
from anyio import create_task_group, to_thread

from async_task_pipeline import AsyncTaskPipeline
from tests.support.waiting import PATIENCE, read

pytestmark = pytest.mark.anyio


async def test_two_hundred_producers_finish():
    """0.1.10: with as many as the executor has threads and one more, all hung."""
    pipeline = AsyncTaskPipeline(max_queue_size=2).add_stage("a", lambda x: x).add_stage("b", lambda x: x)

    async def produce(i) -> None:
        for k in range(5):
            await pipeline.process_input_data((i, k))

    async with pipeline, create_task_group() as producers:
        for i in range(200):
            producers.start_soon(produce, i)
        got = await read(pipeline, 1000)
    assert sorted(got) == [(i, k) for i in range(200) for k in range(5)]
    for i in range(200):
        assert [k for producer, k in got if producer == i] == list(range(5))


async def test_a_hundred_pipelines_and_the_application_do_not_starve_each_other():
    """0.1.10: six pipelines hung on a machine with two cores, and every other thread use."""
    opened, got = threading.Event(), {}
    entered = threading.Semaphore(0)

    def gate(data):
        entered.release()
        assert opened.wait(PATIENCE / 2), "nobody opened the gate"
        return data

    async def job(number) -> None:
        pipeline = AsyncTaskPipeline(max_queue_size=1).add_stage("gate", gate)
        async with pipeline.process(range(5)) as results:
            got[number] = [x async for x in results]

    def all_entered() -> bool:
        return all(entered.acquire(timeout=PATIENCE / 2) for _ in range(100))

    async with create_task_group() as tg:
        for number in range(100):
            tg.start_soon(job, number)
        # In a thread of the application: it gets one while all stages are busy.
        assert await to_thread.run_sync(all_entered)
        assert to_thread.current_default_thread_limiter().borrowed_tokens == 0
        opened.set()
    assert got == {number: list(range(5)) for number in range(100)}
