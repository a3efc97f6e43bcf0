"""From what was folded to the records of a report.

The rule: everything here is worked out from what is given, and nothing is kept. It is loaded with the first
report, because attrs makes the classes of the records, which was a third of the time to import the package.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from .._stage import PipelineStage
from ._advice import Limits, bottlenecks
from ._analysis import PipelineAnalysis
from ._busy import Moment, busy_share, queue_depth
from ._folded import Folded, StageIntervals
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


def make_report(
    folded: Folded,
    stages: Sequence[PipelineStage],
    moment: Moment,
    breakdowns: list[ItemTimingBreakdown],
    turns: TurnHistory,
    *,
    elapsed: float,
    cpu_share: float,
) -> PipelineAnalysis:
    """The report.

    Args:
        folded: All delivered items.
        stages: As they were added.
        moment: What the pipeline is doing now.
        breakdowns: Of the items that are shown one by one.
        turns: Where turns are remembered.
        elapsed: Seconds in which its workers could have been busy.
        cpu_share: Cores that this process was using meanwhile, on average.
    """
    count = len(folded)
    statistics = {stage.name: _stage(folded, stage, elapsed, moment) for stage in stages}
    limiting = bottlenecks(statistics)
    efficiency = folded.efficiency / count if count else 0.0
    summary = LatencySummary(
        total_items=count,
        avg_total_latency=folded.latency.mean,
        min_total_latency=folded.latency.minimum,
        max_total_latency=folded.latency.maximum,
        stage_statistics=statistics,
        overall_efficiency=EfficiencyMetrics(efficiency, 1.0 - efficiency if count else 0.0),
        total_latency=_percentiles(folded.latency),
        throughput=count / folded.seconds if folded.seconds > 0 else 0.0,
        bottleneck=limiting[0].name if limiting else None,
        bottlenecks=limiting,
        advice=_limits(folded, stages, statistics, limiting, moment, elapsed=elapsed, cpu_share=cpu_share).advice(),
        elapsed=elapsed,
    )
    metadata = {
        "analysis_timestamp": time.time(),
        "enable_timing": True,
        "total_stages": len(stages),
        "pipeline_running": moment.running,
    }
    return PipelineAnalysis(summary, breakdowns, metadata, turns.turns(), turns.interrupts())


def _limits(
    folded: Folded,
    stages: Sequence[PipelineStage],
    statistics: dict[str, StageStatistics],
    limiting: list[Bottleneck],
    moment: Moment,
    *,
    elapsed: float,
    cpu_share: float,
) -> Limits:
    rate = len(folded) / elapsed if elapsed > 0 else 0.0
    last = statistics[stages[-1].name].timing_breakdown
    admission = folded.latency.mean - sum(each.avg_latency for each in statistics.values())
    return Limits(
        stages,
        statistics,
        limiting,
        waiting_to_enter=rate * admission,
        held_up=rate * last.avg_transmission_time,
        output_was_full=moment.output_was_full,
        cpu_share=cpu_share,
    )


def _stage(folded: Folded, stage: PipelineStage, elapsed: float, moment: Moment) -> StageStatistics:
    intervals, counts = folded.stages.get(stage.name) or StageIntervals(), stage.counts
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
        throughput=stage.processed_count / folded.seconds if folded.seconds > 0 else 0.0,
        filtered_count=counts.filtered,
        failed_count=counts.failed,
        dropped_count=counts.dropped + counts.refused,
        unproductive_computation_time=counts.unproductive_seconds,
        workers=stage.workers,
        busy_share=busy_share(stage, elapsed, moment),
        avg_queue_depth=queue_depth(stage, wait.mean, elapsed),
        queue_depth=moment.flows[stage.name].queue_depth if stage.name in moment.flows else 0,
    )


def _percentiles(sketch: Sketch) -> Percentiles:
    return Percentiles(*sketch.quantiles((0.5, 0.9, 0.99)))
