"""The report as text, character by character, and as log lines."""

from __future__ import annotations

import logging
from typing import Any
from xml.etree import ElementTree as ET

import attrs
import pytest

from async_task_pipeline import (
    AsyncTaskPipeline,
    Bottleneck,
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
from async_task_pipeline._layout import cells
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


def stage(**other: Any) -> StageStatistics:
    return StageStatistics(
        avg_latency=1.0,
        min_latency=1.0,
        max_latency=1.0,
        processed_count=7,
        avg_processing_time=1.0,
        timing_breakdown=TimingBreakdown(0.015, 0.4, 0.085, 0.03),
        queue_wait=Percentiles(1e-6, 2e-6, 3e-6),
        computation=Percentiles(1e-3, 2e-3, 3e-3),
        transmission=Percentiles(1.0, 2.0, 3.0),
        throughput=1.0,
        filtered_count=4,
        failed_count=5,
        dropped_count=6,
        unproductive_computation_time=0.0,
        **other,
    )


def analysis(*limiting: Bottleneck, names: tuple[str, ...] = ("parse",), advice: str = "") -> PipelineAnalysis:
    summary = LatencySummary(
        total_items=1234,
        avg_total_latency=0.5 * len(names),
        min_total_latency=0.1,
        max_total_latency=9.0,
        stage_statistics={name: stage(workers=2, busy_share=0.97, avg_queue_depth=60.2) for name in names},
        overall_efficiency=EfficiencyMetrics(0.25, 0.75),
        total_latency=Percentiles(0.4, 2.0, 3.0),
        throughput=4321.4,
        bottleneck=limiting[0].name if limiting else None,
        bottlenecks=[*limiting],
        advice=advice,
    )
    return PipelineAnalysis(summary, [], {})


PARSE = Bottleneck("parse", 0.97, 1, 60.2, 0)
CLEAN = Bottleneck("clean", 0.899, 4, 1.04, 2)


def test_the_lines_of_a_report() -> None:
    assert str(analysis(PARSE, CLEAN, names=("parse", "clean"), advice="do " * 30 + "this")).splitlines() == [
        "items delivered    1234  (4,321 per second)",
        "latency            mean 1 s, p50 400 ms, p90 2 s, p99 3 s, max 9 s",
        "time of an item    80 % waiting for a worker, 3 % in calls, 17 % held up by what",
        "                   follows",
        "bottleneck         parse, busy 97 % of 1 worker, 60 items waiting before it",
        "                   clean, busy 90 % of 4 workers, 1 item waiting before it",
        "advice             do do do do do do do do do do do do do do do do do do do do",
        "                   do do do do do do do do do do this",
        "",
        "stage  workers  busy  waiting  outcomes  filtered  failed  dropped",
        "parse        2  97 %       60         7         4       5        6",
        "clean        2  97 %       60         7         4       5        6",
        "",
        "stage  wait p50   p99  call p50   p99  held up p50  p99",
        "parse      1 µs  3 µs      1 ms  3 ms          1 s  3 s",
        "clean      1 µs  3 µs      1 ms  3 ms          1 s  3 s",
    ]


NAMES = {
    "long": "x" * 300,
    "wide": "\u65e5\u672c\u8a9e" * 40,
    "emoji": "\U0001f600" * 99,
    "combining": "e\u0301" * 200,
    "a terminal's commands": "\x1b[31m\r\n\t" * 20,
    "half a character": "\ud800" * 50,
    "spaces": "a b " * 60,
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_report_fits_whatever_the_names_and_numbers(name: str) -> None:
    many = attrs.evolve(analysis(attrs.evolve(PARSE, name=name, workers=10**6, avg_queue_depth=1e9), names=(name,)))
    large = stage(workers=10**6, busy_share=1.0, avg_queue_depth=1e12)
    large = attrs.evolve(
        large,
        **dict.fromkeys(("processed_count", "filtered_count", "failed_count", "dropped_count"), 10**14),
        **dict.fromkeys(("queue_wait", "computation", "transmission"), Percentiles(-123.4e-6, 0.5, 1234567.0)),
    )
    summary = attrs.evolve(many.summary, stage_statistics={name: large, "b": large}, max_total_latency=1e6)
    lines = str(attrs.evolve(many, summary=summary)).splitlines()
    assert [line for line in lines if cells(line) > 80 or not line.isprintable()] == []
    assert cells(lines[-1]) == cells(lines[-2])  # the last column is where it was
    lines[-2].encode()


def test_a_report_in_a_notebook_says_the_same_and_is_no_markup() -> None:
    name = "<script>alert('&')</script>"
    shown = analysis(attrs.evolve(PARSE, name=name), names=(name,), advice="<b>")._repr_html_()
    assert "<script" not in shown
    assert "<b>" not in shown
    root = ET.fromstring(f"<div>{shown}</div>")
    texts = [cell.text for cell in root.iter() if cell.text]
    assert "bottleneck" in texts
    assert name in texts
    assert len([*root.iter("tr")]) == 5 + 2 + 2


def test_the_repr_of_a_report_has_no_thousand_records() -> None:
    item = ItemTimingBreakdown(ItemTimingTotals(0.1, 0.3, 0.4, 0.25), {})
    report = attrs.evolve(analysis(), item_breakdowns=[item] * 1000)
    assert "item_breakdowns=<1000 records>" in repr(report)
    assert "ItemTimingTotals" not in repr(report)


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        ({}, "bottleneck         none"),
        ({"bottleneck": "parse"}, "bottleneck         parse"),  # by hand, without evidence
        ({"total_items": 0, "throughput": 0.0}, "items delivered    0  (0 per second)\nbottleneck         none"),
    ],
)
def test_what_there_is_not_is_left_out(summary: dict[str, Any], said: str) -> None:
    report = attrs.evolve(analysis(), summary=attrs.evolve(analysis().summary, **summary))
    assert f"\n{said}\n" in "\n".join(["", *report_lines(report), ""])


class Reporting:
    """What the log function needs of a pipeline."""

    enable_timing = True

    def __init__(self, report: PipelineAnalysis) -> None:
        self.get_report = lambda include_item_details=True: report


def logged(caplog: pytest.LogCaptureFixture, pipeline: Any) -> list[str]:
    with caplog.at_level(logging.INFO, logger="async_task_pipeline"):
        log_pipeline_performance_analysis(pipeline)
    assert {record.levelname for record in caplog.records} == {"INFO"}
    assert {record.name for record in caplog.records} == {"async_task_pipeline"}
    return [record.getMessage() for record in caplog.records]


def test_a_report_is_logged_in_the_words_of_0_1_10_and_then_as_a_table(caplog: pytest.LogCaptureFixture) -> None:
    item = ItemTimingBreakdown(ItemTimingTotals(0.1, 0.3, 0.4, 0.25), {})
    report = attrs.evolve(analysis(PARSE), item_breakdowns=[item] * 4)
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
        "   Avg computation time: 15.00ms",
        "   Avg queue wait time: 400.00ms",
        "   Avg transmission time: 85.00ms",
        "   Computation ratio: 3.0%",
        " Detailed Analysis for First Few Items:",
        *detail * 3,
        *(f"pipeline report: {line}" for line in report_lines(report)),
    ]


@pytest.mark.parametrize(
    ("timing", "said"),
    [
        (True, "No items processed. No analysis available."),
        (False, "Pipeline timing is disabled. No analysis available."),
    ],
)
def test_nothing_to_report_is_one_line(timing: bool, said: str, caplog: pytest.LogCaptureFixture) -> None:
    pipeline = AsyncTaskPipeline[Any, Any](enable_timing=timing).add_stage("s", print)
    assert logged(caplog, pipeline) == [said]


def test_turns_cut_short_and_quiet_are_said() -> None:
    turns = [TurnStatistics(1, 0.0, 0.5, True, 1, 2, 0.25), TurnStatistics(2, 9.0, 1.5, False, 1, 0, 0.0)]
    interrupts = InterruptStatistics(1, 1, Percentiles(0.01, 0.02, 0.03), 0.03)
    lines = report_lines(attrs.evolve(analysis(PARSE), turns=turns, interrupts=interrupts))
    assert lines[-4:] == [
        "",
        "turns              2, cut short 1 (250 ms of computation wasted)",
        "first output after mean 1 s, max 1.5 s",
        "quiet again after  p50 10 ms, p90 20 ms, p99 30 ms, max 30 ms",
    ]


def test_turns_without_any_output_say_nothing_of_the_first() -> None:
    turns = [TurnStatistics(1, 0.0, None, True, 0, 2, 0.25)]
    lines = report_lines(attrs.evolve(analysis(PARSE), turns=turns))
    assert lines[-1] == "turns              1, cut short 1 (250 ms of computation wasted)"
