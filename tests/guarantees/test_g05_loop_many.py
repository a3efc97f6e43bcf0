"""G5, many items at once: no call of the library keeps the event loop for as long as it has items.

The rule: no clock. Each item's data tells when it is freed, and a task that runs whenever it can
looks how many were freed since it ran last: what is dropped in one step of the loop, it sees at once.
"""

from __future__ import annotations

import pytest
from anyio import create_task_group, sleep_forever, to_thread
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline
from tests.support.law import assert_law
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

BOUND = 6_144
AT_ONCE = 4_096
"""Fewer than there are in any one place; more than what is counted in the step of a call and in the next."""


class Data:
    """Tells the watch when it is freed."""

    def __init__(self, watch) -> None:
        self.watch = watch
        watch.made += 1

    def __del__(self) -> None:
        self.watch.freed += 1


class Watch:
    """How many were freed, and the most of them between two looks."""

    def __init__(self) -> None:
        self.made = self.freed = self.looked = self.most = 0

    async def keep_looking(self) -> None:
        while True:
            await checkpoint()
            self.most = max(self.most, self.freed - self.looked)
            self.looked = self.freed


async def hold(_):
    await sleep_forever()


async def put(pipeline, items):
    for item in items:
        await pipeline.process_input_data(item)


async def waiting(pipeline, watch):
    """The only stage is in a call: its window and its link are full."""
    pipeline.add_stage("hold", hold)
    await pipeline.start()
    await put(pipeline, (Data(watch) for _ in range(2 * BOUND)))
    return 2 * BOUND


async def ended(pipeline, watch, *, ordered=True):
    """Nobody reads: the output and the window are full of results, the link of items."""
    pipeline.add_stage("same", lambda data: data, ordered=ordered)
    await pipeline.start()
    await put(pipeline, (Data(watch) for _ in range(3 * BOUND)))
    await until(lambda: pipeline.statistics().stages["same"].queue_depth == BOUND)
    return 3 * BOUND


async def as_ready(pipeline, watch):
    return await ended(pipeline, watch, ordered=False)


async def expanded(pipeline, watch):
    """Nobody reads: the output is full, and the one call has yielded as much as it may."""

    def values(_):
        while True:
            yield Data(watch)

    pipeline.add_stage("values", values)
    await pipeline.start()
    await pipeline.process_input_data(None)
    await until(lambda: watch.made == 2 * BOUND)
    return 2 * BOUND


async def interrupt(pipeline):
    return (await pipeline.interrupt()).total


async def interrupt_from_thread(pipeline):
    return (await to_thread.run_sync(pipeline.interrupt_from_thread)).total


async def clear(pipeline):
    return pipeline.clear().total


async def leave(pipeline):
    await pipeline.stop()
    pipeline.clear_output_queue()  # which a stop keeps
    return pipeline.statistics().dropped


@pytest.mark.parametrize(
    ("call", "timing"),
    [(interrupt, False), (interrupt_from_thread, False), (clear, False), (leave, False), (interrupt, True)],
)
@pytest.mark.parametrize("where", [waiting, ended, as_ready, expanded])
async def test_others_run_while_many_items_are_dropped(where, call, timing):
    watch, pipeline = Watch(), AsyncTaskPipeline(BOUND, enable_timing=timing)
    async with create_task_group() as tg:
        inside = await where(pipeline, watch)
        tg.start_soon(watch.keep_looking)
        await checkpoint()
        assert watch.freed == 0
        total = await call(pipeline)
        assert_law(pipeline)
        assert pipeline.statistics().inside == 0
        if where is not expanded:
            assert total == inside
        await until(lambda: watch.freed >= inside - 1)  # a worker may have its last
        await checkpoint()
        tg.cancel_scope.cancel()
    await pipeline.stop()
    assert watch.most <= AT_ONCE
