"""The run: put the agent together, let it talk with the user, and tell of it.

The rule: nothing is decided here. Who says what is in ``scenario.py``, what the figures
are in ``timeline.py``, and whether it went well in ``figures.py``.
"""

from __future__ import annotations

import time
import wave
from array import array
from pathlib import Path

import anyio

from . import figures, scenario
from .audio import RATE, WIDTH
from .conversation import Agent
from .detection import Detector
from .engines import pocketsphinx, silero
from .language_model import ScriptedModel
from .picture import draw
from .recognition import Recogniser
from .timeline import Timeline
from .user import User

PATIENCE = 60.0
"""Seconds after which the conversation is given up; it takes about twenty."""


async def converse(directory: Path, interrupting: bool) -> int:
    """Hold the conversation and tell of it; return the exit code."""
    lines = await anyio.to_thread.run_sync(scenario.lines)
    detector, recogniser = Detector(silero()), Recogniser(pocketsphinx(scenario.REPLIES))
    timeline = Timeline(time.perf_counter())
    user = User(lines, timeline)
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
    with anyio.move_on_after(PATIENCE):
        await agent.run(user.microphone(time.perf_counter, anyio.sleep))
    write(directory, user, agent)
    tell(agent)
    found = figures.problems(timeline, said=[line.text for line in lines], barge_ins=scenario.BARGE_INS)
    for each in found:
        print(f"FAILED: {each}")
    return 1 if found else 0


def write(directory: Path, user: User, agent: Agent) -> None:
    """Write the sound, user left and agent right, and the picture."""
    directory.mkdir(parents=True, exist_ok=True)
    tracks = user.track, agent.card.track
    size = max(map(len, tracks))
    stereo = array("h", bytes(2 * size))
    for channel, track in enumerate(tracks):
        stereo[channel::2] = array("h", track.ljust(size, b"\0"))
    with wave.open(str(directory / "conversation.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(WIDTH)
        file.setframerate(RATE)
        file.writeframes(stereo)
    draw(directory / "timeline.png", agent.timeline, *tracks)
    print(f"wrote {directory / 'conversation.wav'} and {directory / 'timeline.png'}\n")


def tell(agent: Agent) -> None:
    """Print what happened."""
    timeline = agent.timeline
    for number, text in enumerate(timeline.heard, 1):
        print(f"turn {number}: the user said {text!r}")
    turns = list(timeline.turns.values())
    parts = [figures.answer_lines(turns), figures.barge_in_lines(turns), [figures.stale_line(timeline)]]
    reports = {"uplink": agent.uplink.get_report(), "downlink": agent.downlink.get_report()}
    parts += [figures.stage_lines(name, report) for name, report in reports.items() if report is not None]
    if (report := reports["downlink"]) is not None:
        parts.append(figures.turn_lines(report))
    for part in parts:
        print("", *part, sep="\n")
    print()
