"""From the timestamps of delivered items to a report, at a bounded cost.

The rule: nothing here grows with the number of items but the counts in the buckets of
the sketches. Timestamps are collected in small batches and folded column by column, because
a batch of 256 folds at about a tenth of the cost of 256 single items; a report folds
what is pending first, so it includes the item delivered a moment ago. Only the loop records;
any thread may fold and read, so what is folded has a lock, and what is pending a deque.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from operator import add, sub, truediv

from .._stage import PipelineStage
from ._item import STAMPS_PER_STAGE, PipelineItem, Timed, item_breakdown
from ._report import (
    EfficiencyMetrics,
    ItemTimingBreakdown,
    LatencySummary,
    Percentiles,
    PipelineAnalysis,
    StageStatistics,
    TimingBreakdown,
)
from ._sketch import Sketch
from ._turns import TurnHistory

BATCH = 256
"""Large enough that folding is cheap per item, small enough that a fold (about a
millisecond for four stages) is not felt on the loop."""


class _StageIntervals:
    """The distributions of one stage's intervals, and the extremes of their sum."""

    __slots__ = ("computation", "max_latency", "min_latency", "queue_wait", "transmission")

    def __init__(self) -> None:
        self.queue_wait = Sketch()
        self.computation = Sketch()
        self.transmission = Sketch()
        self.min_latency = math.inf
        self.max_latency = -math.inf


class TimingHistory:
    """What a pipeline remembers of the items it has delivered.

    Args:
        history: How many items to keep whole.
    """

    def __init__(self, history: int) -> None:
        self.history = history
        self._lock = threading.RLock()
        self.turns = TurnHistory(history)
        self._names: tuple[str, ...] = ()
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        self.turns.clear()
        self._pending: deque[Timed] = deque()
        # The names an item's timestamps belong to travel with it: stages may be added
        # between two runs of one pipeline.
        self._recent: deque[tuple[Timed, tuple[str, ...]]] = deque(maxlen=self.history)
        self._breakdowns: deque[ItemTimingBreakdown] = deque(maxlen=self.history)
        self._unbroken = 0
        self._stages: dict[str, _StageIntervals] = {}
        self._latency = Sketch()
        self._efficiency = 0.0
        self._first_accepted = float("inf")
        self._last_exit = float("-inf")

    def begin(self, names: Sequence[str]) -> None:
        """Take items of a run with these stages from now on."""
        with self._lock:
            self._fold()
            self._names = tuple(names)

    def record(self, timed: Timed) -> None:
        """Take in one delivered item."""
        self._pending.append(timed)
        if len(self._pending) >= BATCH:
            with self._lock:
                self._fold()

    def _fold(self) -> None:
        pending = [self._pending.popleft() for _ in range(len(self._pending))]
        if not pending:
            return
        self.turns.deliver(pending)
        for timed in pending[-self.history :] if self.history else ():
            self._recent.append((timed, self._names))
        self._unbroken = min(self._unbroken + len(pending), self.history)
        columns = list(zip(*(timed.timestamps for timed in pending), strict=True))
        computed = [0.0] * len(pending)
        for index, name in enumerate(self._names):
            at = index * STAMPS_PER_STAGE
            enters, starts, ends, exits = columns[at : at + STAMPS_PER_STAGE + 1]
            stage = self._stages.get(name)
            if stage is None:
                stage = self._stages[name] = _StageIntervals()
            computation = list(map(sub, ends, starts))
            stage.queue_wait.extend(list(map(sub, starts, enters)))
            stage.computation.extend(computation)
            stage.transmission.extend(list(map(sub, exits, ends)))
            latencies = list(map(sub, exits, enters))
            stage.min_latency = min(stage.min_latency, min(latencies))
            stage.max_latency = max(stage.max_latency, max(latencies))
            computed = list(map(add, computed, computation))
        accepted = columns[0]
        created = [
            now if timed.created_at is None else timed.created_at for timed, now in zip(pending, accepted, strict=True)
        ]
        latencies = list(map(sub, columns[-1], created))
        self._latency.extend(latencies)
        if min(latencies) > 0:
            self._efficiency += sum(map(truediv, computed, latencies))
        else:
            self._efficiency += sum(a / b for a, b in zip(computed, latencies, strict=True) if b > 0)
        self._first_accepted = min(self._first_accepted, min(accepted))
        self._last_exit = max(self._last_exit, max(columns[-1]))

    @property
    def items(self) -> list[PipelineItem[object]]:
        """The last items delivered, oldest first, with their timing."""
        with self._lock:
            self._fold()
            recent = [*self._recent]
        return [PipelineItem._from_timed(timed, names) for timed, names in recent]

    def _item_breakdowns(self) -> list[ItemTimingBreakdown]:
        # Only what has come since the last report is worked out: polling is cheap.
        new = list(self._recent)[len(self._recent) - min(self._unbroken, len(self._recent)) :]
        self._breakdowns.extend(item_breakdown(timed, names) for timed, names in new)
        self._unbroken = 0
        return list(self._breakdowns)

    def report(self, stages: Sequence[PipelineStage], *, details: bool, running: bool) -> PipelineAnalysis | None:
        """The report of everything recorded, or ``None`` before the first outcome."""
        with self._lock:
            return self._report(stages, details=details, running=running)

    def _report(self, stages: Sequence[PipelineStage], *, details: bool, running: bool) -> PipelineAnalysis | None:
        self._fold()
        count = len(self._latency)
        if not count and not any(stage.processed_count for stage in stages):
            return None
        seconds = self._last_exit - self._first_accepted if count else 0.0
        busiest = max(stages, key=lambda stage: stage.total_processing_time)
        efficiency = self._efficiency / count if count else 0.0
        summary = LatencySummary(
            total_items=count,
            avg_total_latency=self._latency.mean,
            min_total_latency=self._latency.minimum,
            max_total_latency=self._latency.maximum,
            stage_statistics={stage.name: self._stage(stage, seconds) for stage in stages},
            overall_efficiency=EfficiencyMetrics(efficiency, 1.0 - efficiency if count else 0.0),
            total_latency=_percentiles(self._latency),
            throughput=count / seconds if seconds > 0 else 0.0,
            bottleneck=busiest.name if busiest.total_processing_time > 0 else None,
        )
        metadata = {
            "analysis_timestamp": time.time(),
            "enable_timing": True,
            "total_stages": len(stages),
            "pipeline_running": running,
        }
        breakdowns = self._item_breakdowns() if details else []
        return PipelineAnalysis(summary, breakdowns, metadata, self.turns.turns(), self.turns.interrupts())

    def _stage(self, stage: PipelineStage, seconds: float) -> StageStatistics:
        intervals, counts = self._stages.get(stage.name) or _StageIntervals(), stage.counts
        computation, wait, transmission = intervals.computation, intervals.queue_wait, intervals.transmission
        total = computation.mean + wait.mean + transmission.mean
        breakdown = TimingBreakdown(
            computation.mean, wait.mean, transmission.mean, computation.mean / total if total > 0 else 0.0
        )
        return StageStatistics(
            avg_latency=total,
            min_latency=intervals.min_latency if len(wait) else 0.0,
            max_latency=intervals.max_latency if len(wait) else 0.0,
            processed_count=stage.processed_count,
            avg_processing_time=stage.get_average_processing_time(),
            timing_breakdown=breakdown,
            queue_wait=_percentiles(wait),
            computation=_percentiles(computation),
            transmission=_percentiles(transmission),
            throughput=stage.processed_count / seconds if seconds > 0 else 0.0,
            filtered_count=counts.filtered,
            failed_count=counts.failed,
            dropped_count=counts.dropped + counts.refused,
            unproductive_computation_time=counts.unproductive_seconds,
        )


def _percentiles(sketch: Sketch) -> Percentiles:
    return Percentiles(*sketch.quantiles((0.5, 0.9, 0.99)))
