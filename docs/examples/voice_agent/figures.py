"""The run in numbers, and whether it went well.

The rule: text out of records; a run that let a stale frame out, or that was not the
conversation it should have been, has failed, whatever its numbers are. A target that was
missed is no failure, because a busy machine misses it too; so both numbers are printed, and
which it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from async_task_pipeline import PipelineAnalysis

from .sound_card import PERIOD
from .timeline import Timeline, Turn


def milliseconds(seconds: float | None, width: int = 7, digits: int = 1) -> str:
    """A duration, or a dash if there is none."""
    return f"{'-' if seconds is None else f'{seconds * 1e3:.{digits}f}':>{width}} ms"


def worst(durations: Iterable[float | None]) -> float | None:
    """The longest of those that there are."""
    return max((each for each in durations if each is not None), default=None)


@attrs.frozen
class Figure:
    """What a conversation is judged by.

    Attributes:
        name: What it is.
        value: The worst of the conversation, in seconds; ``None`` if it never came to that.
        target: What it should be below, in seconds; ``None`` if that depends on who talks.
    """

    name: str
    value: float | None
    target: float | None = None

    @property
    def missed(self) -> bool:
        """Whether there is a target, and it was missed."""
        return self.target is not None and self.value is not None and self.value >= self.target

    @property
    def verdict(self) -> str:
        """The target beside the figure, and what became of it."""
        if self.target is None:
            return ""
        verdict = "not known" if self.value is None else "missed" if self.missed else "met"
        return f"target: below {milliseconds(self.target, 0, 0)}, {verdict}"


def overhead(turns: Iterable[Turn]) -> Figure:
    """The library's own share of the wait for an answer."""
    return Figure("the library's own share", worst(turn.overhead for turn in turns), 0.005)


def silence(turns: Iterable[Turn]) -> Figure:
    """How long the agent was heard after the user's barge-in was known of."""
    return Figure("barge-in -> last agent frame ended", worst(turn.silenced for turn in turns), 0.02)


def figures_of(timeline: Timeline) -> list[Figure]:
    """The few that tell one conversation from another."""
    turns = list(timeline.turns.values())
    return [
        Figure("end of user's speech -> first agent audio", worst(turn.response for turn in turns)),
        overhead(turns),
        silence(turns),
        Figure("stale speech that the user had to listen to", timeline.talked_on),
    ]


def answer_lines(turns: Sequence[Turn]) -> list[str]:
    """How long the user waited for each answer, and for what."""
    lines = ["end of user's speech -> first agent audio"]
    lines += [
        f"  turn {turn.number}  {milliseconds(turn.response)} = silence {milliseconds(turn.listening)}"
        f" + stages {milliseconds(turn.spent)} + sound card {milliseconds(turn.card, 5)}"
        f" + library {milliseconds(turn.overhead, 5)}"
        for turn in turns
    ]
    share = overhead(turns)
    return [*lines, f"  {share.name}: {milliseconds(share.value, 0)} at most; {share.verdict}"]


def barge_in_lines(turns: Sequence[Turn]) -> list[str]:
    """How soon the agent was silent each time."""
    cut = [turn for turn in turns if turn.barged_in is not None]
    silenced = silence(cut)
    lines = [silenced.name]
    lines += [
        f"  turn {turn.number}  {milliseconds(turn.silenced)}  (detected after"
        f" {milliseconds(turn.detection, 0)}; {turn.dropped} items dropped,"
        f" {turn.flushed_periods * PERIOD * 1e3:.0f} ms of sound flushed)"
        for turn in cut
    ]
    return [*lines, f"  {milliseconds(silenced.value, 0)} at most; {silenced.verdict}"]


def stale_line(timeline: Timeline) -> str:
    """The figure that has to be zero."""
    return f"stale frames  {timeline.stale} of {timeline.frames}"


def stage_lines(name: str, report: PipelineAnalysis) -> list[str]:
    """What each stage did, in milliseconds."""
    lines = [f"{name:<14}{'outcomes':>10}{'dropped':>9}{'wait p50':>10}{'p99':>9}{'compute p50':>13}{'p99':>9}"]
    for stage, its in report.summary.stage_statistics.items():
        wait, compute = its.queue_wait, its.computation
        lines.append(
            f"  {stage:<12}{its.processed_count:>10}{its.dropped_count:>9}{wait.p50 * 1e3:>10.2f}{wait.p99 * 1e3:>9.2f}"
            f"{compute.p50 * 1e3:>13.2f}{compute.p99 * 1e3:>9.2f}"
        )
    return lines


def turn_lines(report: PipelineAnalysis) -> list[str]:
    """What became of each turn, as the library saw it."""
    lines = [f"{'turns':<14}{'delivered':>10}{'dropped':>9}{'first output':>16}{'wasted':>13}"]
    lines += [
        f"  turn {turn.number:<7}{turn.delivered:>10}{turn.dropped:>9}{milliseconds(turn.first_output_time, 13)}"
        f"{milliseconds(turn.wasted_computation, 10)}{'  interrupted' if turn.interrupted else ''}"
        for turn in report.turns
    ]
    interrupts = report.interrupts
    if interrupts is not None and interrupts.with_calls:
        lines.append(f"  idle {milliseconds(interrupts.max_time_to_idle, 0)} after an interrupt, at most")
    return lines


def problems(timeline: Timeline, *, said: Sequence[str], barge_ins: int) -> list[str]:
    """Why the run has failed; nothing if it has not."""
    found = []
    if timeline.stale:
        found.append(f"{timeline.stale} stale frames got out")
    if timeline.heard != list(said):
        found.append(f"heard {timeline.heard} where the user said {list(said)}")
    times = sum(turn.barged_in is not None for turn in timeline.turns.values())
    if times != barge_ins:
        found.append(f"{times} barge-ins where there should be {barge_ins}")
    if timeline.current is not None:
        found.append(f"turn {timeline.current.number} never came to its end")
    return found
