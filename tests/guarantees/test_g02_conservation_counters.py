"""G2, the law of conservation, read from the counters.

The rule: counters, receipts and the one line that shows a pipeline are frozen, exact, and can be
read always.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from typing import Any

import anyio
import attrs
import pytest

from async_task_pipeline import AsyncTaskPipeline, DroppedItems, InterruptReceipt, StageFlow
from tests.support.functions import same
from tests.support.gates import AsyncGate
from tests.support.law import assert_law
from tests.support.waiting import drain, read, until

pytestmark = pytest.mark.anyio

Pipeline = AsyncTaskPipeline[Any, Any]


async def pair(value: int) -> AsyncIterator[int]:
    yield value
    yield -value


async def positive(value: int) -> int | None:
    return value if value > 0 else None


async def picky(value: int) -> int:
    if value == 2:
        raise ValueError(value)
    return value


def test_a_receipt_adds_up() -> None:
    receipt = InterruptReceipt({"a": DroppedItems(1, 2, 3), "b": DroppedItems(4)}, ("a",))
    assert receipt.total == 10
    assert InterruptReceipt().total == 0
    for each, name in ((receipt, "busy"), (DroppedItems(), "queued")):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(each, name, 1)


def test_before_the_first_start_everything_is_zero() -> None:
    pipeline = Pipeline(3)
    assert (pipeline.queues, pipeline.input_queue, pipeline.output_queue) == ([], None, None)
    assert repr(pipeline) == "<AsyncTaskPipeline stopped [no stages] accepted=0 delivered=0 inside=0>"
    pipeline.add_stage("a", positive).add_stage("b", picky)
    assert repr(pipeline) == "<AsyncTaskPipeline stopped [a 0+0 > b 0+0] accepted=0 delivered=0 inside=0>"
    now = pipeline.statistics()
    assert now.stages == {"a": StageFlow(*[0] * 10), "b": StageFlow(*[0] * 10)}
    assert set(attrs.astuple(now)[:-1]) == {0}
    assert (pipeline.counter, pipeline.running) == (0, False)


async def test_every_counter_of_a_whole_job() -> None:
    pipeline = Pipeline().add_stage("pair", pair).add_stage("positive", positive)
    pipeline.add_stage("picky", picky, on_error="drop")
    assert await drain(pipeline, [1, 2, 3]) == [1, 3]
    now = pipeline.statistics()
    flows = {name: attrs.astuple(flow)[:-1] for name, flow in now.stages.items()}
    #                accepted delivered fanned filtered failed dropped inside in_call depth
    assert flows["pair"] == (3, 6, 3, 0, 0, 0, 0, 0, 0)
    assert flows["positive"] == (6, 3, 0, 3, 0, 0, 0, 0, 0)
    assert flows["picky"] == (3, 2, 0, 0, 1, 0, 0, 0, 0)
    assert attrs.astuple(now)[:-1] == (3, 2, 3, 3, 1, 0, 0, 0, 0)
    assert pipeline.counter == 3
    assert_law(pipeline)


async def test_a_snapshot_stays_what_it_was() -> None:
    gate = AsyncGate(0)
    async with Pipeline(4).add_stage("hold", gate) as pipeline:
        for value in range(3):
            await pipeline.process_input_data(value)
        await pipeline.process_input_sentinel("end of turn")
        await gate.entered()
        before = pipeline.statistics()
        flow = before.stages["hold"]
        assert (flow.inside, flow.in_call, flow.queue_depth) == (3, 1, 3)
        assert 1 <= flow.peak_queue_depth <= 4
        assert repr(pipeline) == "<AsyncTaskPipeline running [hold 3+1] accepted=3 delivered=0 inside=3>"
        assert_law(pipeline)
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            before.accepted = 0
        gate.open()
        assert await read(pipeline, 4) == [0, 1, 2, "end of turn"]
        assert before.inside == 3
        after = pipeline.statistics()
        assert (after.delivered, after.inside, after.output_depth) == (3, 0, 0)
        assert 1 <= after.stages["hold"].peak_queue_depth <= 4


async def test_the_output_depth_counts_sentinels_and_inside_does_not() -> None:
    async with Pipeline().add_stage("positive", positive) as pipeline:
        await pipeline.process_input_data(1)
        await pipeline.process_input_sentinel(None)
        await until(lambda: pipeline.statistics().output_depth >= 2)
        now = pipeline.statistics()
        assert (now.inside, now.stages["positive"].inside) == (1, 0)
        pipeline.clear_output_queue()
        now = pipeline.statistics()
        assert (now.inside, now.output_depth, now.dropped) == (0, 0, 1)
        assert_law(pipeline)


async def test_the_counters_of_two_runs_add_up_until_cleared() -> None:
    pipeline = Pipeline().add_stage("positive", positive)
    for runs in (1, 2):
        async with pipeline.process([1, 2, -3]) as results:
            assert await anext(results) == 1
            await until(lambda: pipeline.statistics().output_depth >= 2)  # the second result and the end
        now = pipeline.statistics()
        assert (now.accepted, now.delivered, now.filtered, now.dropped) == (3 * runs, runs, runs, runs)
        assert_law(pipeline)
    assert pipeline.clear().total == 0
    now = pipeline.statistics()
    assert (now.accepted, now.delivered, now.filtered, now.dropped) == (0, 0, 0, 0)


async def test_a_stage_added_between_two_runs_is_counted_at_once() -> None:
    pipeline = Pipeline().add_stage("positive", positive)
    assert await drain(pipeline, [1]) == [1]
    pipeline.add_stage("picky", picky)
    assert list(pipeline.statistics().stages) == ["positive", "picky"]
    assert_law(pipeline)


async def test_statistics_may_be_read_in_any_thread_at_any_time() -> None:
    pipeline = Pipeline(100).add_stage("positive", positive).add_stage("same", same)
    stop = threading.Event()
    reads: list[int] = []

    def watch() -> None:
        while not stop.is_set():
            reads.append(pipeline.statistics().accepted)

    async with anyio.create_task_group() as tg:
        tg.start_soon(anyio.to_thread.run_sync, watch)
        async with pipeline.process(range(1, 3000)) as results:
            assert len([each async for each in results]) == 2999
        stop.set()
    assert reads == sorted(reads)
    assert_law(pipeline)
