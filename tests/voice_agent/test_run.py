"""The command itself: with real sound, on every backend, if what it needs is installed.

The rule: what it prints is not believed; the sound file is listened to. Nothing here
looks at how long anything took, because that is the machine's affair.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import wave
from array import array
from pathlib import Path

import pytest

from docs.examples.voice_agent.audio import RATE, values
from docs.examples.voice_agent.command import BACKENDS, missing

ROOT = Path(__file__).parents[2]
LACKING = {backend: missing(backend) for backend in BACKENDS}
COMPARED = "asyncio"
BLOCKS = 100
"""Blocks of sound per second, each of them loud or not."""


def command(*arguments, module=False):
    how = ["-m", "docs.examples.voice_agent"] if module else ["docs/examples/voice_agent"]
    return [sys.executable, *how, *arguments]


def run(*arguments, module=False, **options):
    return subprocess.run(
        command(*arguments, module=module),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        **options,
    )


@pytest.mark.parametrize("module", [False, True])
def test_it_explains_itself_without_what_it_needs(module):
    done = run("--help", module=module)
    assert done.returncode == 0, done.stderr
    assert "--backend {asyncio,trio,uvloop}" in done.stdout


def test_it_says_what_is_missing(tmp_path):
    done = run("--output", str(tmp_path), env={**os.environ, "PATH": ""})
    assert done.returncode == 2
    assert "apt-get install espeak-ng" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_list_of_what_is_missing_names_the_extra_of_each_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    voice, trio, *_ = missing("trio")
    assert voice.endswith("pip install '.[voice]'")
    assert trio == "the package trio: pip install '.[trio]'"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What each backend printed, and the folder with its files; all at once, for each takes twenty seconds.

    On asyncio the conversation is held without interrupts too, as it is by default.
    """
    folder = tmp_path_factory.mktemp("runs")
    processes = {
        backend: subprocess.Popen(
            command(
                *([] if backend == COMPARED else ["--alone"]), "--backend", backend, "--output", str(folder / backend)
            ),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for backend in BACKENDS
        if not LACKING[backend]
    }
    try:
        yield {
            backend: (process.communicate(timeout=100)[0], process.returncode, folder / backend)
            for backend, process in processes.items()
        }
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()


def loudness(samples, rate):
    """Which blocks of a sound can be heard."""
    size = rate // BLOCKS
    return [max(map(abs, samples[at : at + size])) > 300 for at in range(0, len(samples), size)]


def channels(path):
    """The loudness of the user and of the agent; and that the file is as promised."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (2, 2)
        samples = array("h", file.readframes(file.getnframes()))
        return [loudness(samples[channel::2], file.getframerate()) for channel in range(2)]


def spans(loud):
    """From which block to which somebody talks; pauses shorter than half a second are none."""
    at = [number for number, is_loud in enumerate(loud) if is_loud]
    breaks = [(one, two) for one, two in itertools.pairwise(at) if two - one > BLOCKS / 2]
    return list(zip([at[0], *(two for _, two in breaks)], [*(one for one, _ in breaks), at[-1]], strict=True))


def equipped(backend):
    """The backend, or why it is skipped."""
    lacking = LACKING[backend]
    reason = f"the audio run needs {'; '.join(lacking)}"
    return pytest.param(backend, marks=pytest.mark.skipif(bool(lacking), reason=reason))


@pytest.mark.parametrize("backend", [equipped(backend) for backend in BACKENDS])
def test_the_user_talks_over_two_answers_and_hears_the_other_two_whole(backend, runs):
    from docs.examples.voice_agent import scenario

    printed, code, folder = runs[backend]
    assert code == 0, printed
    assert "stale frames  0 of " in printed
    for stage in ("detection", "recognition", "model", "sentences", "voice", "pace"):
        assert f"\n  {stage} " in printed
    assert (folder / "timeline.png").read_bytes().startswith(b"\x89PNG\r\n")

    user, agent = channels(folder / "conversation.wav")
    ends = [ended for _, ended in spans(user)]
    assert len(ends) == 4
    shares = []  # of each reply that could be heard
    for reply, ended, following in zip(scenario.REPLIES.values(), ends, [*ends[1:], len(agent)], strict=True):
        whole = loudness(values(scenario.AGENT.utterance(reply)), RATE)
        shares.append(sum(agent[ended:following]) / sum(whole))
    assert all(0 < share < 0.5 for share in shares[:2]), shares
    assert all(share > 0.9 for share in shares[2:]), shares


@pytest.mark.parametrize("backend", [equipped(backend) for backend in BACKENDS])
def test_what_is_heard_said_and_cut_is_printed_in_order(backend, runs):
    printed, _, _ = runs[backend]
    lines = [line.split(" s  ", 1)[1].split() for line in printed.splitlines() if line.startswith("with interrupt()")]
    cuts = [at for at, line in enumerate(lines) if line[:2] == ["agent", "cuts"]]
    assert len(cuts) == 2
    for at in cuts:
        assert lines[at - 1][:4] == ["agent", "is", "talked", "over"]
        following = [line[:2] for line in lines[at + 1 :] if line[:2] != ["agent", "flushes"]]
        assert following[0] == ["agent", "heard"]  # nothing is said between the cut and the next answer
    assert not [line for line in lines if line[-1] == "(stale)"]


@pytest.mark.parametrize("backend", [equipped(COMPARED)])
def test_the_page_has_the_same_conversation_without_interrupts_beside_it(backend, runs):
    _, _, folder = runs[backend]
    page = (folder / "conversation.html").read_text()
    data = json.loads(re.search(r"^const data = (.*);$", page, re.MULTILINE)[1])
    interrupted, talking = data["conversations"]
    assert [line["text"] for line in interrupted["lines"]] == [line["text"] for line in talking["lines"]]
    for each in (interrupted, talking):
        assert set(each["lanes"]) == {"detection", "recognition", "model", "sentences", "voice", "pace"}
        assert all(each["lanes"].values())
    stale = next(row for row in data["figures"] if row["name"] == "stale frames that got out")
    assert [cell["missed"] for cell in stale["cells"]] == [False, True]
    assert talking["seconds"] > interrupted["seconds"] + 5  # of sound, whatever the machine does
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
