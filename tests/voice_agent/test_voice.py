"""The voice, with a program in espeak-ng's place that the test has written."""

from __future__ import annotations

import os
import sys

import pytest

np = pytest.importorskip("numpy", reason="the voice needs numpy: pip install '.[voice]'")
pytest.importorskip("soxr", reason="the voice needs soxr: pip install '.[voice]'")

from docs.examples.voice_agent.audio import FRAME_SIZE, RATE, values  # noqa: E402
from docs.examples.voice_agent.messages import Sentence, Trace  # noqa: E402
from docs.examples.voice_agent.voice import PROGRAM, Voice  # noqa: E402

SPEAKER = """\
#!{python}
import math, os, struct, sys
from array import array

name, _, pace, _, _, text = sys.argv[2:]
with open({pid!r}, "w") as file:
    file.write(str(os.getpid()))
rate = {rate}
# As espeak-ng writes it to a pipe: the lengths are not known yet.
out = sys.stdout.buffer
out.write(b"RIFF" + struct.pack("<I", 0x7FFFF024) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16))
out.write(b"data" + struct.pack("<I", 0x7FFFF000))
second = array("h", [round(16000 * math.sin(2 * math.pi * 440 * at / rate)) for at in range(rate)]).tobytes()
out.write(second)
while text == "endless":
    out.write(second)
"""


@pytest.fixture(params=[22050, 48000, RATE])
def speaker(request, tmp_path, monkeypatch):
    """A program that speaks a second of 440 Hz; the file with its process id."""
    pid, program = tmp_path / "pid", tmp_path / PROGRAM
    program.write_text(SPEAKER.format(python=sys.executable, pid=str(pid), rate=request.param))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return pid


def test_the_sound_is_as_long_and_as_high_at_the_rate_of_the_agent(speaker):
    sound = np.array(values(b"".join(Voice("en").speak("short"))))
    assert abs(len(sound) - RATE) <= 1
    assert np.argmax(np.abs(np.fft.rfft(sound, RATE))) == 440


def test_a_sentence_becomes_frames_of_its_turn(speaker):
    frames = list(Voice("en")(Sentence(Trace(1.0), 3, "short")))
    assert {(frame.trace, frame.turn, len(frame.sound)) for frame in frames} == {(Trace(1.0), 3, FRAME_SIZE)}
    assert len(frames) in {50, 51}


def test_whoever_stops_listening_stops_the_program(speaker):
    frames = Voice("en")(Sentence(Trace(0.0), 1, "endless"))
    next(frames)
    frames.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(speaker.read_text()), 0)
