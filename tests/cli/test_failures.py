"""Stages that raise, exit or print.

The rule: a failure is one line on stderr that names the stage, and the exit code 1;
nothing but results is among the results.
"""

from __future__ import annotations

import subprocess

import pytest

from tests.cli.child import COMMAND

RAISED = "ValueError: three is bad (raised in stage 'odd' of the pipeline, for item '3')\n"
FAR = "ValueError: bad (raised in stage 'printed' of the pipeline, for item 'bad')\n"


@pytest.mark.parametrize(
    ("target", "data", "told", "traceback"),
    [
        ("picky", "3", RAISED, 'raise ValueError("three\\nis bad")'),
        ("far", "bad", FAR, "in the worker it was raised so:\nTraceback"),
    ],
)
def test_a_stage_that_raises_is_told_in_one_line_and_its_traceback_when_asked_for(run, target, data, told, traceback):
    assert run(f"chains:{target}", data=f"{data}\n") == (1, "", told)
    code, _, said = run(f"chains:{target}", "--traceback", data=f"{data}\n")
    assert code == 1
    assert said.startswith("Traceback (most recent call last):\n")
    assert traceback in said
    assert said.endswith(f"async-task-pipeline: {told}")


def test_a_returned_exception_is_told_and_is_no_result(run, place):
    told = f"{RAISED}async-task-pipeline: wrote 2 results to out\n"
    assert run("chains:returning", "--output", "out", data="1\n3\n5\n") == (1, "", told)
    assert (place / "out").read_text() == "1\n5\n"


@pytest.mark.parametrize("code", [0, 7])
def test_a_stage_that_exits_has_failed_whatever_its_code(run, code):
    told = f"SystemExit: {code} (raised in stage 'exits' of the pipeline, for item '{code}')\n"
    assert run("chains:exiting", data=f"{code}\n") == (1, "", told)


def test_a_group_is_told_in_one_line_with_its_stage(run):
    told = "ValueError: 1, and 1 more (raised in stage 'grouped' of the pipeline, for item 'a')\n"
    assert run("chains:groups", data="a\n") == (1, "", told)


def test_what_a_stage_prints_or_writes_past_python_is_not_among_the_results(run):
    assert run("chains:noisy", data="a\nb\n") == (0, "a\nb\n", "seen a\nseen b\n")
    assert run("chains:loud", data="a\n") == (0, "a\n", "written\nshouted\n")


def test_nor_is_what_another_process_prints(place):
    command = [*COMMAND, "run", "chains:far"]
    done = subprocess.run(command, check=False, cwd=place, input="a\n", capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "a\n", "printed\n")
