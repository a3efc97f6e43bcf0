"""A pipeline as people see it: as lines of text, and as a picture for a notebook.

The rule: both show what ``statistics`` says and ask for nothing else. Names are anybody's: they are
shortened, and no markup.
"""

from __future__ import annotations

from collections.abc import Sequence

from ._layout import columns, printable, shortened
from ._stage import PipelineStage
from ._statistics import PipelineStatistics, StageFlow

BOXES_PER_ROW = 4
"""As many as a notebook has room for beside its margins."""

BOX, LINK, HEIGHT, ROW = 132, 44, 58, 86
"""Pixels: a stage, the link before it, how high a stage is, and from one row to the next."""

NAME = 16
"""Cells for a name in a box."""


def lines(stages: Sequence[PipelineStage], now: PipelineStatistics, *, running: bool) -> list[str]:
    """The state, and a line for each stage."""
    state = f"pipeline, {'running' if running else 'not running'}: "
    counts = f"{now.accepted} accepted, {now.delivered} delivered, {now.inside} inside"
    if not stages:
        return [f"{state}no stages"]
    head = ("stage", "runs in", "workers", "waiting", "in calls", "passed on")
    rows = [
        (
            printable(stage.name),
            where(stage),
            str(stage.workers),
            *map(str, (flow.queue_depth, flow.in_call, flow.delivered)),
        )
        for stage, flow in zip(stages, now.stages.values(), strict=True)
    ]
    return [state + counts, *columns(head, [*rows, ("output", "", "", str(now.output_depth), "", str(now.delivered))])]


def where(stage: PipelineStage) -> str:
    """Where the calls of a stage run."""
    return "event loop" if stage.kind == "loop" else stage.kind


def svg(stages: Sequence[PipelineStage], now: PipelineStatistics) -> str:
    """The chain: a box for each stage, and before it how many items wait."""
    parts = [
        _box(index, stage, flow) for index, (stage, flow) in enumerate(zip(stages, now.stages.values(), strict=True))
    ]
    across, rows = min(len(stages), BOXES_PER_ROW), max(-(-len(stages) // BOXES_PER_ROW), 1)
    x, y = _place(len(stages) - 1) if stages else (0, 8)
    parts.append(_link(x + BOX if stages else 0, y, now.output_depth))
    width, height = across * (BOX + LINK) + LINK + 4, rows * ROW
    words = f"{now.accepted} accepted, {now.delivered} delivered, {now.inside} inside"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height + 14}" '
        f'font-family="sans-serif" font-size="11" text-anchor="middle">'
        f'{"".join(parts)}<text x="4" y="{height + 6}" text-anchor="start" fill="#808080">{words}</text></svg>'
    )


def _place(index: int) -> tuple[int, int]:
    row, column = divmod(index, BOXES_PER_ROW)
    return column * (BOX + LINK) + LINK, row * ROW + 8


def _box(index: int, stage: PipelineStage, flow: StageFlow) -> str:
    x, y = _place(index)
    middle = x + BOX // 2
    told = [
        (16, "bold", shortened(stage.name, NAME)),
        (32, "normal", f"{where(stage)} x {stage.workers}"),
        (48, "normal", f"{flow.in_call} in call{'s' * (flow.in_call != 1)}"),
    ]
    texts = "".join(
        f'<text x="{middle}" y="{y + down}" fill="#1a1a1a" font-weight="{weight}">{_escaped(text)}</text>'
        for down, weight, text in told
    )
    # A whole name where the pointer rests.
    box = (
        f'<rect x="{x}" y="{y}" width="{BOX}" height="{HEIGHT}" rx="6" fill="#f4f6fa" stroke="#8090a8">'
        f"<title>{_escaped(printable(stage.name))}</title></rect>"
    )
    return _link(x - LINK, y, flow.queue_depth) + box + texts


def _link(x: int, y: int, waiting: int) -> str:
    down, end = y + HEIGHT // 2, x + LINK - 3
    return (
        f'<path d="M{x + 3} {down}H{end}m-5 -4l5 4l-5 4" fill="none" stroke="#808080"/>'
        f'<text x="{x + LINK // 2}" y="{down - 6}" fill="#808080">{waiting}</text>'
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
