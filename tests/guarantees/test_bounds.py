"""G3 and G4: what is inside is bounded, and so is what the report remembers.

The rule: the formula of the documentation is checked from outside, by counting what a
source was asked for while nobody reads the output.
"""

from __future__ import annotations

import gc
import threading
import tracemalloc
from collections.abc import AsyncIterator, Iterator

import anyio
import pytest
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline

pytestmark = pytest.mark.anyio

PATIENCE = 60


async def settled(pipeline: AsyncTaskPipeline[int, str], expected: int) -> int:
    """Wait until as many are inside, and then until nothing moves any more; return how many are."""
    with anyio.fail_after(PATIENCE):
        while pipeline.statistics().inside < expected:
            await checkpoint()
    inside, still = -1, 0
    while still < 200:
        await anyio.sleep(0)
        now = pipeline.statistics()
        state = (now.inside, tuple(flow.delivered for flow in now.stages.values()))
        still = still + 1 if state == inside else 0
        inside = state
        await anyio.to_thread.run_sync(lambda: None)  # let the worker threads run
    return pipeline.statistics().inside


@pytest.mark.parametrize("size", [1, 2, 7])
@pytest.mark.parametrize("stages", [1, 3])
async def test_g03_an_idle_consumer_bounds_what_is_inside(anyio_backend: object, size: int, stages: int) -> None:
    """At most (2 * stages + 1) * max_queue_size, and an async source is one item ahead."""
    asked = 0

    async def source() -> AsyncIterator[int]:
        nonlocal asked
        while True:
            asked += 1
            yield asked

    pipeline: AsyncTaskPipeline[int, str] = AsyncTaskPipeline(size)
    for index in range(stages):
        pipeline.add_stage(f"s{index}", lambda value: value)
    async with pipeline.process(source()):
        inside = await settled(pipeline, (2 * stages + 1) * size)
        assert inside == (2 * stages + 1) * size
        assert asked == inside + 1
        for link in pipeline.queues:
            assert link.qsize() <= size
        for flow in pipeline.statistics().stages.values():
            assert flow.peak_queue_depth <= size


async def test_g03_a_source_read_by_a_thread_is_one_queue_ahead(anyio_backend: object) -> None:
    """A blocking iterable is read ahead by at most max_queue_size, plus one in hand."""
    asked = 0

    def source() -> Iterator[int]:
        nonlocal asked
        while True:
            asked += 1
            yield asked

    pipeline: AsyncTaskPipeline[int, str] = AsyncTaskPipeline(3).add_stage("s", lambda value: value)
    async with pipeline.process(source()):
        assert await settled(pipeline, 9) == 9
        assert asked <= 9 + 3 + 1


async def test_g03_what_a_thread_has_read_meanwhile_is_accepted_as_far_as_there_is_room(anyio_backend: object) -> None:
    """All of it, though the loop stood still and it is more than one step moves."""
    entered, gate, stand_still, read = (threading.Event() for _ in range(4))

    def source() -> Iterator[int]:
        yield 0
        assert stand_still.wait(PATIENCE)
        yield from range(1, 3_000)
        read.set()
        assert gate.wait(PATIENCE)

    def hold(value: int) -> int:
        entered.set()
        assert gate.wait(PATIENCE)
        return value

    pipeline: AsyncTaskPipeline[int, str] = AsyncTaskPipeline(5_000).add_stage("hold", hold)
    try:
        with anyio.fail_after(PATIENCE):
            async with pipeline.process(source()):
                while not entered.is_set():
                    await checkpoint()
                stand_still.set()
                assert read.wait(PATIENCE)  # in the loop's thread
                while pipeline.statistics().accepted < 3_000:
                    await checkpoint()
                gate.set()
    finally:
        gate.set()


async def test_g03_a_generator_stage_is_held_back_between_yields(anyio_backend: object) -> None:
    """An endless generator makes no more than there is room for."""
    made = 0

    def endless(value: int) -> Iterator[int]:
        nonlocal made
        while True:
            made += 1
            yield made

    pipeline: AsyncTaskPipeline[int, str] = AsyncTaskPipeline(2).add_stage("endless", endless)
    async with pipeline:
        await pipeline.process_input_data(0)
        inside = await settled(pipeline, 3)
        assert 2 < inside <= 4, inside
        assert made <= 4, made


async def test_g03_a_bound_of_one_means_one(anyio_backend: object) -> None:
    """One item in the link, one with the worker, and the third put has to wait."""
    gate = anyio.Event()

    async def hold(value: int) -> int:
        await gate.wait()
        return value

    pipeline: AsyncTaskPipeline[int, str] = AsyncTaskPipeline(1).add_stage("hold", hold)
    async with pipeline:
        await pipeline.process_input_data(1)
        while pipeline.statistics().stages["hold"].in_call == 0:
            await checkpoint()
        await pipeline.process_input_data(2)
        with pytest.raises(anyio.WouldBlock):
            pipeline.put_input_data(3)
        gate.set()


async def test_g04_the_reports_memory_does_not_grow_with_the_items(anyio_backend: object) -> None:
    """Ten times the items, the same memory, but for a few buckets of the sketches."""
    pipeline: AsyncTaskPipeline[int, str] = AsyncTaskPipeline(100, True, timing_history=50)
    pipeline.add_stage("one", lambda value: value).add_stage("two", lambda value: value)

    async def deliver(count: int) -> None:
        async with pipeline.process(range(count)) as results:
            async for _ in results:
                pass

    await deliver(2_000)
    gc.collect()
    tracemalloc.start()
    try:
        await deliver(500)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        await deliver(20_000)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    report = pipeline.get_report()
    assert report is not None
    assert (report.summary.total_items, len(report.item_breakdowns)) == (22_500, 50)
    # A busy machine fills more buckets; 25 bytes an item is less than any object takes.
    assert grown < 500_000
