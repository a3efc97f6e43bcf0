"""A report as a whole: as a record, as text for people, in the log.

The rule: what it says is in the records and the text; here the two meet.
"""

# Annotations are no strings here: see the records of the report.
from typing import Any, Protocol

import attrs

from .._log import logger
from ._record import Record
from ._report import InterruptStatistics, ItemTimingBreakdown, LatencySummary, TurnStatistics
from ._text import report_html, report_lines


def _counted(records: list[Any]) -> str:
    """How many there are: a thousand of them are not for ``repr``."""
    return f"<{len(records)} records>"


@attrs.frozen
class PipelineAnalysis(Record):
    """A report; ``print`` shows it as text, and a notebook as tables.

    Attributes:
        summary: All delivered items.
        item_breakdowns: The last ``timing_history`` of them, oldest first; empty when
            the report was asked for without item details.
        analysis_metadata: ``analysis_timestamp`` (seconds since the epoch, wall
            clock), ``enable_timing``, ``total_stages``, ``pipeline_running``.
        turns: The last ``timing_history`` turns, oldest first.
        interrupts: All interrupts; ``None`` in a report made by hand.
    """

    summary: LatencySummary
    item_breakdowns: list[ItemTimingBreakdown] = attrs.field(repr=_counted)
    analysis_metadata: dict[str, Any]
    turns: list[TurnStatistics] = attrs.field(factory=list, repr=_counted)
    interrupts: InterruptStatistics | None = None

    def __str__(self) -> str:
        """The report as people read it, in lines of at most 80 cells."""
        return "\n".join(report_lines(self))

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        return report_html(self)


class _Reporting(Protocol):
    enable_timing: bool

    def get_report(self, include_item_details: bool = True) -> PipelineAnalysis | None: ...


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
