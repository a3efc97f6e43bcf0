"""From the timestamps of delivered items to a report, at a bounded cost.

The rule: nothing here grows with the number of items but the counts in the buckets of
the sketches. Timestamps are collected in small batches and folded column by column, because
a batch of 256 folds at about a tenth of the cost of 256 single items; a report folds
what is pending first, so it includes the item delivered a moment ago. Only the loop records;
any thread may fold and read, so what is folded has a lock, and what is pending a deque.
"""

from __future__ import annotations

import math
import operator
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from operator import add, sub, truediv
from typing import Any, overload

from .._stage import PipelineStage
from ._analysis import PipelineAnalysis
from ._busy import Limits, Moment, Span, bottlenecks, busy_share, queue_depth
from ._clock import DetailedTiming
from ._item import TIMESTAMPS_PER_STAGE, PipelineItem, Timed, item_breakdown
from ._report import (
    Bottleneck,
    EfficiencyMetrics,
    ItemTimingBreakdown,
    LatencySummary,
    Percentiles,
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

    def add(self, visit: DetailedTiming) -> None:
        """Take in a single visit."""
        self.queue_wait.extend([visit.queue_wait_time])
        self.computation.extend([visit.computation_time])
        self.transmission.extend([visit.transmission_time])
        latency = visit.queue_exit_time - visit.queue_enter_time
        self.min_latency = min(self.min_latency, latency)
        self.max_latency = max(self.max_latency, latency)


class _Usage:
    """How many cores this process has used, on average, from the start of a run to the last fold."""

    __slots__ = ("_began", "_cpu", "share")

    def __init__(self) -> None:
        self._began, self._cpu = time.perf_counter(), time.process_time()
        self.share = 0.0

    def look(self) -> None:
        """Take the share as it is now."""
        seconds = time.perf_counter() - self._began
        self.share = (time.process_time() - self._cpu) / seconds if seconds > 0 else 0.0


class TimingHistory:
    """What a pipeline remembers of the items it has delivered.

    Args:
        history: How many items to keep whole.
    """

    def __init__(self, history: int) -> None:
        self.history = history
        self._lock = threading.RLock()
        self.turns: TurnHistory = TurnHistory(history)
        self._names: tuple[str, ...] = ()
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        self.turns.clear()
        self._forget_items()
        self._earlier = 0.0
        self._span = Span()
        self._usage = _Usage()

    def _forget_items(self) -> None:
        self._pending: deque[Timed] = deque()
        # The names an item's timestamps belong to travel with it: stages may be added
        # between two runs of one pipeline. An item that somebody has put here is as it was.
        self._recent: deque[tuple[Timed, tuple[str, ...]] | PipelineItem[Any]] = deque(maxlen=self.history)
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
            self._usage = _Usage()

    def end_run(self, stages: Sequence[PipelineStage]) -> None:
        """Add up what there was of a run, before the next one begins."""
        with self._lock:
            self._fold()
            self._earlier += self._span.elapsed(stages, None)
            self._span = Span()

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
            at = index * TIMESTAMPS_PER_STAGE
            enters, starts, ends, exits = columns[at : at + TIMESTAMPS_PER_STAGE + 1]
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
        first, last = min(accepted), max(columns[-1])
        self._span = Span(min(self._span.first, first), max(self._span.last, last))
        self._first_accepted = min(self._first_accepted, first)
        self._last_exit = max(self._last_exit, last)
        self._usage.look()

    def __len__(self) -> int:
        """How many items are remembered whole."""
        with self._lock:
            return min(len(self._recent) + len(self._pending), self.history)

    def entry(self, index: int) -> PipelineItem[Any]:
        """One of them, the oldest being 0; nothing is folded for it, nor made for the others."""
        with self._lock:
            index += len(self._recent) + len(self._pending) - len(self)
            if index >= len(self._recent):
                return PipelineItem._from_timed(self._pending[index - len(self._recent)], self._names)
            return _whole(self._recent[index])

    def entries(self) -> list[PipelineItem[Any]]:
        """All of them, oldest first."""
        with self._lock:
            self._fold()
            recent = [*self._recent]
        return [_whole(entry) for entry in recent]

    def replace(self, items: Iterable[PipelineItem[Any]]) -> None:
        """Replace the delivered items by these."""
        new = list(items)
        with self._lock:
            self._forget_items()
            for item in new:
                self._add(item)

    def append(self, item: PipelineItem[Any]) -> None:
        """Take in an item as delivered last."""
        with self._lock:
            self._fold()
            self._add(item)

    def _add(self, item: PipelineItem[Any]) -> None:
        self._recent.append(item)
        self._unbroken = min(self._unbroken + 1, self.history)
        breakdown, latency = item.get_timing_breakdown(), item.get_total_latency()
        if breakdown is None or latency is None:
            return
        for name in breakdown.stages:
            stage, visit = self._stages.setdefault(name, _StageIntervals()), item.get_detailed_timing(name)
            if visit is not None:
                stage.add(visit)
                self._first_accepted = min(self._first_accepted, visit.queue_enter_time)
                self._last_exit = max(self._last_exit, visit.queue_exit_time)
        self._latency.extend([latency])
        self._efficiency += breakdown.totals.computation_ratio

    def _item_breakdowns(self) -> list[ItemTimingBreakdown]:
        # Only what has come since the last report is worked out: polling is cheap.
        new = list(self._recent)[len(self._recent) - min(self._unbroken, len(self._recent)) :]
        self._breakdowns.extend(each for each in map(_breakdown, new) if each is not None)
        self._unbroken = 0
        return list(self._breakdowns)

    def report(self, stages: Sequence[PipelineStage], moment: Moment, *, details: bool) -> PipelineAnalysis | None:
        """The report of everything recorded, or ``None`` before the first outcome."""
        with self._lock:
            return self._report(stages, moment, details=details)

    def _report(self, stages: Sequence[PipelineStage], moment: Moment, *, details: bool) -> PipelineAnalysis | None:
        self._fold()
        count = len(self._latency)
        if not count and not any(stage.processed_count for stage in stages):
            return None
        seconds = self._last_exit - self._first_accepted if count else 0.0
        elapsed = self._earlier + self._span.elapsed(stages, moment)
        statistics = {stage.name: self._stage(stage, seconds, elapsed, moment) for stage in stages}
        limiting = bottlenecks(statistics)
        efficiency = self._efficiency / count if count else 0.0
        summary = LatencySummary(
            total_items=count,
            avg_total_latency=self._latency.mean,
            min_total_latency=self._latency.minimum,
            max_total_latency=self._latency.maximum,
            stage_statistics=statistics,
            overall_efficiency=EfficiencyMetrics(efficiency, 1.0 - efficiency if count else 0.0),
            total_latency=_percentiles(self._latency),
            throughput=count / seconds if seconds > 0 else 0.0,
            bottleneck=limiting[0].name if limiting else None,
            bottlenecks=limiting,
            advice=self._limits(stages, statistics, limiting, elapsed, moment).advice(),
            elapsed=elapsed,
        )
        metadata = {
            "analysis_timestamp": time.time(),
            "enable_timing": True,
            "total_stages": len(stages),
            "pipeline_running": moment.running,
        }
        breakdowns = self._item_breakdowns() if details else []
        return PipelineAnalysis(summary, breakdowns, metadata, self.turns.turns(), self.turns.interrupts())

    def _limits(
        self,
        stages: Sequence[PipelineStage],
        statistics: dict[str, StageStatistics],
        limiting: list[Bottleneck],
        elapsed: float,
        moment: Moment,
    ) -> Limits:
        rate = len(self._latency) / elapsed if elapsed > 0 else 0.0
        last = statistics[stages[-1].name].timing_breakdown
        admission = self._latency.mean - sum(each.avg_latency for each in statistics.values())
        return Limits(
            stages,
            statistics,
            limiting,
            waiting_to_enter=rate * admission,
            held_up=rate * last.avg_transmission_time,
            output_was_full=moment.output_was_full,
            cpu_share=self._usage.share,
        )

    def _stage(self, stage: PipelineStage, seconds: float, elapsed: float, moment: Moment) -> StageStatistics:
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
            workers=stage.workers,
            busy_share=busy_share(stage, elapsed, moment),
            avg_queue_depth=queue_depth(stage, wait.mean, elapsed),
            queue_depth=moment.flows[stage.name].queue_depth if stage.name in moment.flows else 0,
        )


class CompletedItems(Sequence[PipelineItem[Any]]):  # noqa: PLW1641  as a list has none
    """The last items delivered, oldest first, with their timing; looks like a list.

    What is looked at is made then, so that looking at the last one after each delivery is
    cheap. Two looks at one item give equal objects.
    """

    def __init__(self, history: TimingHistory) -> None:
        self._history = history

    def __len__(self) -> int:
        """How many there are, at most ``timing_history``."""
        return len(self._history)

    @overload
    def __getitem__(self, index: int) -> PipelineItem[Any]: ...

    @overload
    def __getitem__(self, index: slice) -> list[PipelineItem[Any]]: ...

    def __getitem__(self, index: int | slice) -> PipelineItem[Any] | list[PipelineItem[Any]]:
        """One of them, or a list of several."""
        if isinstance(index, slice):
            return self._history.entries()[index]
        count = len(self)
        at = operator.index(index)
        if not -count <= at < count:
            raise IndexError("completed_items index out of range")
        return self._history.entry(at % count)

    def __iter__(self) -> Iterator[PipelineItem[Any]]:
        """Iterate over those that there are now."""
        return iter(self._history.entries())

    def __eq__(self, other: object) -> bool:
        """Compare as a list."""
        if not isinstance(other, (list, CompletedItems)):
            return NotImplemented
        return [*self] == [*other]

    def __repr__(self) -> str:
        """Show it as a list."""
        return repr([*self])

    def append(self, item: PipelineItem[Any]) -> None:
        """Append an item as the last delivered."""
        self._history.append(item)

    def clear(self) -> None:
        """Forget them, and the report of them."""
        self._history.replace([])

    def copy(self) -> list[PipelineItem[Any]]:
        """Those that there are now, as a list."""
        return [*self]


def _whole(entry: tuple[Timed, tuple[str, ...]] | PipelineItem[Any]) -> PipelineItem[Any]:
    return entry if isinstance(entry, PipelineItem) else PipelineItem._from_timed(*entry)


def _breakdown(entry: tuple[Timed, tuple[str, ...]] | PipelineItem[Any]) -> ItemTimingBreakdown | None:
    return entry.get_timing_breakdown() if isinstance(entry, PipelineItem) else item_breakdown(*entry)


def _percentiles(sketch: Sketch) -> Percentiles:
    return Percentiles(*sketch.quantiles((0.5, 0.9, 0.99)))
