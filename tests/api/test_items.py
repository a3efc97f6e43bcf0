"""What an item says of its journey, to the tick: timestamps in, intervals out."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_task_pipeline import DetailedTiming, ItemTimingTotals, PipelineItem, StageTimingDetail
from async_task_pipeline._engine._item import PASSED, TimedItem
from async_task_pipeline._timing._breakdown import item_breakdown

#            a: enter start end, b: enter start end, exit
TIMESTAMPS = [10.0, 11.0, 13.0, 16.0, 20.0, 25.0, 31.0]
NAMES = ("a", "b")


@pytest.mark.parametrize("sign", [1, -1])
def test_intervals_are_plain_differences_and_a_negative_one_is_shown(sign: int) -> None:
    visit = DetailedTiming(0.0, sign * 1.0, sign * 3.0, sign * 6.0)
    intervals = (visit.queue_wait_time, visit.computation_time, visit.transmission_time)
    assert intervals == (sign * 1.0, sign * 2.0, sign * 3.0)


def test_a_visit_is_frozen() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        DetailedTiming(0.0, 0.0, 0.0, 0.0).queue_enter_time = 1.0  # type: ignore[misc]


def test_breakdown_of_an_item_created_when_accepted() -> None:
    breakdown = item_breakdown(TimedItem("x", PASSED, None, TIMESTAMPS), NAMES)
    assert breakdown.stages == {"a": StageTimingDetail(1.0, 2.0, 3.0, 6.0), "b": StageTimingDetail(4.0, 5.0, 6.0, 15.0)}
    assert breakdown.totals == ItemTimingTotals(7.0, 14.0, 21.0, 7 / 21, 0.0)


def test_breakdown_of_an_item_created_before() -> None:
    totals = item_breakdown(TimedItem("x", PASSED, 3.0, TIMESTAMPS), NAMES).totals
    assert totals == ItemTimingTotals(7.0, 21.0, 28.0, 0.25, 7.0)


def test_no_time_at_all_is_no_ratio() -> None:
    assert item_breakdown(TimedItem("x", PASSED, None, [5.0] * 7), NAMES).totals == ItemTimingTotals(
        0.0, 0.0, 0.0, 0.0, 0.0
    )


@given(
    st.lists(st.integers(0, 10**9), min_size=4, max_size=31).filter(lambda steps: len(steps) % 3 == 1),
    st.none() | st.integers(-(10**9), 0),
)
def test_the_intervals_sum_to_the_latency(steps: list[int], created_at: int | None) -> None:
    timestamps = [float(sum(steps[: index + 1])) for index in range(len(steps))]
    names = tuple(str(index) for index in range(len(steps) // 3))
    breakdown = item_breakdown(TimedItem(None, PASSED, created_at, timestamps), names)
    inside = sum(detail.total_stage_time for detail in breakdown.stages.values())
    assert breakdown.totals.admission_time + inside == breakdown.totals.total_latency
    for detail in breakdown.stages.values():
        assert detail.queue_wait_time + detail.computation_time + detail.transmission_time == detail.total_stage_time
    assert breakdown.totals.total_computation_time + breakdown.totals.total_overhead_time == (
        breakdown.totals.total_latency
    )


@pytest.mark.parametrize("created_at", [None, 3.0])
def test_a_completed_item_tells_the_same_as_the_report(created_at: float | None) -> None:
    timed = TimedItem("x", PASSED, created_at, TIMESTAMPS)
    item: PipelineItem[str] = PipelineItem._from_timed(timed, NAMES)
    assert (item.data, item.enable_timing) == ("x", True)
    assert item.start_timestamp == (10.0 if created_at is None else 3.0)
    assert item.get_timing_breakdown() == item_breakdown(timed, NAMES)
    assert item.get_entry_time("b") == 16.0
    assert item.get_completion_time("b") == 31.0
    assert item.get_detailed_timing("a") == DetailedTiming(10.0, 11.0, 13.0, 16.0)
    assert item.get_total_latency() == 31.0 - item.start_timestamp
    assert item.get_stage_latencies() == {"a": 16.0 - item.start_timestamp, "b": 15.0}


def test_recording_by_hand_as_in_0_1_10() -> None:
    item = PipelineItem("x", start_timestamp=0.0)
    item.record_entry_time("a", 1.0)
    item.record_completion_time("a", 5.0)
    assert (item.get_total_latency(), item.get_timing_breakdown()) == (5.0, None)
    item.record_detailed_timing("a", DetailedTiming(1.0, 2.0, 4.0, 5.0))
    assert item.get_timing_breakdown().totals == ItemTimingTotals(2.0, 3.0, 5.0, 0.4, 1.0)


def test_recorded_now_is_between_before_and_after() -> None:
    item = PipelineItem("x")
    item.record_entry_time("a")
    item.record_completion_time("a")
    assert item.start_timestamp <= item.get_entry_time("a") <= item.get_completion_time("a")


def test_detail_alone_makes_a_breakdown_without_a_latency() -> None:
    item = PipelineItem("x", start_timestamp=1.0)
    item.record_detailed_timing("a", DetailedTiming(1.0, 2.0, 4.0, 5.0))
    totals = item.get_timing_breakdown().totals
    assert (totals.total_latency, totals.computation_ratio) == (0.0, 0.0)


def test_repr_shows_the_data_and_not_the_bookkeeping() -> None:
    assert repr(PipelineItem("x", start_timestamp=1.0)) == (
        "PipelineItem(data='x', enable_timing=True, start_timestamp=1.0)"
    )
