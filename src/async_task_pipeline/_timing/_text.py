"""A report as text for people, and as HTML for a notebook.

The rule: strings in, strings out; printing and logging are the caller's. What there is to say is worked
out once, as facts and tables, so that a terminal, a log and a notebook say the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs

from .._layout import NAME, columns, printable, shortened, wrapped
from ._report import Bottleneck, InterruptStatistics, LatencySummary, Percentiles, TurnStatistics

INDENT = 19
"""Cells for the label of a fact."""


class Reported(Protocol):
    """What a report has to say."""

    @property
    def summary(self) -> LatencySummary: ...

    @property
    def turns(self) -> list[TurnStatistics]: ...

    @property
    def interrupts(self) -> InterruptStatistics | None: ...


@attrs.frozen
class Table:
    """Rows of as many cells as the head has; the first of each is a name."""

    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


def duration(seconds: float) -> str:
    """A duration with three significant digits and a fitting unit."""
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms")):
        if abs(seconds) < limit:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s" if abs(seconds) < 100 else f"{seconds:.0f} s"


def percent(share: float) -> str:
    """A share in hundredths."""
    return f"{share * 100:.0f} %"


def number(count: float) -> str:
    """A count in at most eight characters; one below ten with a digit behind the point, unless that is zero."""
    for limit, unit in ((1e13, "T"), (1e10, "G"), (1e7, "M")):
        if count >= limit:
            return f"{count / limit * 10:.3g}{unit}"
    return f"{count:.0f}" if count >= 10 else f"{count:.1f}".removesuffix(".0")


def _percentiles(of: Percentiles) -> str:
    return f"p50 {duration(of.p50)}, p90 {duration(of.p90)}, p99 {duration(of.p99)}"


def evidence(of: Bottleneck) -> str:
    """What tells that a stage is limiting."""
    waiting = number(of.avg_queue_depth)
    return (
        f"{shortened(of.name, NAME)}, busy {percent(of.busy_share)} of {of.workers} worker{'s' * (of.workers != 1)}, "
        f"{waiting} item{'s' * (waiting != '1')} waiting before it"
    )


def whereabouts(summary: LatencySummary) -> str:
    """Where an average item spent its time, from creation to the output."""
    stages = [each.timing_breakdown for each in summary.stage_statistics.values()]
    in_calls = sum(each.avg_computation_time for each in stages)
    waiting = sum(each.avg_queue_wait_time for each in stages)
    held_up = sum(each.avg_transmission_time for each in stages)
    before = max(summary.avg_total_latency - in_calls - waiting - held_up, 0.0)
    total = in_calls + waiting + held_up + before
    if total <= 0:
        return "none"
    parts = [(before, "waiting to enter")] if before >= 0.005 * total else []
    parts += [(waiting, "waiting for a worker"), (in_calls, "in calls"), (held_up, "held up by what follows")]
    return ", ".join(f"{percent(part / total)} {words}" for part, words in parts)


def facts(of: Reported) -> list[tuple[str, str]]:
    """The report but for its tables: labels, and what belongs to them."""
    summary = of.summary
    rate = summary.throughput
    found = [("items delivered", f"{summary.total_items}  ({rate:{',.0f' if rate >= 10 else '.2g'}} per second)")]
    if summary.total_items:
        latency = f"mean {duration(summary.avg_total_latency)}, {_percentiles(summary.total_latency)}"
        found += [
            ("latency", f"{latency}, max {duration(summary.max_total_latency)}"),
            ("time of an item", whereabouts(summary)),
        ]
    named = [evidence(each) for each in summary.bottlenecks] or [shortened(summary.bottleneck or "none", NAME)]
    found += zip(["bottleneck", *[""] * len(named)], named, strict=False)
    if summary.advice:
        found.append(("advice", summary.advice))
    return found


def turn_facts(of: Reported) -> list[tuple[str, str]]:
    """What there is to say of turns and interrupts, if any were cut short."""
    found: list[tuple[str, str]] = []
    cut_short = [turn for turn in of.turns if turn.interrupted]
    if cut_short:
        first = [turn.first_output_time for turn in of.turns if turn.first_output_time is not None]
        wasted = sum(turn.wasted_computation for turn in cut_short)
        wasted_text = f"({duration(wasted)} of computation wasted)"
        found.append(("turns", f"{len(of.turns)}, cut short {len(cut_short)} {wasted_text}"))
        if first:
            found.append(
                ("first output after", f"mean {duration(sum(first) / len(first))}, max {duration(max(first))}")
            )
    if of.interrupts is not None and of.interrupts.with_calls:
        idle = of.interrupts
        found.append(("quiet again after", f"{_percentiles(idle.time_to_idle)}, max {duration(idle.max_time_to_idle)}"))
    return found


def tables(of: Reported) -> list[Table]:
    """What was done in each stage, and how long it took."""
    stages = of.summary.stage_statistics
    done = [
        (
            printable(name),
            str(stage.workers),
            percent(stage.busy_share),
            number(stage.avg_queue_depth),
            *map(number, (stage.processed_count, stage.filtered_count, stage.failed_count, stage.dropped_count)),
        )
        for name, stage in stages.items()
    ]
    took = [
        (
            printable(name),
            *(
                duration(of)
                for each in (stage.queue_wait, stage.computation, stage.transmission)
                for of in (each.p50, each.p99)
            ),
        )
        for name, stage in stages.items()
    ]
    return [
        Table(("stage", "workers", "busy", "waiting", "outcomes", "filtered", "failed", "dropped"), done),
        Table(("stage", "wait p50", "p99", "call p50", "p99", "held up p50", "p99"), took),
    ]


def report_lines(of: Reported) -> list[str]:
    """The report as lines of at most 80 cells, without a final newline."""
    lines = [line for label, text in facts(of) for line in wrapped(label, text, INDENT)]
    for table in tables(of):
        lines += ["", *columns(table.head, table.rows)]
    if others := turn_facts(of):
        lines += ["", *(line for label, text in others for line in wrapped(label, text, INDENT))]
    return lines


def report_html(of: Reported) -> str:
    """The report for a notebook."""
    said = [_html_row([label, text], head=1) for label, text in [*facts(of), *turn_facts(of)]]
    parts = [f"<table>{''.join(said)}</table>"]
    for table in tables(of):
        rows = [_html_row(table.head, head=len(table.head)), *(_html_row(row, head=1) for row in table.rows)]
        parts.append(f"<table>{''.join(rows)}</table>")
    return "\n".join(parts)


def _html_row(row: Sequence[str], *, head: int) -> str:
    import html  # noqa: PLC0415  only notebooks need it

    made = []
    for index, cell in enumerate(row):
        tag, align = ("th" if index < head else "td"), ("left" if index == 0 or len(row) == 2 else "right")
        made.append(f'<{tag} style="text-align: {align}">{html.escape(cell)}</{tag}>')
    return f"<tr>{''.join(made)}</tr>"
