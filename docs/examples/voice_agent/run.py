"""The run: put the agent together, let it talk with the user, and tell of it.

The rule: nothing is decided here. Who says what is in ``scenario.py``, what the figures
are in ``timeline.py``, and whether it went well in ``figures.py``.
"""

from __future__ import annotations

import io
import time
import wave
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import anyio
import attrs

from . import figures, scenario
from .audio import RATE, WIDTH, Sound
from .conversation import Agent
from .detection import Detector
from .engines import pocketsphinx, silero
from .language_model import ScriptedModel
from .page import write_page
from .picture import draw
from .recognition import Recogniser
from .timeline import Timeline
from .user import Line, User

PATIENCE = 90.0
"""Seconds after which a conversation is given up; it takes about twenty, and forty if nothing interrupts the agent."""

WITH, WITHOUT = "with interrupt()", "without interrupt()"

Engines: TypeAlias = tuple[Detector, Recogniser]
"""What listens. Loading them takes a moment, so they are there before a conversation begins."""


@attrs.frozen
class Conversation:
    """An agent, and a user of its own."""

    user: User
    agent: Agent

    @classmethod
    def between(cls, lines: Sequence[Line], engines: Engines, *, interrupting: bool) -> Conversation:
        """A conversation that begins now."""
        timeline = Timeline(time.perf_counter(), WITH if interrupting else WITHOUT)
        detector, recogniser = engines
        agent = Agent(
            detector,
            recogniser,
            ScriptedModel(scenario.REPLIES, anyio.sleep),
            scenario.AGENT,
            timeline=timeline,
            clock=time.perf_counter,
            sleep=anyio.sleep,
            interrupting=interrupting,
        )
        return cls(User(lines, timeline), agent)

    async def hold(self) -> None:
        """Talk until all has been said."""
        with anyio.move_on_after(PATIENCE):
            await self.agent.run(self.user.microphone(time.perf_counter, anyio.sleep))

    @property
    def tracks(self) -> tuple[Sound, Sound]:
        """What the user said, and what the agent did."""
        return self.user.track, self.agent.card.track

    def wav(self) -> bytes:
        """Both as a WAV file: user left, agent right."""
        size = max(map(len, self.tracks))
        stereo = array("h", bytes(2 * size))
        for channel, track in enumerate(self.tracks):
            stereo[channel::2] = array("h", track.ljust(size, b"\0"))
        written = io.BytesIO()
        with wave.open(written, "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(WIDTH)
            file.setframerate(RATE)
            file.writeframes(stereo)
        return written.getvalue()


async def converse(directory: Path, interrupting: bool, compared: bool) -> int:
    """Hold the conversation, and tell of it; return the exit code.

    Args:
        directory: The folder for the files.
        interrupting: Whether a barge-in interrupts the agent.
        compared: Whether to hold it a second time, at the same time, with an agent that is not interrupted.
    """
    lines = await anyio.to_thread.run_sync(scenario.lines)
    modes = [interrupting, False] if compared else [interrupting]
    loaded = [(mode, (Detector(silero()), Recogniser(pocketsphinx(scenario.REPLIES)))) for mode in modes]
    held = [Conversation.between(lines, engines, interrupting=mode) for mode, engines in loaded]
    async with anyio.create_task_group() as tg:
        for each in held:
            tg.start_soon(each.hold)
    write(directory, held)
    tell(held[0].agent)
    found = figures.problems(held[0].agent.timeline, said=[line.text for line in lines], barge_ins=scenario.BARGE_INS)
    for problem in found:
        print(f"FAILED: {problem}")
    return 1 if found else 0


def write(directory: Path, held: Sequence[Conversation]) -> None:
    """Write the sound and the picture of the first conversation, and the page with all of them."""
    directory.mkdir(parents=True, exist_ok=True)
    first = held[0]
    (directory / "conversation.wav").write_bytes(first.wav())
    draw(directory / "timeline.png", first.agent.timeline, *first.tracks)
    write_page(directory / "conversation.html", [(each.agent.timeline, *each.tracks, each.wav()) for each in held])
    names = ", ".join(str(directory / name) for name in ("conversation.wav", "timeline.png"))
    print(f"\nwrote {names}, and to look at and listen to: {directory / 'conversation.html'}\n")


def tell(agent: Agent) -> None:
    """Print what happened."""
    timeline = agent.timeline
    turns = list(timeline.turns.values())
    parts = [figures.answer_lines(turns), figures.barge_in_lines(turns), [figures.stale_line(timeline)]]
    reports = {"uplink": agent.uplink.get_report(), "downlink": agent.downlink.get_report()}
    parts += [figures.stage_lines(name, report) for name, report in reports.items() if report is not None]
    if (report := reports["downlink"]) is not None:
        parts.append(figures.turn_lines(report))
    for part in parts:
        print(*part, "", sep="\n")
