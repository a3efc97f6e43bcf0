"""The command between chains: what comes in, what goes out, and when.

The rule: a result is written as soon as it is there, whoever waits for it; the command
ends when its input does, or when nobody reads its output any more.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.child import COMMAND, PIPELINES, Child

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the children are told what to do by named pipes")


def test_a_result_is_out_before_the_next_line_is_in(tmp_path, loop):
    with Child(tmp_path, "chains:same", *loop) as child:
        for text in ("one\n", "two\n", "three\n"):
            child.write(text)
            assert child.read_line() == text
        child.process.stdin.close()
        assert child.end() == (0, "", "")


def test_lines_come_through_whole_however_they_are_written(tmp_path, loop):
    with Child(tmp_path, "chains:same", *loop) as child:
        child.write("on")
        child.write("e\ntw")
        assert child.read_line() == "one\n"
        child.write("o")
        child.process.stdin.close()
        assert child.end() == (0, "two\n", "")


MANY = "".join(f"{number}\n" for number in range(20_000))
LONG = "x" * 300_000 + "\n" + "y" * 5_000 + "\n"


@pytest.mark.parametrize("text", [MANY, LONG], ids=["many lines", "a line longer than every buffer"])
def test_all_goes_through_in_order(tmp_path, loop, text):
    (tmp_path / "chains.py").write_text(PIPELINES)
    command = [*COMMAND, "run", "chains:same", *loop]
    done = subprocess.run(command, cwd=tmp_path, input=text[:-1], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (text, "")


def test_stdin_may_be_a_file_or_nothing(tmp_path, loop):
    (tmp_path / "input").write_text("one\ntwo\n")
    with (tmp_path / "input").open() as file, Child(tmp_path, "chains:same", "-", *loop, stdin=file) as child:
        assert child.end() == (0, "one\ntwo\n", "")
    with Child(tmp_path, "chains:same", *loop, stdin=subprocess.DEVNULL) as child:
        assert child.end() == (0, "", "")


def test_stdout_may_be_a_file(tmp_path):
    (tmp_path / "input").write_text("one\ntwo\n")
    with (tmp_path / "out").open("w") as out, Child(tmp_path, "chains:same", "input", stdout=out) as child:
        assert child.end() == (0, "", "")
    assert (tmp_path / "out").read_text() == "one\ntwo\n"


def test_a_reader_that_goes_away_ends_it(tmp_path, loop):
    (tmp_path / "input").write_text("line\n" * 100_000)
    with Child(tmp_path, "chains:same", "input", *loop) as child:
        assert child.read_line() == "line\n"
        child.process.stdout.close()
        child.process.stdout = None
        assert child.end() == (141, "", "async-task-pipeline: stdout was closed by its reader\n")


def test_a_reader_that_goes_away_ends_it_though_the_input_is_open(tmp_path, loop):
    with Child(tmp_path, "chains:same", *loop) as child:
        child.write("one\n")
        assert child.read_line() == "one\n"
        child.process.stdout.close()
        child.process.stdout = None
        child.write("two\n")
        assert child.end() == (141, "", "async-task-pipeline: stdout was closed by its reader\n")


def test_a_stage_that_raises_ends_it_though_the_input_is_open(tmp_path, loop):
    with Child(tmp_path, "chains:picky", *loop) as child:
        child.write("1\n")
        assert child.read_line() == "1\n"
        child.write("3\n4\n")
        message = (
            "async-task-pipeline: ValueError: three is bad (raised in stage 'odd' of the pipeline, for item '3')\n"
        )
        assert child.end() == (1, "", message)


def test_json_that_is_none_ends_it_after_the_results_before_it(tmp_path):
    with Child(tmp_path, "chains:same", "--format", "jsonl") as child:
        child.write('{"a": 1}\n\n{"b": \n{}\n')
        assert child.end() == (
            3,
            '{"a": 1}\n',
            "async-task-pipeline: stdin, line 3: not JSON: Expecting value in column 7\n",
        )


def test_an_error_in_the_input_leaves_no_output_file(tmp_path):
    (tmp_path / "input").write_text("1\n2\noops\n")
    with Child(tmp_path, "chains:same", "input", "--format", "jsonl", "--output", "out") as child:
        assert child.end()[0] == 3
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"input", "chains.py"}


def test_closed_streams_are_told_apart(tmp_path):
    (tmp_path / "chains.py").write_text(PIPELINES)
    for redirection, code, words in (
        ("<&-", 3, "cannot read stdin: it is closed"),
        (">&-", 5, "cannot write stdout: it is closed"),
    ):
        command = f'exec "$@" {redirection}'
        done = subprocess.run(
            ["sh", "-c", command, "sh", *COMMAND, "run", "chains:same"],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (code, f"async-task-pipeline: {words}\n")


def test_what_is_dropped_is_logged_unless_told_not_to(tmp_path):
    (tmp_path / "input").write_text("1\n3\n5\n")
    with Child(tmp_path, "chains:dropping", "input") as child:
        code, out, said = child.end()
        assert (code, out) == (0, "1\n5\n")
        assert said == "WARNING async_task_pipeline: stage 'odd' dropped item '3': ValueError: three is bad\n"
    with Child(tmp_path, "chains:dropping", "input", "--log-level", "error") as child:
        assert child.end() == (0, "1\n5\n", "")
    with Child(tmp_path, "chains:dropping", "input", "--log-level", "info") as child:
        assert "INFO async_task_pipeline: Pipeline started" in child.end()[2]
