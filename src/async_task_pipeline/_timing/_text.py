"""A report as text for people.

The rule: strings in, strings out; printing and logging are the caller's.
"""

from __future__ import annotations

from typing import Protocol

from .._log import logger
from ._report import Percentiles, PipelineAnalysis


class _Reporting(Protocol):
    enable_timing: bool

    def get_report(self, include_item_details: bool = True) -> PipelineAnalysis | None: ...


def duration(seconds: float) -> str:
    """A duration with three significant digits and a fitting unit."""
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms")):
        if abs(seconds) < limit:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s" if abs(seconds) < 100 else f"{seconds:.0f} s"


def _percentiles(of: Percentiles) -> str:
    return f"p50 {duration(of.p50)}, p90 {duration(of.p90)}, p99 {duration(of.p99)}"


def report_lines(analysis: PipelineAnalysis) -> list[str]:
    """The report as lines of text, without a final newline."""
    summary = analysis.summary
    efficiency = summary.overall_efficiency
    latency = f"mean {duration(summary.avg_total_latency)}, {_percentiles(summary.total_latency)}"
    counts = f"{'stage':<16}{'outcomes':>9}{'filtered':>9}{'failed':>8}{'dropped':>9}"
    intervals = f"{'wait p50':>11}{'p99':>10}{'compute p50':>13}{'p99':>10}{'blocked p50':>13}{'p99':>10}"
    lines = [
        f"items delivered    {summary.total_items}  ({summary.throughput:,.0f} per second)",
        f"latency            {latency}, max {duration(summary.max_total_latency)}",
        f"of it computation  {efficiency.computation_efficiency:.1%}",
        f"bottleneck         {summary.bottleneck or 'none'}",
        "",
        counts + intervals,
    ]
    for name, stage in summary.stage_statistics.items():
        wait, compute, blocked = stage.queue_wait, stage.computation, stage.transmission
        lines.append(
            f"{name:<16}{stage.processed_count:>9}{stage.filtered_count:>9}{stage.failed_count:>8}"
            f"{stage.dropped_count:>9}{duration(wait.p50):>11}{duration(wait.p99):>10}"
            f"{duration(compute.p50):>13}{duration(compute.p99):>10}"
            f"{duration(blocked.p50):>13}{duration(blocked.p99):>10}"
        )
    cut_short = [turn for turn in analysis.turns if turn.interrupted]
    if cut_short:
        first = [turn.first_output_time for turn in analysis.turns if turn.first_output_time is not None]
        wasted = sum(turn.wasted_computation for turn in cut_short)
        lines += [
            "",
            f"turns              {len(analysis.turns)}, cut short {len(cut_short)} ({duration(wasted)} of computation wasted)",
        ]
        if first:
            lines.append(f"first output after mean {duration(sum(first) / len(first))}, max {duration(max(first))}")
    interrupts = analysis.interrupts
    if interrupts is not None and interrupts.with_calls:
        lines.append(
            f"quiet again after  {_percentiles(interrupts.time_to_idle)}, max {duration(interrupts.max_time_to_idle)}"
        )
    return lines


def analysis_lines(analysis: PipelineAnalysis) -> list[str]:
    """The report as 0.1.10 worded it: the means, and the first three items in detail."""
    summary = analysis.summary
    efficiency = summary.overall_efficiency
    lines = [
        "Enhanced Pipeline Performance Analysis:",
        f" Total items processed: {summary.total_items}",
        f" Average end-to-end latency: {summary.avg_total_latency:.3f}s",
        " Efficiency Details:",
        f"  Computation efficiency: {efficiency.computation_efficiency:.1%}",
        f"  Overhead ratio: {efficiency.overhead_ratio:.1%}",
        " Per-Stage Performance Breakdown:",
    ]
    for name, stage in summary.stage_statistics.items():
        mean = stage.timing_breakdown
        lines += [
            f" - {name}:",
            f"   Processed: {stage.processed_count} items",
            f"   Avg computation time: {mean.avg_computation_time * 1e3:.2f}ms",
            f"   Avg queue wait time: {mean.avg_queue_wait_time * 1e3:.2f}ms",
            f"   Avg transmission time: {mean.avg_transmission_time * 1e3:.2f}ms",
            f"   Computation ratio: {mean.computation_ratio:.1%}",
        ]
    lines.append(" Detailed Analysis for First Few Items:")
    for item in analysis.item_breakdowns[:3]:
        totals = item.totals
        lines += [
            " - Item:",
            f"   Total latency: {totals.total_latency * 1e3:.2f}ms",
            f"   Actual computation time: {totals.total_computation_time * 1e3:.2f}ms",
            f"   Actual overhead time: {totals.total_overhead_time * 1e3:.2f}ms",
            f"   Computation ratio: {totals.computation_ratio:.1%}",
        ]
    return lines


def log_pipeline_performance_analysis(pipeline: _Reporting) -> None:
    """Log the pipeline's report at INFO on the library's logger, a line a record.

    First come the lines that 0.1.10 logged, in its words, because programs look for them;
    then the table with what it did not know. One line tells when timing is off or nothing
    has been delivered yet.

    Args:
        pipeline: The pipeline; running or not.
    """
    if not pipeline.enable_timing:
        logger.info("Pipeline timing is disabled. No analysis available.")
        return
    analysis = pipeline.get_report()
    if analysis is None:
        logger.info("No items processed. No analysis available.")
        return
    for line in analysis_lines(analysis):
        logger.info("%s", line)
    for line in report_lines(analysis):
        logger.info("pipeline report: %s", line)
