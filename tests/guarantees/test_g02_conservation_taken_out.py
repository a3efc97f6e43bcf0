"""G2, what is taken out of a stage whose items leave as they are ready, or in batches.

The rule: whatever drops what waits there, the oldest for want of room or all of it by
``clear_input_queue``, meets no item that a call has been made for; what such a call has yielded, or
still will, comes out and is counted as if nothing had been dropped. A sentinel waits for nothing
that is gone.
"""

from __future__ import annotations

import gc
import weakref
from contextlib import asynccontextmanager

import pytest
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline
from tests.support.gates import KINDS, Gate, stubborn
from tests.support.law import assert_law
from tests.support.waiting import read, rest_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def gate():
    return Gate()


@asynccontextmanager
async def opening(gate):
    """Open it at the end, on the loop, or a test that fails would wait for what stands there."""
    try:
        yield
    finally:
        gate.open()


async def others_run():
    """Have the loop do all that it was asked for."""
    for _ in range(5):
        await checkpoint()


@pytest.mark.parametrize("timing", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_sentinel_does_not_wait_for_an_item_that_was_dropped_before_it(kind, timing):
    """The worker is busy with a stale call meanwhile, so nothing before the sentinel is in a call."""
    gate, function = stubborn(kind, "stale")
    pipeline = AsyncTaskPipeline(3, overflow="drop_oldest", enable_timing=timing)
    async with pipeline.add_stage("as ready", function, ordered=False), opening(gate):
        await pipeline.process_input_data("stale")
        await gate.entered()
        await pipeline.interrupt()
        for item in ("new", 2):  # of the three that the stage has room for
            await pipeline.process_input_data(item)
        await pipeline.process_input_sentinel("marker")
        for item in (3, 4, 5):
            await pipeline.process_input_data(item)
            assert_law(pipeline)
        assert pipeline.statistics().overflowed == 0
        for overflowed, item in ((1, 6), (2, 7)):
            await others_run()
            await pipeline.process_input_data(item)
            assert pipeline.statistics().overflowed == overflowed
            assert_law(pipeline)
        assert await read(pipeline, 1) == ["marker"]
        assert gate.calls == ["stale"]
        gate.open()
        assert sorted(await rest_of(pipeline)) == [3, 4, 5, 6, 7]
    now = pipeline.statistics()
    assert (now.accepted, now.delivered, now.dropped, now.inside) == (8, 5, 3, 0)


@pytest.mark.parametrize("timing", [False, True])
async def test_of_items_between_two_sentinels_the_oldest_is_dropped(gate, timing):
    """What is left between them still keeps their order."""
    pipeline = AsyncTaskPipeline(5, overflow="drop_oldest", enable_timing=timing)
    async with pipeline.add_stage("gate", gate, ordered=False), opening(gate):
        await pipeline.process_input_data(0)
        await gate.entered()
        await pipeline.process_input_sentinel("first")
        for item in (1, 2):
            await pipeline.process_input_data(item)
        await pipeline.process_input_sentinel("second")
        for item in range(3, 9):
            await pipeline.process_input_data(item)
        assert pipeline.statistics().overflowed == 1
        gate.open()
        rest = await rest_of(pipeline)
        assert rest[:4] == [0, "first", 2, "second"]
        assert sorted(rest[4:]) == [3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("timing", [False, True])
async def test_generators_that_have_begun_go_on_when_what_waits_is_dropped(gate, timing):
    """The first value of one has left, that of the other waits for room; each is one item all the same."""

    def words(data):
        yield data, 1
        if data == 0:
            yield data, 2
        gate(data)
        yield data, 3

    pipeline = AsyncTaskPipeline(2, enable_timing=timing)
    async with pipeline.add_stage("words", words, ordered=False, workers=2), opening(gate):
        await pipeline.process_input_data(0)
        await gate.entered()
        for item in (1, 2, 3):
            await pipeline.process_input_data(item)
        await gate.entered(2)
        pipeline.clear_input_queue()
        assert_law(pipeline)
        now = pipeline.statistics()
        assert (now.accepted, now.dropped, now.stages["words"].in_call) == (4, 2, 2)
        assert await read(pipeline, 3) == [(0, 1), (0, 2), (1, 1)]
        pipeline.clear_input_queue()  # of generators that have passed on all that they have yielded
        assert_law(pipeline)
        gate.open()
        assert sorted(await rest_of(pipeline)) == [(0, 3), (1, 3)]
    now = pipeline.statistics()
    assert (now.accepted, now.fanned_out, now.delivered, now.dropped) == (4, 3, 5, 2)


@pytest.mark.parametrize("timing", [False, True])
async def test_what_has_come_out_of_its_call_stays_with_the_sentinels_before_what_has_not(timing):
    gate, ended = Gate("held"), []

    def stage(data):
        gate(data)
        ended.append(data)
        return None if data == "filtered" else data

    pipeline = AsyncTaskPipeline(6, enable_timing=timing)
    async with pipeline.add_stage("stage", stage, ordered=False), opening(gate):
        for item in (*range(7), "filtered"):  # six fill the output
            await pipeline.process_input_data(item)
        await pipeline.process_input_sentinel("stays")
        await pipeline.process_input_data(7)
        await pipeline.process_input_data("held")
        await gate.entered()
        await pipeline.process_input_sentinel("goes")
        await pipeline.process_input_data("waits")
        await others_run()  # the stage has room for the sentinel
        assert ended == [*range(7), "filtered", 7]
        pipeline.clear_input_queue()
        assert_law(pipeline)
        assert pipeline.statistics().dropped == 1
        gate.open()
        rest = await rest_of(pipeline)
    assert rest[:8] == [*range(7), "stays"]
    assert sorted(rest[8:], key=str) == [7, "held"]
    now = pipeline.statistics()
    assert (now.accepted, now.filtered, now.delivered, now.inside) == (11, 1, 9, 0)


# -- batches ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("timing", [False, True])
async def test_what_is_set_aside_for_a_batch_is_the_oldest_that_waits(gate, timing):
    pipeline = AsyncTaskPipeline(2, overflow="drop_oldest", enable_timing=timing)
    async with pipeline.add_batch_stage("gate", gate, max_size=4, max_wait=3600), opening(gate):
        for item in range(4):
            await pipeline.process_input_data(item)
        await gate.entered()
        for overflowed, item in ((0, 4), (0, 5), (0, 6), (1, 7), (2, 8)):
            await pipeline.process_input_data(item)
            assert pipeline.statistics().overflowed == overflowed
            assert_law(pipeline)
        gate.open()
        assert await rest_of(pipeline) == [0, 1, 2, 3, 6, 7, 8]
    assert gate.calls == [[0, 1, 2, 3], [6, 7, 8]]


async def test_with_nothing_but_sentinels_behind_a_batch_the_new_item_is_dropped(gate):
    pipeline = AsyncTaskPipeline(2, overflow="drop_oldest")
    async with pipeline.add_batch_stage("gate", gate, max_size=4, max_wait=3600), opening(gate):
        for item in range(4):
            await pipeline.process_input_data(item)
        await gate.entered()
        for sentinel in ("first", "second", "third"):
            await pipeline.process_input_sentinel(sentinel)
        await pipeline.process_input_data("lost")
        assert pipeline.statistics().overflowed == 1
        assert_law(pipeline)
        gate.open()
        assert await rest_of(pipeline) == [0, 1, 2, 3, "first", "second", "third"]


# -- freeing ----------------------------------------------------------------------------------------


class Data:
    """What can be seen to be gone."""


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("timing", [False, True])
@pytest.mark.parametrize("kind", [each for each in KINDS if not each.startswith("async")])
async def test_a_stale_call_that_goes_on_keeps_nothing_that_was_dropped_beside_it(kind, timing, ordered):
    """One in a thread: a cancellation of trio's keeps the frames in which it was made while a stage deals with it."""
    gate, function = stubborn(kind)
    pipeline = AsyncTaskPipeline(4, enable_timing=timing)
    async with pipeline.add_stage("gate", function, ordered=ordered), opening(gate):
        await pipeline.process_input_data("stale")
        await gate.entered()
        dropped = weakref.WeakSet()
        for _ in range(7):  # of which the stage has room for three
            await pipeline.process_input_data(data := Data())
            dropped.add(data)
        del data
        await others_run()
        receipt = await pipeline.interrupt()
        assert (receipt.total, receipt.busy) == (8, ("gate",))
        gc.collect()
        assert len(dropped) == 0
