"""Ctrl-C and its relatives.

The rule: the first Ctrl-C finishes what has been read, the second stops, one more kills;
SIGTERM and SIGHUP stop at once. Whatever came out is whole, and nothing that the
process waits for (a terminal, a slow pipe, a reader that does not read) is in the way.
"""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess

import pytest

from tests.cli.child import Child

INTERRUPTED = "interrupted: finishing what has been read"
STOPPING = "stopping: waiting for calls"


def files(directory):
    return sorted(path.name for path in directory.iterdir() if path.is_file() and path.name != "chains.py")


def press_ctrl_c(child, *answers):
    """Once for each answer, and wait for that."""
    for answer in answers:
        child.send(signal.SIGINT)
        child.wait_until_it_says(answer)


def test_a_slow_pipe_does_not_delay_ctrl_c(tmp_path, loop):
    with Child(tmp_path, "chains:same", *loop) as child:
        child.write("one\nbegun")
        assert child.read_line() == "one\n"
        child.send(signal.SIGINT)
        code, out, said = child.end()
        assert (code, out) == (130, "")
        assert INTERRUPTED in said
        assert said.count("\n") == 1


def test_a_terminal_does_not_delay_ctrl_c(tmp_path, loop):
    master, slave = pty.openpty()
    try:
        with Child(tmp_path, "chains:same", *loop, stdin=slave) as child:
            os.write(master, b"one\n")
            assert child.read_line() == "one\n"
            child.send(signal.SIGINT)
            assert child.end()[:2] == (130, "")
        with Child(tmp_path, "chains:same", *loop, stdin=slave) as child:
            os.write(master, b"one\n\x04")  # Ctrl-D
            assert child.end() == (0, "one\n", "")
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize("to_file", [False, True])
def test_after_one_ctrl_c_all_that_was_read_comes_out(tmp_path, loop, to_file):
    with Child(tmp_path, "chains:gated", *loop, *(["--output", "out"] if to_file else [])) as child:
        child.write("1\n2\n3\n")
        child.wait_until_it_says("seen 3", "at the gate")
        press_ctrl_c(child, INTERRUPTED)
        child.write("4\n")
        child.open_gate()
        code, out, said = child.end()
        assert code == 130
        assert ((tmp_path / "out").read_text() if to_file else out) == "1\n2\n3\n"
        assert "seen 4" not in said
    assert files(tmp_path) == (["out"] if to_file else [])


def test_a_second_ctrl_c_cancels_what_waits(tmp_path, loop):
    (tmp_path / "out").write_text("old")
    with Child(tmp_path, "chains:endless", "--output", "out", *loop) as child:
        child.write("1\n2\n")
        child.wait_until_it_says("waiting 1")
        press_ctrl_c(child, INTERRUPTED)
        child.send(signal.SIGINT)
        assert child.end()[0] == 130
    assert files(tmp_path) == ["out"]
    assert (tmp_path / "out").read_text() == "old"


@pytest.mark.parametrize("to_file", [False, True])
def test_a_second_ctrl_c_drops_what_a_thread_still_returns(tmp_path, loop, to_file):
    with Child(tmp_path, "chains:gated", *loop, *(["--output", "out"] if to_file else [])) as child:
        child.write("1\n2\n")
        child.wait_until_it_says("seen 2", "at the gate")
        press_ctrl_c(child, INTERRUPTED, STOPPING)
        child.open_gate()
        assert child.end()[:2] == (130, "")
    assert files(tmp_path) == []


def test_a_third_ctrl_c_kills_a_process_whose_stage_does_not_return(tmp_path, loop):
    files_to_write = ["--output", "out", "--report", "json", "--report-file", "report"]
    with Child(tmp_path, "chains:gated", *files_to_write, *loop) as child:
        child.write("1\n2\n")
        child.wait_until_it_says("seen 2", "at the gate")
        press_ctrl_c(child, INTERRUPTED, STOPPING)
        child.send(signal.SIGINT)
        assert child.end() == (130, "", "")
    assert files(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_stop_at_once(tmp_path, loop, number):
    with Child(tmp_path, "chains:endless", "--output", "out", *loop) as child:
        child.write("1\n")
        child.wait_until_it_says("waiting 1")
        child.send(number)
        assert child.end()[0] == 128 + number
    assert files(tmp_path) == []


def test_a_signal_that_the_process_was_told_to_ignore_is_ignored(tmp_path, loop):
    with Child(tmp_path, "chains:same", *loop, ignoring=signal.SIGHUP) as child:  # as nohup does
        child.write("one\n")
        assert child.read_line() == "one\n"
        child.send(signal.SIGHUP)
        child.write("two\n")
        child.process.stdin.close()
        assert child.end() == (0, "two\n", "")


# A pipe that nobody reads. With a bound of one and room for one page in the pipe, what
# a stage sees tells how far the writing has come.


def stalled(directory, loop, length):
    """A child with ten lines of input and room for 4096 bytes in its stdout, and that stdout."""
    (directory / "input").write_text("".join(f"{number}\n" for number in range(10)))
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    try:
        return Child(directory, "chains:lengthy", "input", *loop, stdout=write, LENGTH=str(length)), os.fdopen(
            read, "rb", 0
        )
    finally:
        os.close(write)


pipes_with_a_size = pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="sizes of pipes are of Linux")


@pipes_with_a_size
def test_a_reader_that_does_not_read_does_not_delay_ctrl_c(tmp_path, loop):
    child, stdout = stalled(tmp_path, loop, 3000)
    with child, stdout:
        # Of the first results one is in the pipe, one is being written, and each of the
        # two links and two workers holds one more.
        child.wait_until_it_says("seen 5")
        press_ctrl_c(child, INTERRUPTED, STOPPING)
        assert child.process.wait() == 130
        assert stdout.read() == b"0" * 3000 + b"\n"


@pipes_with_a_size
def test_a_line_that_has_been_begun_is_finished(tmp_path, loop):
    child, stdout = stalled(tmp_path, loop, 10_000)
    with child, stdout:
        begun = stdout.read(1)
        press_ctrl_c(child, INTERRUPTED, STOPPING)
        lines = (begun + stdout.readall()).split(b"\n")
        assert child.process.wait() == 130
    assert lines == [b"0" * 10_000, b""]


def test_ctrl_c_while_the_pipeline_is_imported_says_so(tmp_path):
    (tmp_path / "slow.py").write_text(
        # No single call that blocks: a signal just before it would be acted on after it.
        "import sys, time\nprint('importing', file=sys.stderr, flush=True)\nwhile True: time.sleep(0.01)\n"
    )
    with Child(tmp_path, "slow:pipeline", stdin=subprocess.DEVNULL) as child:
        child.wait_until_it_says("importing")
        child.send(signal.SIGINT)
        assert child.end() == (130, "", "async-task-pipeline: interrupted\n")
