"""What is said of objects and exceptions that are anybody's.

The rule: a message is one line of bounded length, it comes whatever the object does when it is
shown, it does not change the exit code, and nothing in it is a command to a terminal.
"""

from __future__ import annotations

import subprocess

import pytest

from tests.cli.child import COMMAND

ANYBODYS = r"""
import logging

from async_task_pipeline import AsyncTaskPipeline


class Unshowable(Exception):
    def __str__(self):
        raise self.args[0]

    __repr__ = __str__


class Meta(type):
    @property
    def __name__(cls):
        raise ValueError("no name")


class Nameless(metaclass=Meta):
    def __repr__(self):
        raise SystemExit(0)


class Noted(Exception):
    @property
    def __notes__(self):
        raise LookupError("no notes")

    add_note = None


def raising(text):
    match text:
        case "huge":
            raise ValueError("x" * 10**6, "\n" * 10**6)
        case "unshowable":
            raise Unshowable(SystemExit(0))
        case "noted":
            raise Noted("badly")
        case "escape":
            exc = ValueError("\x1b]0;title\x07red\x9b31m\r")
            exc.add_note("\x1b[2J")
            raise exc
        case "log":
            logging.warning("\x1b[2J%s", text)
            logging.warning("%d", text)
            return "logged"
        case "nameless":
            return Nameless()
        case "huge result":
            return {"x" * 10**6: {1}}


raises = AsyncTaskPipeline().add_stage("stage", raising)
returns = AsyncTaskPipeline(return_exceptions=True).add_stage("stage", raising)
nameless = Nameless()
"""


@pytest.fixture
def say(run, place):
    """Run a pipeline over one line; return its exit code and what it said."""
    (place / "anybodys.py").write_text(ANYBODYS)

    def say(data, name="raises", *args):
        code, _, said = run(f"anybodys:{name}", *args, data=data)
        return code, said

    return say


@pytest.mark.parametrize("name", ["raises", "returns"])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            "unshowable",
            "Unshowable: which cannot be shown (raised in stage 'stage' of the pipeline, for item 'unshowable')\n",
        ),
        ("noted", "Noted: badly\n"),
        (
            "escape",
            "ValueError: \\x1b]0;title\\x07red\\x9b31m (\\x1b[2J; raised in stage 'stage' of the pipeline, for item 'escape')\n",
        ),
    ],
)
def test_an_exception_is_told_whatever_it_is(say, name, data, message):
    assert say(data, name) == (1, message)
    code, said = say(data, name, "--traceback")
    assert code == 1
    assert said.endswith(f"async-task-pipeline: {message}")
    assert "\x1b" not in said


@pytest.mark.parametrize("name", ["raises", "returns"])
def test_a_long_exception_is_cut_short(say, name):
    code, said = say("huge", name)
    assert code == 1
    assert said.startswith("ValueError: ('xxxx")
    assert said.endswith("(raised in stage 'stage' of the pipeline, for item 'huge')\n")
    assert len(said) < 1500
    assert len(say("huge", name, "--traceback")[1]) < 10_000


@pytest.mark.parametrize("data", ["nameless", "huge result"])
def test_a_result_that_cannot_be_written_is_told_whatever_it_is(say, data):
    code, said = say(f'"{data}"', "raises", "--format", "jsonl")
    assert code == 5
    assert said.startswith("result 1, ")
    assert said.count("\n") == 1
    assert len(said) < 1500


def test_what_is_no_pipeline_is_told_whatever_it_is(say):
    message = "<Nameless, which cannot be shown>, which is neither a pipeline nor a function that returns one\n"
    assert say("", "nameless") == (4, f"anybodys:nameless is {message}")


def test_a_name_cannot_command_the_terminal(say):
    assert say("", "\x1b[2J") == (4, "anybodys has no attribute '\\x1b[2J'\n")
    assert say("", "raises", "--output", "no/\x1b[2J") == (
        5,
        "cannot write no/\\x1b[2J: No such file or directory\n",
    )


def test_a_log_record_cannot_either_nor_fail_who_logs_it(say, place):
    command = [*COMMAND, "run", "anybodys:raises"]  # in a test's own process others have set up logging
    done = subprocess.run(command, check=False, cwd=place, input="log", capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "logged\n")
    assert done.stderr.startswith("WARNING root: \\x1b[2Jlog\n")
    assert "TypeError" in done.stderr
