"""Stages that raise, exit or print.

The rule: a failure is one line on stderr that names the stage, and the exit code 1;
nothing but results is among the results.
"""

from __future__ import annotations

import pytest

RAISED = "ValueError: three is bad (raised in stage 'odd' of the pipeline)\n"


def test_a_stage_that_raises_is_told_in_one_line(run):
    assert run("chains:picky", data="3\n") == (1, "", RAISED)


def test_the_traceback_is_shown_when_asked_for(run):
    code, _, said = run("chains:picky", "--traceback", data="3\n")
    assert code == 1
    assert said.startswith("Traceback (most recent call last):\n")
    assert 'raise ValueError("three\\nis bad")' in said
    assert said.endswith(f"async-task-pipeline: {RAISED}")


def test_a_returned_exception_is_told_and_is_no_result(run, place):
    assert run("chains:returning", "--output", "out", data="1\n3\n5\n") == (1, "", RAISED)
    assert (place / "out").read_text() == "1\n5\n"


def test_a_stage_that_exits_ends_the_process_with_its_code(run):
    with pytest.raises(SystemExit) as ended:
        run("chains:exiting", data="a\n")
    assert ended.value.code == 7


def test_what_a_stage_prints_is_not_among_the_results(run):
    assert run("chains:noisy", data="a\nb\n") == (0, "a\nb\n", "seen a\nseen b\n")
