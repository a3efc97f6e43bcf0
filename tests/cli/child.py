"""The command as a process of its own, for tests that are about processes.

The rule: a test and its child wait for each other by what they write, never by time.
``PIPELINES`` is the module that the child runs; its stages say on stderr what they see,
and the gate is a named pipe that a stage reads, so that it blocks until the test writes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

COMMAND = [sys.executable, "-W", "error", "-m", "async_task_pipeline"]

PIPELINES = """
import os
import sys

import anyio

from async_task_pipeline import AsyncTaskPipeline


def say(text):
    sys.stdout.write(f"{text}\\n")  # goes to stderr: stdout is for results


def seen(text):
    say(f"seen {text}")
    return text


def gate(text):
    if text == "1":
        say("at the gate")
        with open(os.environ["GATE"]) as file:
            file.read()
    return text


async def forever(text):
    say(f"waiting {text}")
    await anyio.sleep_forever()


def long(text):
    return text * int(os.environ["LENGTH"])


def odd(text):
    if text == "3":
        raise ValueError("three\\nis bad")
    return text


def make():
    built.append(AsyncTaskPipeline(max_queue_size=7).add_stage("same", lambda data: data))
    return built[-1]


async def make_async():
    await anyio.lowlevel.checkpoint()
    return make()


def make_nothing():
    pass


def make_trouble():
    raise LookupError("no model")


def exits(text):
    raise SystemExit(7 if text == "7" else 0)


def make_exit():
    raise SystemExit(0)


def elsewhere(text):
    os.write(1, b"written\\n")
    os.system("echo shouted")
    return text


def printed(text):
    if text == "bad":
        raise ValueError("bad")
    print("printed", flush=True)
    return text


def far():
    return AsyncTaskPipeline(return_exceptions=True).add_stage("printed", printed, executor="process")


def grouped(text):
    raise ExceptionGroup("both", [ValueError(1), ValueError(2)])


def kinds(text):
    return {"bytes": b"\\xff\\xfe", "none": None, "set": {1}, "nan": float("nan")}.get(text, text)


def twice(data):
    yield data
    yield data


same = AsyncTaskPipeline().add_stage("same", lambda text: text)
gated = AsyncTaskPipeline().add_stage("seen", seen).add_stage("gate", gate)
endless = AsyncTaskPipeline().add_stage("forever", forever)
lengthy = AsyncTaskPipeline(max_queue_size=1).add_stage("seen", seen).add_stage("long", long)
picky = AsyncTaskPipeline().add_stage("odd", odd)
dropping = AsyncTaskPipeline().add_stage("odd", odd, on_error="drop")
returning = AsyncTaskPipeline(return_exceptions=True).add_stage("odd", odd)
exiting = AsyncTaskPipeline().add_stage("exits", exits)
kind = AsyncTaskPipeline().add_stage("kinds", kinds)
fan = AsyncTaskPipeline().add_stage("twice", twice)
noisy = AsyncTaskPipeline().add_stage("seen", seen)
loud = AsyncTaskPipeline().add_stage("elsewhere", elsewhere)
groups = AsyncTaskPipeline().add_stage("grouped", grouped)
number = 3
none = AsyncTaskPipeline()
built = []


class Here:
    class Or:
        there = same
"""


@contextlib.contextmanager
def _inherited(ignored):
    """Have a child that is started meanwhile heed these signals, all but the one it is to ignore.

    Whoever runs the tests in the background (nohup, a shell's &) ignores them, and children inherit that;
    what is handled here is at its default there. A function between fork and exec would be simpler, but
    Python 3.13 can crash in it where there have been interpreters.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    for number in before:
        signal.signal(number, signal.SIG_IGN if number == ignored else signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Child:
    """``async-task-pipeline run`` with everything connected to the test."""

    def __init__(
        self,
        directory,
        *args,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        command=COMMAND,
        ignoring=None,
        **env,
    ):
        (directory / "chains.py").write_text(PIPELINES)
        self.gate = directory / "gate"
        if not self.gate.exists():
            os.mkfifo(self.gate)
        with _inherited(ignoring):
            self.process = subprocess.Popen(
                [*command, "run", *args],
                cwd=directory,
                env={**os.environ, "GATE": str(self.gate), "TERM": "xterm", **env},
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                bufsize=0,
            )
        self.said = []

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.process.kill()  # without effect on one that has ended
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def write(self, text):
        """Write to its stdin."""
        self.process.stdin.write(text.encode())

    def read_line(self):
        """Read the next line of its stdout."""
        return self.process.stdout.readline().decode()

    def wait_until_it_says(self, *texts):
        """Read its stderr until each of some texts has been in a line of it."""
        while not all(any(text in line for line in self.said) for text in texts):
            line = self.process.stderr.readline().decode()
            assert line, f"it never said {texts}, but: {self.said}"
            self.said.append(line)

    def send(self, number):
        """Send it a signal."""
        self.process.send_signal(number)

    def open_gate(self):
        """Let the stage behind the gate go on."""
        self.gate.write_text("open")

    def end(self):
        """Wait for its end; return its exit code and what is left on stdout and stderr.

        Its stdin stays open: an end that needs the input to end is not one.
        """
        code = self.process.wait()
        rest = [stream.read().decode() if stream else "" for stream in (self.process.stdout, self.process.stderr)]
        return code, *rest
