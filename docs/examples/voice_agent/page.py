"""The run as a page: what was said, seen and heard, in one file that needs no other.

The rule: what is shown is what was recorded, as in ``picture.py``; the page computes nothing but
where to draw it. Two conversations stand under each other on the same scale, so that what the
second takes longer can be seen.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from string import Template
from typing import Any

from .audio import Sound, seconds_of
from .figures import Figure, figures_of, milliseconds
from .picture import envelope
from .timeline import Lane, Timeline, Turn

COLUMNS_PER_SECOND = 40
"""Of a waveform: a screen does not show more."""

GAP = 0.003
"""Seconds. What a stage did with less of a pause between is drawn as one bar: no screen tells them apart."""


def merged(lane: Lane, start: float) -> list[tuple[float, float]]:
    """When a stage was at work, in milliseconds' precision, without the pauses that cannot be seen."""
    bars: list[tuple[float, float]] = []
    for began, ended in sorted(lane):
        if bars and began - start - bars[-1][1] < GAP:
            bars[-1] = bars[-1][0], max(bars[-1][1], round(ended - start, 3))
        else:
            bars.append((round(began - start, 3), round(ended - start, 3)))
    return bars


def _waveform(sound: Sound) -> list[list[float]]:
    columns = max(1, round(seconds_of(sound) * COLUMNS_PER_SECOND))
    return [[round(value, 3) for value in side] for side in envelope(sound, columns)]


def _turn(turn: Turn, start: float) -> dict[str, Any]:
    return {
        "number": turn.number,
        "barged_in": None if turn.barged_in is None else turn.barged_in - start,
        "said": [{"began": said.began - start, "ended": said.ended - start, "text": said.text} for said in turn.said],
    }


def conversation(timeline: Timeline, user: Sound, agent: Sound, wav: bytes) -> dict[str, Any]:
    """What the page has to know of a conversation."""
    start = timeline.start
    return {
        "name": timeline.name,
        "seconds": max(seconds_of(user), seconds_of(agent)),
        "user": _waveform(user),
        "agent": _waveform(agent),
        "lines": [
            {"began": line.began - start, "ended": line.ended - start, "text": line.text} for line in timeline.user
        ],
        "turns": [_turn(turn, start) for turn in timeline.turns.values()],
        "lanes": {stage: merged(lane, start) for stage, lane in timeline.lanes.items()},
        "sound": "data:audio/wav;base64," + base64.b64encode(wav).decode("ascii"),
    }


def _cell(figure: Figure) -> dict[str, Any]:
    seconds = figure.value is not None and figure.value >= 1
    value = f"{figure.value:.1f} s" if seconds else milliseconds(figure.value, 0)
    return {"value": value, "verdict": figure.verdict, "missed": figure.missed}


def _rows(timelines: Sequence[Timeline]) -> list[dict[str, Any]]:
    columns = [figures_of(timeline) for timeline in timelines]
    rows = [{"name": row[0].name, "cells": [_cell(figure) for figure in row]} for row in zip_longest(*columns)]
    stale = [
        {"value": f"{each.stale} of {each.frames}", "verdict": "has to be 0", "missed": each.stale > 0}
        for each in timelines
    ]
    return [*rows, {"name": "stale frames that got out", "cells": stale}]


def write_page(path: Path, conversations: Sequence[tuple[Timeline, Sound, Sound, bytes]]) -> None:
    """Write the page.

    Args:
        path: The file.
        conversations: Of each what was recorded, what the user and the agent sounded like, and both
            as a WAV file.
    """
    data = {
        "conversations": [conversation(*each) for each in conversations],
        "figures": _rows([timeline for timeline, *_ in conversations]),
    }
    template = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    # In a script, "</script>" and "<!--" would end it.
    path.write_text(template.substitute(data=json.dumps(data).replace("<", "\\u003c")), encoding="utf-8")
