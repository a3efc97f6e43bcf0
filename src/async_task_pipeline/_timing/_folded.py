"""What delivered items tell, folded: distributions, sums and extremes at a bounded cost.

The rule: nothing here grows with the number of items but the counts in the buckets of the sketches. Items
are folded many at once, column by column, because a batch of 256 folds at about a tenth of the cost of
256 single items.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import add, sub, truediv

from ._clock import DetailedTiming
from ._item import PipelineItem
from ._sketch import Sketch
from ._timestamps import TIMESTAMPS_PER_STAGE, Timed


class StageIntervals:
    """The distributions of one stage's intervals, and the extremes of their sum."""

    __slots__ = ("computation", "max_latency", "min_latency", "queue_wait", "transmission")

    def __init__(self) -> None:
        self.queue_wait = Sketch()
        self.computation = Sketch()
        self.transmission = Sketch()
        self.min_latency = math.inf
        self.max_latency = -math.inf

    def fold(
        self, enters: Sequence[float], starts: Sequence[float], ends: Sequence[float], exits: Sequence[float]
    ) -> list[float]:
        """Take in the visits of several items; return the computation of each."""
        computation = list(map(sub, ends, starts))
        self.queue_wait.extend(list(map(sub, starts, enters)))
        self.computation.extend(computation)
        self.transmission.extend(list(map(sub, exits, ends)))
        latencies = list(map(sub, exits, enters))
        self.min_latency = min(self.min_latency, min(latencies))
        self.max_latency = max(self.max_latency, max(latencies))
        return computation

    def add(self, visit: DetailedTiming) -> None:
        """Take in a single visit."""
        self.fold(
            [visit.queue_enter_time],
            [visit.processing_start_time],
            [visit.processing_end_time],
            [visit.queue_exit_time],
        )


class Folded:
    """All delivered items.

    Attributes:
        stages: Their intervals per stage.
        latency: From creation to the output.
        efficiency: The sum over items of computation over latency.
        first_accepted: When the first of them was accepted.
        last_exit: When the last of them was in the output.
    """

    def __init__(self) -> None:
        self.stages: dict[str, StageIntervals] = {}
        self.latency = Sketch()
        self.efficiency = 0.0
        self.first_accepted = math.inf
        self.last_exit = -math.inf

    def __len__(self) -> int:
        """How many items there were."""
        return len(self.latency)

    @property
    def seconds(self) -> float:
        """From the first acceptance to the last exit."""
        return self.last_exit - self.first_accepted if len(self) else 0.0

    def fold(self, items: Sequence[Timed], names: Sequence[str]) -> tuple[float, float]:
        """Take in items that came through these stages; return the first acceptance and the last exit."""
        columns = list(zip(*(timed.timestamps for timed in items), strict=True))
        computed = [0.0] * len(items)
        for index, name in enumerate(names):
            at = index * TIMESTAMPS_PER_STAGE
            enters, starts, ends, exits = columns[at : at + TIMESTAMPS_PER_STAGE + 1]
            computed = list(map(add, computed, self._stage(name).fold(enters, starts, ends, exits)))
        accepted = columns[0]
        created = [
            now if timed.created_at is None else timed.created_at for timed, now in zip(items, accepted, strict=True)
        ]
        latencies = list(map(sub, columns[-1], created))
        self.latency.extend(latencies)
        if min(latencies) > 0:
            self.efficiency += sum(map(truediv, computed, latencies))
        else:
            self.efficiency += sum(a / b for a, b in zip(computed, latencies, strict=True) if b > 0)
        first, last = min(accepted), max(columns[-1])
        self._extend(first, last)
        return first, last

    def add(self, item: PipelineItem[object]) -> None:
        """Take in an item that somebody has recorded."""
        breakdown, latency = item.get_timing_breakdown(), item.get_total_latency()
        if breakdown is None or latency is None:
            return
        for name in breakdown.stages:
            stage, visit = self._stage(name), item.get_detailed_timing(name)
            if visit is not None:
                stage.add(visit)
                self._extend(visit.queue_enter_time, visit.queue_exit_time)
        self.latency.extend([latency])
        self.efficiency += breakdown.totals.computation_ratio

    def _stage(self, name: str) -> StageIntervals:
        stage = self.stages.get(name)
        if stage is None:
            stage = self.stages[name] = StageIntervals()
        return stage

    def _extend(self, first: float, last: float) -> None:
        self.first_accepted = min(self.first_accepted, first)
        self.last_exit = max(self.last_exit, last)
