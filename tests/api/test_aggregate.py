"""From timestamps to a report: exact means, the same in batches as one by one, bounded memory."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from async_task_pipeline import EfficiencyMetrics, Percentiles, PipelineStage, TimingBreakdown
from async_task_pipeline._counts import Spent
from async_task_pipeline._engine._item import PASSED, TimedItem
from async_task_pipeline._timing._busy import Moment
from async_task_pipeline._timing._history import BATCH, TimingHistory

#         a: enter start end, b: enter start end, exit
FIRST = [0.0, 1.0, 3.0, 3.0, 4.0, 8.0, 8.0]
SECOND = [2.0, 3.0, 9.0, 10.0, 10.0, 10.0, 12.0]

RUNNING, ENDED = Moment(20.0, running=True), Moment(20.0, running=False)


def spent(stage: PipelineStage, began: float, seconds: float, *, unproductive: float = 0.0) -> None:
    """Let one worker have spent so much, in one go."""
    by = stage.counts.by_worker["worker"] = Spent(began)
    by.seconds, by.unproductive, by.ended = seconds, unproductive, began + seconds


def stages(*names: str) -> list[PipelineStage]:
    return [PipelineStage(name, print, enable_timing=True) for name in names]


def history(*timestamps: list[float], keep: int = 1000) -> TimingHistory:
    kept = TimingHistory(keep)
    kept.begin(["a", "b"])
    for each in timestamps:
        kept.record(TimedItem("x", PASSED, None, each))
    return kept


def test_nothing_yet_is_no_report() -> None:
    assert history().report(stages("a", "b"), RUNNING, details=True) is None
    assert TimingHistory(1).report([], ENDED, details=True) is None


def test_two_items_by_hand() -> None:
    both = stages("a", "b")
    both[0].counts.delivered = both[1].counts.delivered = 2
    spent(both[0], 1.0, 8.0)
    spent(both[1], 4.0, 4.0)
    report = history(FIRST, SECOND).report(both, RUNNING, details=True)
    summary = report.summary
    assert (summary.total_items, summary.avg_total_latency) == (2, 9.0)
    assert (summary.min_total_latency, summary.max_total_latency) == (8.0, 10.0)
    assert summary.overall_efficiency == EfficiencyMetrics((6 / 8 + 6 / 10) / 2, 1 - (6 / 8 + 6 / 10) / 2)
    assert summary.throughput == 2 / 12  # from the first acceptance at 0 to the last exit at 12
    assert (summary.bottleneck, summary.elapsed) == ("a", 12.0)
    a, b = summary.stage_statistics["a"], summary.stage_statistics["b"]
    assert (a.avg_latency, a.min_latency, a.max_latency) == (5.5, 3.0, 8.0)
    assert (a.busy_share, b.busy_share) == (8 / 12, 4 / 12)
    assert (a.avg_queue_depth, b.avg_queue_depth) == (2 / 12, 1 / 12)
    assert a.timing_breakdown == TimingBreakdown(4.0, 1.0, 0.5, 4 / 5.5)
    assert (a.processed_count, a.avg_processing_time, a.throughput) == (2, 4.0, 2 / 12)
    assert (b.avg_latency, b.min_latency, b.max_latency) == (3.5, 2.0, 5.0)
    assert b.timing_breakdown == TimingBreakdown(2.0, 0.5, 1.0, 2 / 3.5)
    assert b.queue_wait.p50 == pytest.approx(0.0, abs=1e-9)  # the lower of 0 and 1
    assert b.computation.p99 == pytest.approx(4.0, rel=0.01)
    assert report.analysis_metadata.pop("analysis_timestamp") > 0
    assert report.analysis_metadata == {"enable_timing": True, "total_stages": 2, "pipeline_running": True}


def test_items_that_took_no_time_divide_by_nothing() -> None:
    summary = history([1.0] * 7, [1.0] * 7).report(stages("a", "b"), ENDED, details=False).summary
    assert (summary.throughput, summary.bottleneck) == (0.0, None)
    assert summary.overall_efficiency == EfficiencyMetrics(0.0, 1.0)
    assert summary.stage_statistics["a"].timing_breakdown == TimingBreakdown(0.0, 0.0, 0.0, 0.0)
    assert summary.stage_statistics["a"].throughput == 0.0


def test_outcomes_without_a_delivery_make_a_report() -> None:
    both = stages("a", "b")
    both[0].counts.filtered, both[0].counts.failed, both[0].counts.dropped = 3, 2, 1
    spent(both[0], 1.0, 10.0, unproductive=10.0)
    report = history().report(both, ENDED, details=True)
    a = report.summary.stage_statistics["a"]
    assert (a.processed_count, a.filtered_count, a.failed_count, a.dropped_count) == (5, 3, 2, 1)
    assert (a.avg_processing_time, a.unproductive_computation_time) == (2.0, 10.0)
    assert a.computation == Percentiles(0.0, 0.0, 0.0)
    assert (report.summary.total_items, report.summary.bottleneck, report.item_breakdowns) == (0, "a", [])
    assert report.summary.overall_efficiency == EfficiencyMetrics(0.0, 0.0)


@pytest.mark.parametrize("count", [1, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH])
@pytest.mark.parametrize("keep", [0, 1, 5, 10_000])
def test_whatever_the_batches_the_last_items_are_kept_whole(count: int, keep: int) -> None:
    kept = TimingHistory(keep)
    kept.begin(["a", "b"])
    for index in range(count):
        kept.record(TimedItem(index, PASSED, None, [index + mark for mark in FIRST]))
    last = list(range(count))[-keep:] if keep else []
    report = kept.report(stages("a", "b"), RUNNING, details=True)
    assert report.summary.total_items == count
    assert len(report.item_breakdowns) == len(last)
    assert [item.data for item in kept.entries()] == last
    assert [item.start_timestamp for item in kept.entries()] == last


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=4), st.sampled_from([0, 1, 300, 1000]))
def test_a_report_in_between_changes_no_later_report(portions: list[int], keep: int) -> None:
    polled, single = history(keep=keep), history(keep=keep)
    for portion in portions:
        for index in range(portion):
            timestamps = [float(index * factor) for factor in range(7)]
            polled.record(TimedItem(index, PASSED, None, timestamps))
            single.record(TimedItem(index, PASSED, None, timestamps))
        polled.report(stages("a", "b"), RUNNING, details=portion % 2 == 0)
    mine = polled.report(stages("a", "b"), RUNNING, details=True)
    theirs = single.report(stages("a", "b"), RUNNING, details=True)
    assert mine.item_breakdowns == theirs.item_breakdowns
    assert mine.summary.total_items == theirs.summary.total_items == sum(portions)
    assert mine.summary.avg_total_latency == pytest.approx(theirs.summary.avg_total_latency, rel=1e-12)
    assert mine.summary.total_latency == theirs.summary.total_latency


def test_a_second_run_with_more_stages_keeps_both_apart() -> None:
    kept = TimingHistory(10)
    kept.begin(["a"])
    kept.record(TimedItem("x", PASSED, None, FIRST[:4]))
    kept.begin(["a", "b"])
    kept.record(TimedItem("y", PASSED, None, FIRST))
    report = kept.report(stages("a", "b"), RUNNING, details=True)
    assert [list(each.stages) for each in report.item_breakdowns] == [["a"], ["a", "b"]]
    assert report.summary.total_items == 2
    assert [item.get_total_latency() for item in kept.entries()] == [3.0, 8.0]


def test_clear_forgets_everything_and_goes_on() -> None:
    kept = history(FIRST, SECOND)
    kept.clear()
    both: list[Any] = stages("a", "b")
    assert kept.entries() == []
    assert kept.report(both, RUNNING, details=True) is None
    kept.record(TimedItem("z", PASSED, None, SECOND))
    report = kept.report(both, RUNNING, details=True)
    assert (report.summary.total_items, report.summary.avg_total_latency) == (1, 10.0)
    assert report.summary.throughput == 1 / 10
    assert len(report.item_breakdowns) == 1
