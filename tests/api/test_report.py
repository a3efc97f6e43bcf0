"""The report of a pipeline, to the tick of a clock that only stages move.

The rule: a stage function, or the test, moves the clock, and nothing else.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import attrs
import pytest
from anyio import create_task_group
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline, DetailedTiming, ItemTimingTotals, StageTimingDetail, TimingBreakdown
from tests.support.functions import same
from tests.support.gates import AsyncGate
from tests.support.ticks import Ticks
from tests.support.waiting import PATIENCE, drain, read, until

pytestmark = pytest.mark.anyio

Pipeline = AsyncTaskPipeline[Any, Any]


def timed(ticks: Ticks, **options: Any) -> Pipeline:
    return Pipeline(enable_timing=True, clock=ticks, **options)


async def test_one_item_through_two_stages() -> None:
    pipeline = timed(ticks := Ticks())

    async def three(value: str) -> str:
        ticks.spend(3)
        return value

    def five(value: str) -> str:
        ticks.spend(5)
        return value

    pipeline.add_stage("three", three).add_stage("five", five)
    async with pipeline:
        await pipeline.process_input_data("x", created_at=98.0)
        await until(lambda: pipeline.statistics().output_depth)  # it waits for the consumer
        ticks.spend(1000)  # lying in the output is the consumer's time
        assert await anext(pipeline.generate_output_stream()) == "x"
        report = pipeline.get_report()
    (item,) = report.item_breakdowns
    assert item.stages == {
        "three": StageTimingDetail(0.0, 3.0, 0.0, 3.0),
        "five": StageTimingDetail(0.0, 5.0, 0.0, 5.0),
    }
    assert item.totals == ItemTimingTotals(8.0, 2.0, 10.0, 0.8, 2.0)
    summary = report.summary
    assert (summary.bottleneck, summary.throughput, summary.avg_total_latency) == ("five", 1 / 8, 10.0)
    assert report.analysis_metadata["pipeline_running"] is True
    (whole,) = pipeline.completed_items
    assert whole.get_detailed_timing("five") == DetailedTiming(103.0, 103.0, 108.0, 108.0)
    assert pipeline.stages[1].total_processing_time == 5.0
    ended = pipeline.get_report(include_item_details=False)
    assert ended.analysis_metadata["pipeline_running"] is False
    assert ended.item_breakdowns == []
    assert ended.summary == report.summary


@pytest.mark.parametrize("kind", ["thread", "async"])
async def test_each_value_of_a_generator_has_its_own_computation(kind: str) -> None:
    pipeline = timed(ticks := Ticks())

    def three(value: int) -> Iterator[int]:
        for each in (1, 2, 4):
            ticks.spend(each)
            yield each
        ticks.spend(8)  # after the last value: spent, and nobody's

    async def three_async(value: int) -> AsyncIterator[int]:
        for each in three(value):
            yield each

    pipeline.add_stage("three", three if kind == "thread" else three_async)
    assert await drain(pipeline, [0]) == [1, 2, 4]
    report = pipeline.get_report()
    assert [each.stages["three"].computation_time for each in report.item_breakdowns] == [1.0, 2.0, 4.0]
    assert [each.stages["three"].queue_wait_time for each in report.item_breakdowns] == [0.0, 1.0, 3.0]
    statistics = report.summary.stage_statistics["three"]
    assert (statistics.processed_count, statistics.avg_processing_time) == (3, 5.0)
    assert statistics.unproductive_computation_time == 0.0
    siblings = pipeline.completed_items
    assert len({id(item.get_detailed_timing("three")) for item in siblings}) == 3


async def test_outcomes_of_every_kind_are_counted_apart() -> None:
    pipeline = timed(ticks := Ticks(), return_exceptions=True)

    async def choose(value: int) -> int | None:
        ticks.spend(value)
        if value == 2:
            return None
        if value == 4:
            raise ValueError(value)
        return value

    pipeline.add_stage("choose", choose)
    async with pipeline:
        for value in (1, 2, 4):
            await pipeline.process_input_data(value)
        output = pipeline.generate_output_stream()
        assert await anext(output) == 1
        assert isinstance(await anext(output), ValueError)
        await pipeline.process_input_data(8)
        await until(lambda: pipeline.statistics().output_depth)  # it waits for the consumer
        await pipeline.interrupt()
        report = pipeline.get_report()
    assert report.summary.total_items == 1
    choose_ = report.summary.stage_statistics["choose"]
    assert (choose_.processed_count, choose_.filtered_count, choose_.failed_count) == (4, 1, 1)
    assert choose_.unproductive_computation_time == 6.0
    assert choose_.timing_breakdown.avg_computation_time == 1.0
    assert pipeline.stages[0].total_processing_time == 15.0


async def test_the_last_item_is_in_the_report_the_moment_it_is_delivered() -> None:
    pipeline = timed(Ticks(), timing_history=3).add_stage("same", same)
    async with pipeline.process(range(10)) as results:
        count = 0
        async for _ in results:
            count += 1
            report = pipeline.get_report()
            assert report.summary.total_items == count
            assert len(report.item_breakdowns) == min(count, 3)
            assert [item.data for item in pipeline.completed_items] == [*range(10)][max(0, count - 3) : count]


async def test_without_a_history_the_summary_is_whole() -> None:
    pipeline = timed(Ticks(), timing_history=0).add_stage("same", same)
    assert await drain(pipeline, range(300)) == list(range(300))
    report = pipeline.get_report()
    assert (report.summary.total_items, report.item_breakdowns, pipeline.completed_items) == (300, [], [])


async def test_the_intervals_of_all_stages_sum_to_the_latency_on_a_real_clock() -> None:
    async def turn(value: int) -> int:
        await checkpoint()
        return value

    def twice(value: int) -> Iterator[int]:
        yield value
        yield value

    pipeline = Pipeline(2, enable_timing=True)
    pipeline.add_stage("turn", turn).add_stage("twice", twice).add_stage("str", str)
    assert len(await drain(pipeline, range(200))) == 400
    report = pipeline.get_report()
    for item in report.item_breakdowns:
        parts = [part for each in item.stages.values() for part in attrs.astuple(each)[:3]]
        parts.append(item.totals.admission_time)
        assert min(parts) >= 0
        assert sum(parts) == pytest.approx(item.totals.total_latency, abs=1e-9)
    whole = sum(each.avg_latency for each in report.summary.stage_statistics.values())
    whole += sum(each.totals.admission_time for each in report.item_breakdowns) / 400
    assert report.summary.avg_total_latency == pytest.approx(whole, abs=1e-9)


async def test_a_created_at_that_is_no_number_is_refused_and_nothing_accepted() -> None:
    said = "created_at must be a number of seconds or None, not 'yesterday'"
    yesterday: Any = "yesterday"
    async with timed(Ticks()).add_stage("same", same) as pipeline:
        with pytest.raises(TypeError, match=said):
            await pipeline.process_input_data(1, yesterday)
        with pytest.raises(TypeError, match=said):
            pipeline.put_input_data(1, yesterday)
        assert pipeline.statistics().accepted == 0


@pytest.mark.parametrize("created_at", [100.5, float("nan"), float("inf"), float("-inf"), 10**400, -(10**400)])
async def test_a_created_at_that_cannot_be_right_counts_as_unknown_and_is_logged_once_in_a_run(created_at, caplog):
    """0.1.10: latencies were negative, or the report could not be made."""
    pipeline = timed(Ticks()).add_stage("same", same)
    for _ in range(2):
        caplog.clear()
        async with pipeline:
            await pipeline.process_input_data(1, created_at)
            pipeline.put_input_data(2, created_at)
            assert await read(pipeline, 2) == [1, 2]
        (message,) = [each for each in caplog.messages if "created_at" in each]
        assert message.startswith(f"created_at={repr(created_at)[:6]}")
        assert " counts as unknown" in message
        assert "which says 100.0" in message
    report = pipeline.get_report()
    assert {each.totals.admission_time for each in report.item_breakdowns} == {0.0}


HELD = ["held", "behind it", "waits"]


async def held() -> AsyncIterator[str]:
    for each in HELD:
        yield each


@pytest.mark.parametrize("source", [held, lambda: iter(HELD)], ids=["async", "thread"])
async def test_an_item_of_a_stream_is_created_when_it_is_read(source: Any) -> None:
    """0.1.10: the same, so that the wait for room is part of the latency."""
    ticks, gate = Ticks(), AsyncGate("held")
    pipeline = timed(ticks, max_queue_size=1).add_stage("gate", gate)
    async with pipeline, create_task_group() as tg:
        tg.start_soon(pipeline.process_input_stream, source())
        await gate.entered()
        await until(lambda: ticks.asked_by["read"] == 3)  # each item was created, in whatever thread
        ticks.spend(7)
        gate.open()
        assert await read(pipeline, 3) == HELD
    breakdowns = [each.get_timing_breakdown() for each in pipeline.completed_items]
    assert [each and each.totals.admission_time for each in breakdowns] == [0.0, 0.0, 7.0]


async def test_a_report_is_ready_for_json_and_frozen() -> None:
    pipeline = timed(Ticks()).add_stage("same", same)
    assert await drain(pipeline, [1, 2]) == [1, 2]
    report = pipeline.get_report()
    data = attrs.asdict(report)
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    item, stage = report.item_breakdowns[0], report.summary.stage_statistics["same"]
    records = [report, report.summary, report.summary.overall_efficiency, item, item.totals, item.stages["same"]]
    for each in [*records, stage, stage.timing_breakdown, stage.queue_wait]:
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(each, attrs.fields(type(each))[0].name, 0)


class Work:
    """A stage that takes 20 seconds, each after a permit."""

    def __init__(self, ticks: Ticks) -> None:
        self.ticks = ticks
        self._permits = threading.Semaphore(0)

    def permit(self) -> None:
        self._permits.release()

    def __call__(self, data):
        assert self._permits.acquire(timeout=PATIENCE / 2), "nobody gave a permit"
        self.ticks.spend(20)
        return data


async def test_queue_wait_is_the_time_in_the_queue():
    """0.1.10: always 0.0, here where the five items waited 0, 20, 40, 60 and 80 s."""
    work = Work(ticks := Ticks())
    pipeline = timed(ticks).add_stage("work", work)
    async with pipeline:
        output = pipeline.generate_output_stream()
        for i in range(5):
            await pipeline.process_input_data(i)
        for i in range(5):
            work.permit()
            assert await anext(output) == i
        report = pipeline.get_report()
    expected = [StageTimingDetail(wait, 20.0, 0.0, wait + 20.0) for wait in (0.0, 20.0, 40.0, 60.0, 80.0)]
    assert [each.stages["work"] for each in report.item_breakdowns] == expected
    assert report.summary.stage_statistics["work"].timing_breakdown == TimingBreakdown(20.0, 40.0, 0.0, 20 / 60)


async def test_waiting_for_room_downstream_is_transmission():
    """0.1.10: the time blocked in ``put`` and the work of a generator were one number."""
    work = Work(ticks := Ticks())
    pipeline = timed(ticks, max_queue_size=1).add_stage("work", work)
    async with pipeline:
        for i in range(2):
            await pipeline.process_input_data(i)
            work.permit()
            await until(lambda i=i: pipeline.stages[0].total_processing_time == 20.0 * (i + 1))
            await until(pipeline.output_queue.full)
        ticks.spend(50)  # the second result waits for the first to be taken
        assert await read(pipeline, 2) == [0, 1]
        details = [each.stages["work"] for each in pipeline.get_report().item_breakdowns]
    assert [(each.computation_time, each.transmission_time) for each in details] == [(20.0, 0.0), (20.0, 50.0)]


async def test_siblings_of_one_fan_out_have_their_own_times():
    """0.1.10: five items shared one dict: five equal latencies, where they step by 20."""
    work = Work(ticks := Ticks())

    def generate(data):
        for i in range(5):
            work(data)
            yield i

    pipeline = timed(ticks).add_stage("generate", generate).add_stage("same", same)
    async with pipeline:
        output = pipeline.generate_output_stream()
        await pipeline.process_input_data("go")
        for i in range(5):
            work.permit()
            assert await anext(output) == i
        latencies = [each.totals.total_latency for each in pipeline.get_report().item_breakdowns]
        items = pipeline.completed_items
    assert latencies == [20.0, 40.0, 60.0, 80.0, 100.0]
    assert [item.get_total_latency() for item in items] == latencies
    items[0].record_completion_time("generate")
    items[0].record_completion_time("later")
    assert [item.get_total_latency() for item in items[1:]] == latencies[1:]
    assert len({id(item.get_detailed_timing("same")) for item in items}) == 5


async def test_filtered_and_failed_calls_are_counted_and_their_time_is_kept():
    """0.1.10: 40 calls, "processed 16"; with everything filtered there was no report."""
    ticks = Ticks()

    def stage(data):
        ticks.spend(data % 4 + 1)
        if data % 4 == 3:
            raise LookupError(data)
        return None if data % 4 else data

    pipeline = timed(ticks).add_stage("stage", stage, on_error="drop")
    assert await drain(pipeline, range(40)) == list(range(0, 40, 4))
    flow = pipeline.statistics().stages["stage"]
    assert (flow.accepted, flow.delivered, flow.filtered, flow.failed) == (40, 10, 20, 10)
    reported = pipeline.get_report().summary.stage_statistics["stage"]
    assert (reported.processed_count, reported.filtered_count, reported.failed_count) == (40, 20, 10)
    assert reported.unproductive_computation_time == 90.0
    (counted,) = pipeline.stages  # the average is per outcome of every kind
    assert (counted.processed_count, counted.get_average_processing_time()) == (40, 2.5)
    assert counted.total_processing_time == 100.0

    pipeline = timed(ticks).add_stage("none", lambda _: None)
    assert await drain(pipeline, range(5)) == []
    summary = pipeline.get_report().summary
    assert (summary.total_items, summary.stage_statistics["none"].filtered_count) == (0, 5)


async def test_a_stage_may_be_named_totals():
    """0.1.10: it vanished from the breakdowns: ``stages={}``."""
    pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("totals", same).add_stage("stages", str)
    assert await drain(pipeline, range(3)) == ["0", "1", "2"]
    report = pipeline.get_report()
    assert list(report.summary.stage_statistics) == list(pipeline.statistics().stages) == ["totals", "stages"]
    assert [list(each.stages) for each in report.item_breakdowns] == [["totals", "stages"]] * 3
    assert list(attrs.asdict(pipeline.completed_items[0].get_timing_breakdown())["stages"]) == ["totals", "stages"]


async def test_nothing_leaves_a_stage_before_its_call_has_ended() -> None:
    """Not even if the call ends while the loop looks at the clock."""
    loop, begin, one_ended, looking, two_written = threading.get_ident(), *(threading.Event() for _ in range(4))
    instants, by_worker = itertools.count(), itertools.count(1)

    def clock() -> float:
        now = next(instants)
        if threading.get_ident() != loop:
            number = next(by_worker)
            if number == 2:  # the first call has ended
                one_ended.set()
            elif number == 5:  # the third begins, so what came of the second is written
                two_written.set()
        elif one_ended.is_set():
            looking.set()
            two_written.wait(PATIENCE)
        return now

    def slow(value: int) -> int:
        (looking if value == 2 else begin).wait(PATIENCE)
        return value

    pipeline = Pipeline(4, enable_timing=True, clock=clock).add_stage("slow", slow)
    async with pipeline:
        await pipeline.process_input_stream([1, 2, 3], close_input=True)
        await until(lambda: not pipeline.input_queue.qsize())
        begin.set()
        assert [each async for each in pipeline.generate_output_stream()] == [1, 2, 3]
    report = pipeline.get_report()
    assert [each.stages["slow"].transmission_time > 0 for each in report.item_breakdowns] == [True] * 3
