"""The progress bar, on a terminal.

The rule: the bar is on stderr and nowhere else, it is there by default only where
somebody looks and nobody types, and it never costs a result.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import termios

import pytest

from tests.cli.child import Child

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
WITHOUT_RICH = [
    sys.executable,
    "-c",
    "import sys; sys.modules['rich'] = None; from async_task_pipeline._cli import main; sys.exit(main())",
]


class Terminal:
    """A terminal whose screen the test reads, as text without control sequences."""

    def __init__(self):
        self._master, self.device = pty.openpty()
        termios.tcsetwinsize(self.device, (24, 120))
        self._read = b""

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        os.close(self._master)
        self.hand_over()

    def hand_over(self):
        """Leave the device to the child alone, so that reading ends when it ends."""
        if self.device >= 0:
            os.close(self.device)
            self.device = -1

    @property
    def text(self):
        return CONTROL.sub("", self._read.decode(errors="replace")).replace("\r", "")

    @property
    def screen(self):
        """The lines as they are seen in the end: what was erased to be drawn anew is gone."""
        lines, row = [""], 0
        for part in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\r?\n|\r)", self._read.decode(errors="replace")):
            if part.endswith("\n"):
                row += 1
                lines += [""] * (row + 1 - len(lines))
            elif part == "\x1b[1A":
                row -= 1
            elif part == "\x1b[2K":
                lines[row] = ""
            elif part != "\r" and not CONTROL.match(part):
                lines[row] += part
        return "\n".join(lines)

    def read(self):
        """Read once; false when nobody has the device any more."""
        try:
            more = os.read(self._master, 1 << 16)
        except OSError:  # what Linux says
            more = b""
        self._read += more
        return bool(more)

    def read_until(self, text):
        while text not in self.text:
            assert self.read(), f"{text!r} was never shown, but: {self.text}"

    def read_to_the_end(self):
        while self.read():
            pass
        return self.text


@pytest.fixture
def terminal():
    with Terminal() as terminal:
        yield terminal


@pytest.fixture
def shown(tmp_path, terminal):
    """Run the command over a file with its stderr on the terminal; return what is shown and how it ends."""

    def shown(text, *args, **options):
        (tmp_path / "input").write_text(text)
        with Child(tmp_path, "chains:same", "input", *args, stderr=terminal.device, **options) as child:
            terminal.hand_over()
            return terminal.read_to_the_end(), *child.end()[:2]

    return shown


def test_the_bar_shows_what_happens_while_it_happens(tmp_path, loop, terminal):
    with Child(tmp_path, "chains:gated", *loop, stderr=terminal.device) as child:
        terminal.hand_over()
        child.write("0\n")
        assert child.read_line() == "0\n"
        terminal.read_until("1 in  1 out")
        child.write("1\n2\n3\n")
        # One line is in the gate, two wait before it.
        terminal.read_until("4 in  1 out")
        terminal.read_until("queued, of 100 each:  seen 0  gate 2  output 0")
        child.open_gate()
        assert [child.read_line() for _ in range(3)] == ["1\n", "2\n", "3\n"]
        child.process.stdin.close()
        shown = terminal.read_to_the_end()
        assert child.process.wait() == 0
    assert "4 in  4 out" in shown
    assert "/s" in shown
    assert "at the gate\n" in shown  # what is printed stands above the bar, whole


def test_the_bar_of_a_file_ends_at_its_end(tmp_path, loop, shown):
    text = "".join(f"{number}\n" for number in range(500))
    told, code, _ = shown(text, "--output", "out", *loop)
    assert code == 0
    assert "100%  500 in  500 out" in told
    assert re.search(r"done +\S+ +100%  500 in", told)
    assert told.rstrip().endswith("async-task-pipeline: wrote 500 results to out")
    assert (tmp_path / "out").read_text() == text


def test_the_report_is_drawn_on_a_terminal(terminal, shown):
    told, *end = shown("one\n", "--report", "text")
    assert end == [0, "one\n"]
    assert b"\x1b[1;33m" in terminal._read
    assert re.search(r"^bottleneck +same, busy \d+ % of 1 worker", told, re.MULTILINE)
    assert re.search(r"^ *same +1 +\d+ % +[\d.]+ +1 +0 +0 +0 *$", told, re.MULTILINE)


def test_results_on_the_same_terminal_stand_above_the_bar(terminal, shown):
    assert shown("[bold]one[/]\ntwo\n" + "3" * 200, stdout=terminal.device)[1] == 0
    assert re.match(r"\[bold\]one\[/\]\ntwo\n3{200}\n[^\n]*100%  3 in  3 out", terminal.screen)


def test_ctrl_c_leaves_the_terminal_as_it_was(tmp_path, loop, terminal):
    with Child(tmp_path, "chains:gated", *loop, stderr=terminal.device) as child:
        terminal.hand_over()
        child.write("1\n")
        terminal.read_until("at the gate")
        for answer in ("interrupted: finishing", "stopping: waiting"):
            child.send(2)
            terminal.read_until(answer)
        child.send(2)
        terminal.read_to_the_end()
        assert child.process.wait() == 130
    hidden, shown = terminal._read.rfind(b"\x1b[?25l"), terminal._read.rfind(b"\x1b[?25h")
    assert 0 <= hidden < shown


def test_there_is_no_bar_where_somebody_types(tmp_path, terminal):
    with Child(tmp_path, "chains:same", stdin=terminal.device, stderr=terminal.device) as child:
        os.write(terminal._master, b"one\n\x04")
        assert child.read_line() == "one\n"
        assert child.process.wait() == 0
        terminal.hand_over()
        assert "queued" not in terminal.read_to_the_end()


@pytest.mark.parametrize("options", [["--no-progress"], []])
def test_there_is_no_bar_if_it_is_not_wanted_nor_without_rich(shown, options):
    assert shown("one\n", *options, **({} if options else {"command": WITHOUT_RICH})) == ("", 0, "one\n")


def test_a_bar_that_is_asked_for_is_there_without_a_terminal(tmp_path):
    (tmp_path / "input").write_text("one\n")
    with Child(tmp_path, "chains:same", "input", "--progress") as child:
        code, out, said = child.end()
        assert (code, out) == (0, "one\n")
        assert "100%  1 in  1 out" in said


def test_without_rich_a_bar_that_is_asked_for_is_missed(tmp_path):
    with Child(tmp_path, "chains:same", "--progress", command=WITHOUT_RICH, stdin=subprocess.DEVNULL) as child:
        message = (
            "async-task-pipeline: no progress bar: rich is not installed: pip install 'async-task-pipeline[cli]'\n"
        )
        assert child.end() == (0, "", message)
