"""What a report says of turns and interrupts, to the tick of a clock moved by hand.

The rule: a stage function, or the test, moves the clock, and nothing else. A call that has to be running
when the interrupt comes waits for an event of the test.
"""

from __future__ import annotations

import threading
from typing import Any

import attrs
import pytest
from anyio import Event, create_task_group, sleep_forever, to_thread
from hypothesis import given
from hypothesis import strategies as st

from async_task_pipeline import AsyncTaskPipeline, TurnStatistics
from async_task_pipeline._engine._item import PASSED, TimedItem
from async_task_pipeline._timing._turns import TurnHistory, computation
from tests.support.functions import same
from tests.support.gates import Gate
from tests.support.ticks import Ticks
from tests.support.waiting import PATIENCE, until, until_waiting

pytestmark = pytest.mark.anyio


Pipeline = AsyncTaskPipeline[Any, Any]


def turns_of(pipeline: Pipeline) -> list[TurnStatistics]:
    return pipeline.get_report().turns


async def test_a_turn_that_runs_its_course() -> None:
    ticks = Ticks()

    def two(value: str) -> str:
        ticks.spend(2)
        return value

    pipeline = Pipeline(enable_timing=True, clock=ticks).add_stage("two", two)
    async with pipeline:
        output = pipeline.generate_output_stream()
        async with pipeline.turn() as turn:
            ticks.spend(5)
            await turn.put("a")
            assert await anext(output) == "a"
            await turn.put("b")
            assert await anext(output) == "b"
        assert turns_of(pipeline) == [TurnStatistics(1, 100.0, 7.0, False, 2, 0, 0.0)]
        assert [item.turn for item in pipeline.completed_items] == [1, 1]


@pytest.mark.parametrize("kind", ["thread", "async"])
async def test_a_call_cut_short_is_wasted_when_it_has_ended(kind: str) -> None:
    ticks, entered, opened = Ticks(), threading.Event(), threading.Event()

    def three(value: str) -> str:
        if value == "stale":  # the clock is everybody's: not while the next stage is in its call
            ticks.spend(3)
        return value

    def blocks(value: str) -> str:
        if value == "stale":
            entered.set()
            assert opened.wait(PATIENCE)
            ticks.spend(10)
        return value

    async def waits(value: str) -> str:
        if value == "stale":
            entered.set()
            try:
                await sleep_forever()
            finally:
                ticks.spend(10)
        return value

    pipeline = Pipeline(enable_timing=True, clock=ticks)
    pipeline.add_stage("three", three).add_stage("slow", blocks if kind == "thread" else waits)
    async with pipeline:
        async with pipeline.turn() as turn:
            await turn.put("stale")
            await to_thread.run_sync(entered.wait)
            await turn.put("behind")
            await until(lambda: pipeline.statistics().stages["slow"].accepted == 2)
            receipt = await pipeline.interrupt()
        assert receipt.total == 2
        opened.set()
        output = pipeline.generate_output_stream()
        await pipeline.process_input_data("new")
        assert await anext(output) == "new"
        first, second = turns_of(pipeline)
        assert attrs.astuple(first) == (1, 100.0, None, True, 0, 2, 13.0)
        assert (second.number, second.interrupted, second.delivered, second.dropped) == (2, False, 1, 0)
        report = pipeline.get_report()
        assert report.summary.stage_statistics["slow"].unproductive_computation_time == 10.0
        interrupts = report.interrupts
        assert (interrupts.total, interrupts.with_calls, interrupts.max_time_to_idle) == (1, 1, 10.0)
        assert interrupts.time_to_idle.p50 == 10.0
        assert [item.turn for item in pipeline.completed_items] == [2]


async def test_results_of_one_call_waste_it_once() -> None:
    ticks = Ticks()

    def parse(value: int) -> int:
        ticks.spend(4)
        return value

    def words(value: int) -> Any:
        for number in range(3):
            ticks.spend(1)
            yield number

    pipeline = Pipeline(enable_timing=True, clock=ticks).add_stage("parse", parse).add_stage("words", words)
    async with pipeline:
        await pipeline.process_input_data(0)
        await until(
            lambda: pipeline.statistics().output_depth == 3 and not pipeline.statistics().stages["words"].inside
        )
        receipt = await pipeline.interrupt()
        assert receipt.total == 3
        (turn,) = turns_of(pipeline)
        assert (turn.dropped, turn.wasted_computation, turn.interrupted) == (3, 7.0, True)


async def test_waiting_producers_are_dropped_with_their_turn() -> None:
    gate = Gate()
    pipeline = Pipeline(max_queue_size=1, enable_timing=True).add_stage("gate", gate)
    async with pipeline, create_task_group() as tg:
        for number in range(6):
            tg.start_soon(pipeline.process_input_data, number)
        await until_waiting(pipeline, 4)
        await pipeline.interrupt()
        gate.open()
        await until(lambda: pipeline.statistics().dropped == 6)
        await pipeline.process_input_data("new")
        assert await anext(pipeline.generate_output_stream()) == "new"
        first, second = turns_of(pipeline)
        assert (first.number, first.dropped, first.interrupted) == (1, 6, True)
        assert (second.number, second.delivered) == (2, 1)


async def test_an_open_turn_is_interrupted_though_nothing_was_inside() -> None:
    pipeline = Pipeline(enable_timing=True).add_stage("same", same)
    async with pipeline:
        output = pipeline.generate_output_stream()
        begun = Event()

        async def speak() -> None:
            async with pipeline.turn() as turn:
                await turn.put(0)
                begun.set()
                await sleep_forever()

        async with create_task_group() as tg:
            tg.start_soon(speak)
            await begun.wait()
            assert await anext(output) == 0
            await pipeline.interrupt()
        await pipeline.process_input_data(1)
        assert await anext(output) == 1
        await pipeline.interrupt()
        first, second = turns_of(pipeline)
        assert (first.interrupted, first.delivered, first.dropped) == (True, 1, 0)
        # It had run its course: nothing of it was cut short.
        assert (second.interrupted, second.delivered, second.dropped) == (False, 1, 0)


async def test_an_interrupt_of_later_stages_is_of_the_same_turn() -> None:
    pipeline = Pipeline(enable_timing=True).add_stage("a", same).add_stage("b", same)
    async with pipeline:
        output = pipeline.generate_output_stream()
        await pipeline.process_input_data("dropped")
        await until(lambda: pipeline.statistics().output_depth == 1)
        await pipeline.interrupt(from_stage="b")
        await pipeline.process_input_data("kept")
        assert await anext(output) == "kept"
        (turn,) = turns_of(pipeline)
        assert (turn.interrupted, turn.delivered, turn.dropped) == (True, 1, 1)


async def test_clear_forgets_turns_and_cleared_queues_are_no_interrupt() -> None:
    pipeline = Pipeline(enable_timing=True).add_stage("same", same)
    async with pipeline:
        output = pipeline.generate_output_stream()
        await pipeline.process_input_data(0)
        await until(lambda: pipeline.statistics().output_depth == 1)
        pipeline.clear_output_queue()
        await pipeline.process_input_data(1)
        assert await anext(output) == 1
        (turn,) = turns_of(pipeline)
        assert (turn.interrupted, turn.delivered, turn.dropped) == (False, 1, 1)
        pipeline.clear()
        await pipeline.process_input_data(2)
        assert await anext(output) == 2
        (turn,) = turns_of(pipeline)
        assert (turn.number, turn.delivered, turn.dropped) == (2, 1, 0)


# -- the record alone -----------------------------------------------------------------------


def item(turn: int, *timestamps: float) -> TimedItem:
    return TimedItem(None, PASSED, None, list(timestamps), turn)


def test_the_oldest_turns_are_forgotten_for_good() -> None:
    history = TurnHistory(2)
    for number in (1, 2, 3):
        history.begin(number, float(number))
    history.drop([item(1, 0.0)])
    assert [turn.number for turn in history.turns()] == [2, 3]
    history.drop_waiting(1, 5)
    history.drop_waiting(3, 5)
    assert [turn.dropped for turn in history.turns()] == [0, 5]


def test_no_history_keeps_no_turn() -> None:
    history = TurnHistory(0)
    history.begin(1, 0.0)
    history.deliver([item(1, 0.0, 1.0, 2.0, 3.0)])
    assert history.turns() == []


def test_computation_is_what_the_calls_took_as_far_as_they_came() -> None:
    assert computation([item(1, 0.0)]) == 0.0
    assert computation([item(1, 0.0, 1.0, 3.0)]) == 2.0
    assert computation([item(1, 0.0, 1.0, 3.0, 4.0)]) == 2.0
    assert computation([item(1, 0.0, 1.0, 3.0, 4.0, 5.0, 9.0)]) == 6.0
    assert computation([item(1, 0.0, 1.0, 3.0, 4.0, 5.0, 9.0), item(1, 0.0, 1.0, 3.0, 4.0, 9.0, 10.0)]) == 7.0


@given(st.lists(st.lists(st.integers(1, 5), min_size=1)), st.lists(st.lists(st.integers(1, 5))))
def test_every_item_is_in_its_turn(delivered: list[list[int]], dropped: list[list[int]]) -> None:
    history = TurnHistory(10)
    for batch in delivered:
        history.deliver([item(turn, 0.0, 1.0, 2.0, 3.0) for turn in batch])
    for batch in dropped:
        history.drop([item(turn, 0.0) for turn in batch])
    for turn in history.turns():
        assert turn.delivered == sum(batch.count(turn.number) for batch in delivered)
        assert turn.dropped == sum(batch.count(turn.number) for batch in dropped)
        assert turn.interrupted == (turn.dropped > 0)
    assert {turn.number for turn in history.turns()} == {number for batch in delivered + dropped for number in batch}
