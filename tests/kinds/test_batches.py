"""A batch stage of every kind: when a batch goes, and what comes of it.

The rule: the function stands at a gate with the list it was called with, so the gate knows
every batch. ``max_wait`` is either long enough never to matter, or what is waited for.
"""

from __future__ import annotations

from functools import partial

import pytest
from anyio import create_task_group

from async_task_pipeline import AsyncTaskPipeline, StageProtocolError
from tests.kinds.functions import MineError
from tests.kinds.kinds import put
from tests.support.law import assert_law
from tests.support.waiting import drain, read, until

pytestmark = pytest.mark.anyio

NEVER = 1000.0
IN_TIME = 0.3
"""Seconds: long for a fast call on a busy machine, and short to wait for."""


def batches(kind, gate, **options):
    return kind.pipeline(partial(kind.function("batch"), gate.address), **{"max_wait": NEVER, **options})


async def test_a_batch_goes_when_full_and_before_a_sentinel_and_at_the_end(kind, gate):
    pipeline = batches(kind, gate, max_size=3, timing=True)
    entries = [1, 2, 3, 4, "filtered", "marker 1", "marker 2", 5, 6, 7, "marker 3", 8, 9]
    async with pipeline:
        await put(pipeline, entries)
        pipeline.close_input()
        got = [each async for each in pipeline.generate_output_stream()]
    assert gate.arrivals == ["[1, 2, 3]", "[4, 'filtered']", "[5, 6, 7]", "[8, 9]"]
    assert got == [
        *((1, 3), (2, 3), (3, 3), (4, 2), "marker 1", "marker 2"),
        *((5, 3), (6, 3), (7, 3), "marker 3", (8, 2), (9, 2)),
    ]
    now = pipeline.statistics()
    assert (now.accepted, now.delivered, now.filtered, now.inside) == (10, 9, 1, 0)
    assert_law(pipeline)


@pytest.mark.parametrize("max_wait", [0, 0.01])
async def test_a_batch_goes_when_its_oldest_item_has_waited(kind, gate, max_wait):
    pipeline = batches(kind, gate, max_size=100, max_wait=max_wait)
    async with pipeline:
        output = pipeline.generate_output_stream()
        for number in range(3):
            await pipeline.process_input_data(number)
            assert await anext(output) == (number, 1)
        gate.hold("[3]")
        await pipeline.process_input_data(3)
        await gate.entered("[3]")
        await put(pipeline, [4, 5])  # together: they wait for the worker longer than for each other
        gate.open()
        assert await read(pipeline, 3) == [(3, 1), (4, 2), (5, 2)]
        assert_law(pipeline)


async def test_a_batch_may_be_larger_than_a_link(kind, gate):
    pipeline = batches(kind, gate, max_size=10, size=2)
    assert await drain(pipeline, range(25)) == [(n, 10 if n < 20 else 5) for n in range(25)]


async def test_a_call_that_fails_has_failed_for_each_of_its_items(kind, gate):
    wrong = {"fails": None, "short": "a list of 2", "text": "'text'", "generator": "generator"}
    if kind.name == "pool of processes":
        del wrong["generator"]  # the pool says that it cannot pickle it
    pipeline = batches(kind, gate, max_size=3, on_error="return", timing=True)
    async with pipeline.process([each for word in wrong for each in (word, 1, 2)] + [3, 4]) as results:
        *failures, a, b = [each async for each in results]
    assert (a, b) == ((3, 2), (4, 2))
    assert len(failures) == 3 * len(wrong)
    for number, returned in enumerate(wrong.values()):
        first, *others = failures[number * 3 : number * 3 + 3]
        assert [id(each) for each in others] == [id(first)] * 2
        assert first.__notes__[-1] == "raised in stage 'stage' of the pipeline"
        if returned is None:
            assert isinstance(first, MineError)
            continue
        assert isinstance(first, StageProtocolError)
        message, _, amount = str(first).rpartition(" and returned ")
        assert message.endswith("was called with a list of 3 items, must return a list of as many results,")
        assert returned in amount
    assert pipeline.statistics().failed == len(failures)
    assert_law(pipeline)


@pytest.mark.parametrize("ordered", [True, False])
async def test_batches_side_by_side(kind, gate, ordered):
    gate.hold("[0, 1]", "[6, 7]")
    pipeline = batches(kind, gate, max_size=2, workers=2, ordered=ordered)
    async with pipeline:
        output = pipeline.generate_output_stream()
        await put(pipeline, [*range(4), "marker", *range(4, 9)])
        await gate.entered("[0, 1]")
        if not ordered:
            assert await read(pipeline, 2) == [(2, 2), (3, 2)]
        await gate.left("[2, 3]")
        gate.open("[0, 1]")
        early = [(0, 2), (1, 2), (2, 2), (3, 2)] if ordered else [(0, 2), (1, 2)]
        assert [await anext(output) for _ in range(len(early))] == early
        assert await read(pipeline, 3) == ["marker", (4, 2), (5, 2)]
        await gate.entered("[6, 7]")
        pipeline.close_input()  # which flushes the last
        if not ordered:
            assert await anext(output) == (8, 1)
        gate.open()
        rest = [(6, 2), (7, 2), (8, 1)] if ordered else [(6, 2), (7, 2)]
        assert [each async for each in output] == rest
    assert gate.most == 2 or (ordered and gate.most < 2)  # in order, one may be over before the other comes
    assert_law(pipeline)


async def test_an_interrupt_drops_what_is_set_aside_and_what_is_in_call(kind, gate, caplog):
    gate.hold("['a', 'b']")
    pipeline = batches(kind, gate, max_size=2, timing=True)
    async with pipeline:
        output = pipeline.generate_output_stream()
        await put(pipeline, "ab")
        await gate.entered("['a', 'b']")
        await put(pipeline, ["c", "marker", "d"])
        receipt = await pipeline.interrupt()
        part = receipt.dropped["stage"]
        assert (part.in_call, part.queued, receipt.busy) == (2, 2, ("stage",))
        assert pipeline.statistics().inside == 0
        assert_law(pipeline)
        assert await anext(output) == "marker"
        await put(pipeline, "ef")
        gate.open()
        assert await read(pipeline, 2) == [("e", 2), ("f", 2)]
        assert_law(pipeline)
    assert gate.most == 1
    assert [each for each in caplog.records if each.name == "async_task_pipeline"] == []  # it is no failure


async def test_an_overdue_batch_has_failed_for_each_of_its_items(kind, gate):
    gate.hold("[0, 1, 2]")
    pipeline = batches(kind, gate, max_size=3, timeout=IN_TIME, on_error="return", timing=True)
    async with pipeline:
        await put(pipeline, range(3))
        failures = await read(pipeline, 3)
        assert [type(each) for each in failures] == [TimeoutError] * 3
        gate.open()
        await put(pipeline, range(3, 6))
        assert await read(pipeline, 3) == [(3, 3), (4, 3), (5, 3)]
        assert_law(pipeline)
    now = pipeline.statistics()
    assert (now.failed, now.delivered, now.inside) == (3, 3, 0)


async def test_waiting_for_a_batch_is_queue_wait():
    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    def advance(items):
        clock.now += 4.0
        return items

    clock = Clock()
    pipeline = AsyncTaskPipeline(enable_timing=True, clock=clock)
    pipeline.add_batch_stage("stage", advance, max_size=2, max_wait=NEVER)
    async with pipeline:
        await pipeline.process_input_data(1)
        await until(pipeline.input_queue.empty)
        clock.now = 10.0
        await pipeline.process_input_data(2)
        assert await read(pipeline, 2) == [1, 2]
    details = [each.get_timing_breakdown().stages["stage"] for each in pipeline.completed_items]
    assert [each.queue_wait_time for each in details] == [10.0, 0.0]
    assert [each.computation_time for each in details] == [4.0, 4.0]  # each was computed as long as its batch
    assert pipeline.stages[0].total_processing_time == 4.0  # and the seconds were spent once


async def test_no_batch_is_lost_between_two_threads():
    """A worker that has just ended a call looks while the loop is putting items in."""
    pipeline = AsyncTaskPipeline(4)
    for number in range(3):
        pipeline.add_batch_stage(f"stage {number}", lambda items: items, max_size=1, max_wait=NEVER, workers=2)
    async with pipeline, create_task_group() as tg:
        tg.start_soon(pipeline.process_input_stream, iter(range(1000)))
        assert await read(pipeline, 1000) == [*range(1000)]
    assert_law(pipeline)
