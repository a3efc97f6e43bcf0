"""Faults D of 0.1.10: times that were not true, and a report that was not complete.

The rule: time is a clock that only the stage functions move, and they move it when the
test permits it; so every interval is a number known beforehand, compared exactly. What
timing and the report cost is in ``test_report_cost.py``.
"""

from __future__ import annotations

import threading
import time

import attrs
import pytest
from anyio import fail_after
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline

pytestmark = pytest.mark.anyio

PATIENCE = 60


class ManualClock:
    """A clock that stands still until somebody moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Work:
    """A stage that takes 20 seconds of a manual clock, each after a permit."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self._permits = threading.Semaphore(0)

    def permit(self) -> None:
        self._permits.release()

    def __call__(self, data):
        assert self._permits.acquire(timeout=PATIENCE / 2), "nobody gave a permit"
        self.clock.now += 20.0
        return data


async def until(condition) -> None:
    """Let other tasks run until the condition holds; the caller's timeout is the limit."""
    while not condition():
        await checkpoint()


async def drain(pipeline, items) -> list:
    async with pipeline.process(items) as results:
        return [x async for x in results]


async def test_d01_queue_wait_is_the_time_in_the_queue():
    """0.1.10: always 0.0, here where the five items waited 0, 20, 40, 60 and 80 s."""
    clock = ManualClock()
    work = Work(clock)
    pipeline = AsyncTaskPipeline(enable_timing=True, clock=clock).add_stage("work", work)
    with fail_after(PATIENCE):
        async with pipeline:
            output = pipeline.generate_output_stream()
            for i in range(5):
                await pipeline.process_input_data(i)
            for i in range(5):
                work.permit()
                assert await anext(output) == i
            report = pipeline.get_report()
    details = [each.stages["work"] for each in report.item_breakdowns]
    assert [each.queue_wait_time for each in details] == [0.0, 20.0, 40.0, 60.0, 80.0]
    assert [each.computation_time for each in details] == [20.0] * 5
    assert [each.transmission_time for each in details] == [0.0] * 5
    means = report.summary.stage_statistics["work"].timing_breakdown
    assert (means.avg_queue_wait_time, means.avg_computation_time, means.avg_transmission_time) == (40.0, 20.0, 0.0)
    assert means.computation_ratio == pytest.approx(1 / 3)


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_d02_the_work_of_a_generator_is_computation(kind):
    """0.1.10: 100 s of computation were booked as 0 s, and as 100 s of transmission."""
    clock = ManualClock()
    work = Work(clock)

    def generate(data):
        for i in range(5):
            work(data)
            yield i

    async def generate_async(data):
        for i in range(5):
            clock.now += 20.0
            yield i
            await until(lambda i=i: pipeline.statistics().delivered > i)

    pipeline = AsyncTaskPipeline(enable_timing=True, clock=clock)
    pipeline.add_stage("generate", generate if kind == "def" else generate_async)
    with fail_after(PATIENCE):
        async with pipeline:
            output = pipeline.generate_output_stream()
            await pipeline.process_input_data("go")
            for i in range(5):
                work.permit()
                assert await anext(output) == i
            report = pipeline.get_report()
    details = [each.stages["generate"] for each in report.item_breakdowns]
    assert [each.computation_time for each in details] == [20.0] * 5
    assert [each.transmission_time for each in details] == [0.0] * 5
    assert pipeline.stages[0].total_processing_time == 100.0


async def test_d02_waiting_for_room_downstream_is_transmission():
    """0.1.10: the time blocked in ``put`` and the work of a generator were one number."""
    clock = ManualClock()
    work = Work(clock)
    pipeline = AsyncTaskPipeline(max_queue_size=1, enable_timing=True, clock=clock).add_stage("work", work)
    with fail_after(PATIENCE):
        async with pipeline:
            output = pipeline.generate_output_stream()
            for i in range(2):
                await pipeline.process_input_data(i)
                work.permit()
                await until(lambda i=i: pipeline.stages[0].total_processing_time == 20.0 * (i + 1))
                await until(pipeline.output_queue.full)
            clock.now += 50.0  # the second result waits for the first to be taken
            assert [await anext(output) for _ in range(2)] == [0, 1]
            details = [each.stages["work"] for each in pipeline.get_report().item_breakdowns]
    assert [each.transmission_time for each in details] == [0.0, 50.0]
    assert [each.computation_time for each in details] == [20.0, 20.0]


async def test_d03_siblings_of_one_fan_out_have_their_own_times():
    """0.1.10: five items shared one dict: five equal latencies, where they step by 20."""
    clock = ManualClock()
    work = Work(clock)

    def generate(data):
        for i in range(5):
            work(data)
            yield i

    pipeline = AsyncTaskPipeline(enable_timing=True, clock=clock)
    pipeline.add_stage("generate", generate).add_stage("same", lambda x: x)
    with fail_after(PATIENCE):
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


async def test_d04_filtered_and_failed_calls_are_counted_and_their_time_is_kept():
    """0.1.10: 40 calls, "processed 16"; with everything filtered there was no report."""
    clock = ManualClock()

    def stage(data):
        clock.now += 1.0
        if data % 4 == 3:
            raise LookupError(data)
        return None if data % 4 else data

    pipeline = AsyncTaskPipeline(enable_timing=True, clock=clock).add_stage("stage", stage, on_error="drop")
    with fail_after(PATIENCE):
        assert await drain(pipeline, range(40)) == list(range(0, 40, 4))
    flow = pipeline.statistics().stages["stage"]
    assert (flow.accepted, flow.delivered, flow.filtered, flow.failed) == (40, 10, 20, 10)
    stage_report = pipeline.get_report().summary.stage_statistics["stage"]
    assert (stage_report.processed_count, stage_report.filtered_count, stage_report.failed_count) == (40, 20, 10)
    assert stage_report.unproductive_computation_time == 30.0
    assert pipeline.stages[0].total_processing_time == 40.0

    pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("none", lambda _: None)
    with fail_after(PATIENCE):
        assert await drain(pipeline, range(5)) == []
    report = pipeline.get_report()
    assert (report.summary.total_items, report.summary.stage_statistics["none"].filtered_count) == (0, 5)


async def test_d05_an_item_is_in_the_report_when_it_is_delivered():
    """0.1.10: one late: no report after the first item, 9 items after ten."""
    pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("same", lambda x: x)
    with fail_after(PATIENCE):
        async with pipeline:
            output = pipeline.generate_output_stream()
            for i in range(10):
                await pipeline.process_input_data(i)
            for i in range(10):
                assert await anext(output) == i
                report = pipeline.get_report()
                assert (report.summary.total_items, len(report.item_breakdowns)) == (i + 1, i + 1)
                assert pipeline.completed_items[-1].data == i


async def test_d06_created_at_is_optional_checked_and_never_breaks_the_report():
    """0.1.10: required; ``time.time()`` made ``get_report`` raise a validation error."""
    clock = ManualClock()
    pipeline = AsyncTaskPipeline(enable_timing=True, clock=clock).add_stage("same", lambda x: x)
    with fail_after(PATIENCE):
        async with pipeline:
            for wrong in (time.time(), clock.now + 1.0, float("nan"), float("inf")):
                with pytest.raises(ValueError, match="created_at"):
                    await pipeline.process_input_data("wrong", wrong)
                with pytest.raises(ValueError, match="created_at"):
                    pipeline.put_input_data("wrong", wrong)
            with pytest.raises(TypeError, match="created_at"):
                await pipeline.process_input_data("wrong", "yesterday")
            for at in (None, clock.now, clock.now - 30.0, 0.0):
                await pipeline.process_input_data("right", at)
            pipeline.close_input()
            assert [x async for x in pipeline.generate_output_stream()] == ["right"] * 4
    summary = pipeline.get_report().summary
    totals = [each.totals.total_latency for each in pipeline.get_report().item_breakdowns]
    assert totals == [0.0, 0.0, 30.0, 1000.0]
    assert (summary.min_total_latency, summary.max_total_latency) == (0.0, 1000.0)


def test_d07_duplicate_names_are_refused():
    """0.1.10: two stages became one entry, and one of them was lost."""
    pipeline = AsyncTaskPipeline().add_stage("twice", str)
    with pytest.raises(ValueError, match="twice"):
        pipeline.add_stage("twice", str)
    assert len(pipeline.stages) == 1


async def test_d07_a_stage_may_be_named_totals():
    """0.1.10: it vanished from the breakdowns: ``stages={}``."""
    pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("totals", lambda x: x).add_stage("stages", str)
    with fail_after(PATIENCE):
        assert await drain(pipeline, range(3)) == ["0", "1", "2"]
    report = pipeline.get_report()
    assert list(report.summary.stage_statistics) == ["totals", "stages"]
    assert [list(each.stages) for each in report.item_breakdowns] == [["totals", "stages"]] * 3
    assert list(pipeline.statistics().stages) == ["totals", "stages"]
    assert list(attrs.asdict(pipeline.completed_items[0].get_timing_breakdown())["stages"]) == ["totals", "stages"]
