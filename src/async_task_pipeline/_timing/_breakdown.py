"""The journey of one delivered item, as the report has it: its intervals per stage and in total.

The rule: every interval is a plain difference of two instants, and those of all stages sum to the latency.
"""

from __future__ import annotations

from collections.abc import Mapping

from ._clock import DetailedTiming
from ._report import ItemTimingBreakdown, ItemTimingTotals, StageTimingDetail
from ._timestamps import TIMESTAMPS_PER_STAGE, Timed


def item_breakdown(timed: Timed, names: tuple[str, ...]) -> ItemTimingBreakdown:
    """The intervals of one delivered item, stage by stage."""
    timestamps = timed.timestamps
    stages: dict[str, StageTimingDetail] = {}
    computation = 0.0
    for index, name in enumerate(names):
        enter, start, end, leave = timestamps[index * TIMESTAMPS_PER_STAGE : (index + 1) * TIMESTAMPS_PER_STAGE + 1]
        computation += end - start
        stages[name] = StageTimingDetail(start - enter, end - start, leave - end, leave - enter)
    began = timestamps[0] if timed.created_at is None else timed.created_at
    return ItemTimingBreakdown(_totals(computation, timestamps[-1] - began, timestamps[0] - began), stages)


def breakdown_of_visits(visits: Mapping[str, DetailedTiming], began: float, latency: float) -> ItemTimingBreakdown:
    """The same from records of its visits, when it was created and how long all took."""
    stages = {
        name: StageTimingDetail(
            visit.queue_wait_time,
            visit.computation_time,
            visit.transmission_time,
            visit.queue_exit_time - visit.queue_enter_time,
        )
        for name, visit in visits.items()
    }
    computation = sum(detail.computation_time for detail in stages.values())
    first = min(visit.queue_enter_time for visit in visits.values())
    return ItemTimingBreakdown(_totals(computation, latency, first - began), stages)


def _totals(computation: float, latency: float, admission: float) -> ItemTimingTotals:
    ratio = computation / latency if latency > 0 else 0.0
    return ItemTimingTotals(computation, latency - computation, latency, ratio, admission)
