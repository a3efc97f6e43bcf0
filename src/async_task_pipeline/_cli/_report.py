"""The report at the end: as JSON, as text, or drawn where a person looks at it.

The rule: what is drawn says what the text says. It is drawn on a terminal, if rich, an extra, is
installed; in a file, a pipe and a log it is text in lines of 80 cells.
"""

from __future__ import annotations

import importlib.util
import json
import sys

from .._timing._analysis import PipelineAnalysis
from .._timing._text import facts, report_lines, tables, turn_facts

NOTHING = "no item came to a result"


def report_text(analysis: PipelineAnalysis | None, style: str) -> str:
    """The report as text or JSON."""
    if style == "json":
        return json.dumps(None if analysis is None else analysis.model_dump())
    return NOTHING if analysis is None else "\n".join(report_lines(analysis))


def can_draw() -> bool:
    """Whether stderr is a terminal and rich is installed."""
    return sys.stderr is not None and sys.stderr.isatty() and importlib.util.find_spec("rich") is not None


def draw(analysis: PipelineAnalysis) -> None:
    """Draw the report on the terminal that is stderr."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415  an extra
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(stderr=True)

    def draw_facts(said: list[tuple[str, str]]) -> None:
        grid = Table.grid(padding=(0, 2))
        for label, text in said:
            style = "bold yellow" if label == "bottleneck" else ""
            grid.add_row(Text(label, "dim", no_wrap=True), Text(text, style))
        console.print(grid)

    draw_facts(facts(analysis))
    for each in tables(analysis):
        table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column(each.head[0], no_wrap=True, overflow="ellipsis")
        for name in each.head[1:]:
            table.add_column(name, justify="right", no_wrap=True)
        for row in each.rows:
            table.add_row(*map(Text, row))
        console.print(table)
    if others := turn_facts(analysis):
        draw_facts(others)
