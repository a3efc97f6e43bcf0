"""The run as a picture.

The rule: what is drawn is what was recorded: the two tracks of the WAV file, and the
instants of the timeline over them. Below, each barge-in again, enlarged.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .audio import RATE, Sound, seconds_of, size_of, values
from .timeline import Timeline, Turn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

USER, AGENT, CUT, GREY = "#1f77b4", "#2ca02c", "#d62728", "#888888"

SCALE = 32768

ROOM = 0.12
"""Seconds before and after a barge-in in the lower row."""


def envelope(sound: Sound, columns: int) -> tuple[list[float], list[float]]:
    """The least and the greatest sample of each column, between -1 and 1, as an editor draws sound."""
    samples = values(sound)
    size = max(1, -(-len(samples) // columns))
    parts = [samples[at : at + size] for at in range(0, len(samples), size)]
    return [min(part) / SCALE for part in parts], [max(part) / SCALE for part in parts]


def _track(axes: Axes, sound: Sound, offset: float, colour: str) -> None:
    low, high = envelope(sound, 3000)
    times = [seconds_of(sound) * column / len(low) for column in range(len(low))]
    low, high = [offset + value for value in low], [offset + value for value in high]
    axes.fill_between(times, low, high, color=colour, linewidth=0.4)


def _conversation(axes: Axes, timeline: Timeline, user: Sound, agent: Sound) -> None:
    _track(axes, user, 1.0, USER)
    _track(axes, agent, -1.0, AGENT)
    for span in timeline.user:
        began, ended = span.began - timeline.start, span.ended - timeline.start
        axes.axvspan(began, ended, 0.5, 1, color=USER, alpha=0.1, linewidth=0)
        axes.text(began, 2.08, span.text, color=USER, fontsize=8, va="bottom")
    for turn in timeline.turns.values():
        if turn.first_audio is None or turn.last_audio is None:
            continue
        began, ended = turn.first_audio - timeline.start, turn.last_audio - timeline.start
        axes.axvspan(began, ended, 0, 0.5, color=AGENT, alpha=0.1, linewidth=0)
        fate = "interrupted" if turn.barged_in is not None else "to its end"
        axes.text(began, -2.08, f"turn {turn.number}, {fate}", color=AGENT, fontsize=8, va="top")
        if turn.barged_in is not None:
            axes.axvline(turn.barged_in - timeline.start, 0.08, 0.9, color=CUT, linewidth=1.2)
        axes.annotate(
            f"{turn.response or 0:.2f} s",
            (began, -0.04),
            (turn.speech_ended - timeline.start, -0.04),
            arrowprops={"arrowstyle": "->", "color": GREY},
            color=GREY,
            fontsize=7,
            va="center",
            ha="right",
        )
    axes.set(xlim=(0, max(seconds_of(user), seconds_of(agent), 1.0)), ylim=(-2.5, 2.5), xlabel="seconds")
    axes.set_yticks([1, -1], ["user", "agent"])


def _barge_in(axes: Axes, timeline: Timeline, turn: Turn, agent: Sound) -> None:
    assert turn.barged_in is not None  # noqa: S101 # it is drawn for those only
    at = turn.barged_in - timeline.start
    first = max(0.0, at - ROOM)
    piece = [value / SCALE for value in values(agent[size_of(first) : size_of(at + ROOM)])]
    times = [(first - at + sample / RATE) * 1e3 for sample in range(len(piece))]
    axes.plot(times, piece, color=AGENT, linewidth=0.6)
    axes.axvline(0, color=CUT, linewidth=1.2, label="barge-in")
    if turn.flushed is not None:
        axes.axvline((turn.flushed - turn.barged_in) * 1e3, color=CUT, linewidth=0.8, linestyle=":", label="flush")
    if turn.silenced is not None:
        axes.axvline(turn.silenced * 1e3, color="black", linewidth=0.8, linestyle="--", label="audio stopped")
    silenced = "no audio" if turn.silenced is None else f"silent after {turn.silenced * 1e3:.1f} ms"
    axes.set(xlim=(-ROOM * 1e3, ROOM * 1e3), ylim=(-1, 1), yticks=[], xlabel="milliseconds from the barge-in")
    axes.set_title(f"turn {turn.number}: {silenced}", fontsize=9)
    axes.legend(fontsize=7, loc="lower right")


def draw(path: Path, timeline: Timeline, user: Sound, agent: Sound) -> None:
    """Write the picture as a PNG file."""
    from matplotlib.figure import Figure  # noqa: PLC0415 # a second, and only for this

    cut = [turn for turn in timeline.turns.values() if turn.barged_in is not None]
    figure = Figure(figsize=(13, 6), layout="constrained")
    grid = figure.add_gridspec(2, max(1, len(cut)), height_ratios=[3, 2])
    _conversation(figure.add_subplot(grid[0, :]), timeline, user, agent)
    for column, turn in enumerate(cut):
        _barge_in(figure.add_subplot(grid[1, column]), timeline, turn, agent)
    figure.suptitle(f"{len(cut)} barge-ins, {timeline.stale} stale frames of {timeline.frames}", fontsize=11)
    figure.savefig(path, dpi=110)
