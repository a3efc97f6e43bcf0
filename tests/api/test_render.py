"""The report as text, character by character, and as log lines."""

from __future__ import annotations

import logging
from typing import Any

import attrs
import pytest

from async_task_pipeline import (
    AsyncTaskPipeline,
    EfficiencyMetrics,
    InterruptStatistics,
    ItemTimingBreakdown,
    ItemTimingTotals,
    LatencySummary,
    Percentiles,
    PipelineAnalysis,
    StageStatistics,
    TimingBreakdown,
    TurnStatistics,
    log_pipeline_performance_analysis,
)
from async_task_pipeline._timing._text import duration, report_lines


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 µs"),
        (1e-9, "0.001 µs"),
        (1.234e-6, "1.23 µs"),
        (999e-6, "999 µs"),
        (1e-3, "1 ms"),
        (-0.0005, "-500 µs"),
        (0.01234, "12.3 ms"),
        (0.5, "500 ms"),
        (1.0, "1 s"),
        (12.34, "12.3 s"),
        (-12.34, "-12.3 s"),
        (99.99, "100 s"),
        (100.0, "100 s"),
        (1234.5, "1234 s"),
        (86400.0, "86400 s"),
    ],
)
def test_a_duration_has_three_digits_and_a_fitting_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def analysis(bottleneck: str | None) -> PipelineAnalysis:
    stage = StageStatistics(
        avg_latency=1.0,
        min_latency=1.0,
        max_latency=1.0,
        processed_count=7,
        avg_processing_time=1.0,
        timing_breakdown=TimingBreakdown(1.0, 1.0, 1.0, 1 / 3),
        queue_wait=Percentiles(1e-6, 2e-6, 3e-6),
        computation=Percentiles(1e-3, 2e-3, 3e-3),
        transmission=Percentiles(1.0, 2.0, 3.0),
        throughput=1.0,
        filtered_count=4,
        failed_count=5,
        dropped_count=6,
        unproductive_computation_time=0.0,
    )
    summary = LatencySummary(
        total_items=1234,
        avg_total_latency=0.5,
        min_total_latency=0.1,
        max_total_latency=9.0,
        stage_statistics={"parse": stage},
        overall_efficiency=EfficiencyMetrics(0.25, 0.75),
        total_latency=Percentiles(0.4, 2.0, 3.0),
        throughput=4321.4,
        bottleneck=bottleneck,
    )
    return PipelineAnalysis(summary, [], {})


def test_the_lines_of_a_report() -> None:
    lines = report_lines(analysis("parse"))
    assert lines[:5] == [
        "items delivered    1234  (4,321 per second)",
        "latency            mean 500 ms, p50 400 ms, p90 2 s, p99 3 s, max 9 s",
        "of it computation  25.0%",
        "bottleneck         parse",
        "",
    ]
    heads = "stage outcomes filtered failed dropped wait p50 p99 compute p50 p99 blocked p50 p99"
    assert lines[5].split() == heads.split()
    assert lines[6].split() == [
        "parse",
        "7",
        "4",
        "5",
        "6",
        "1",
        "µs",
        "3",
        "µs",
        "1",
        "ms",
        "3",
        "ms",
        "1",
        "s",
        "3",
        "s",
    ]
    assert len(lines[5]) == len(lines[6])
    assert len(lines) == 7


def test_no_bottleneck_is_said() -> None:
    assert report_lines(analysis(None))[3] == "bottleneck         none"


class Reporting:
    """What the log function needs of a pipeline."""

    def __init__(self, report: PipelineAnalysis | None) -> None:
        self.enable_timing = True
        self.report = report

    def get_report(self, include_item_details: bool = True) -> PipelineAnalysis | None:
        return self.report


def logged(caplog: pytest.LogCaptureFixture, pipeline: Any) -> list[str]:
    with caplog.at_level(logging.INFO, logger="async_task_pipeline"):
        log_pipeline_performance_analysis(pipeline)
    assert {record.levelname for record in caplog.records} == {"INFO"}
    assert {record.name for record in caplog.records} == {"async_task_pipeline"}
    return [record.getMessage() for record in caplog.records]


def test_a_report_is_logged_in_the_words_of_0_1_10_and_then_as_a_table(caplog: pytest.LogCaptureFixture) -> None:
    item = ItemTimingBreakdown(ItemTimingTotals(0.1, 0.3, 0.4, 0.25), {})
    report = attrs.evolve(analysis("parse"), item_breakdowns=[item] * 4)
    detail = [
        " - Item:",
        "   Total latency: 400.00ms",
        "   Actual computation time: 100.00ms",
        "   Actual overhead time: 300.00ms",
        "   Computation ratio: 25.0%",
    ]
    assert logged(caplog, Reporting(report)) == [
        "Enhanced Pipeline Performance Analysis:",
        " Total items processed: 1234",
        " Average end-to-end latency: 0.500s",
        " Efficiency Details:",
        "  Computation efficiency: 25.0%",
        "  Overhead ratio: 75.0%",
        " Per-Stage Performance Breakdown:",
        " - parse:",
        "   Processed: 7 items",
        "   Avg computation time: 1000.00ms",
        "   Avg queue wait time: 1000.00ms",
        "   Avg transmission time: 1000.00ms",
        "   Computation ratio: 33.3%",
        " Detailed Analysis for First Few Items:",
        *detail * 3,
        *(f"pipeline report: {line}" for line in report_lines(report)),
    ]


def test_nothing_delivered_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    pipeline = AsyncTaskPipeline[Any, Any](enable_timing=True).add_stage("s", print)
    assert logged(caplog, pipeline) == ["No items processed. No analysis available."]


def test_timing_off_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    pipeline = AsyncTaskPipeline[Any, Any]().add_stage("s", print)
    assert logged(caplog, pipeline) == ["Pipeline timing is disabled. No analysis available."]


def test_turns_cut_short_and_quiet_are_said() -> None:
    turns = [TurnStatistics(1, 0.0, 0.5, True, 1, 2, 0.25), TurnStatistics(2, 9.0, 1.5, False, 1, 0, 0.0)]
    interrupts = InterruptStatistics(1, 1, Percentiles(0.01, 0.02, 0.03), 0.03)
    lines = report_lines(attrs.evolve(analysis("a"), turns=turns, interrupts=interrupts))
    assert lines[-4:] == [
        "",
        "turns              2, cut short 1 (250 ms of computation wasted)",
        "first output after mean 1 s, max 1.5 s",
        "quiet again after  p50 10 ms, p90 20 ms, p99 30 ms, max 30 ms",
    ]


def test_turns_without_any_output_say_nothing_of_the_first() -> None:
    turns = [TurnStatistics(1, 0.0, None, True, 0, 2, 0.25)]
    lines = report_lines(attrs.evolve(analysis("a"), turns=turns))
    assert lines[-1] == "turns              1, cut short 1 (250 ms of computation wasted)"
