"""One process that makes calls, without a pipeline: how it begins, is killed, dies and leaves; and one on standby.

The rule: each test speaks with a real process, and waits for what that says or for its end. What
calls come to is in ``test_elsewhere``.
"""

from __future__ import annotations

import array
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from multiprocessing import forkserver
from pathlib import Path

import pytest

from async_task_pipeline import PipelineStateError, RemoteCallError
from async_task_pipeline._workers import _elsewhere, _process
from async_task_pipeline._workers._elsewhere import UnheardError, WorkerGoneError
from async_task_pipeline._workers._process import Standby, WorkerProcess
from tests.kinds import elsewhere, functions, mistakes, odd
from tests.kinds.functions import MineError
from tests.support.waiting import PATIENCE

if sys.platform != "win32":
    import fcntl
    import termios

KILLED = "process ended with exit code -9"
LEFT = "process ended with exit code 0"
ROOT = Path(__file__).parents[2]

linux = pytest.mark.skipif(sys.platform != "linux", reason="there are a server and pidfds on Linux alone")
posix = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")


@pytest.fixture
def start():
    """Starts processes, and sees to it that none is left."""
    workers = []

    def started(function=elsewhere.do, setup=None, *, ready=True, **options):
        workers.append(WorkerProcess(function, setup, **options))
        if ready:
            workers[-1].wait_ready()
        else:
            workers[-1].greet()
        return workers[-1]

    yield started
    for worker in workers:
        worker.kill()
        worker.ended()


def come(gate, *labels):
    """Wait until each of these has come to the gate."""
    assert gate.wait_for(lambda: all(label in gate.arrivals for label in labels)), gate.arrivals


def gone(gate, *labels):
    """Wait until each of these has gone from it."""
    assert gate.wait_for(lambda: all(label in gate.departed for label in labels)), gate.departed


@contextlib.contextmanager
def program(gate, when, **options):
    """A program that has processes, and is killed with the test."""
    command = [sys.executable, "-m", elsewhere.__name__, gate.address, when]
    with subprocess.Popen(command, cwd=ROOT, **options) as running:
        try:
            yield running
        finally:
            running.kill()


class InThread:
    """Something that blocks, in a thread of its own."""

    def __init__(self, function, *args) -> None:
        self._raised = None
        self._thread = threading.Thread(target=self._run, args=(function, *args))
        self._thread.start()

    def _run(self, function, *args) -> None:
        try:
            function(*args)
        except BaseException as exc:
            self._raised = exc

    def join(self, seconds):
        """Wait so long for its end."""
        self._thread.join(seconds)

    def raised(self):
        """What it raised, once it has ended."""
        self._thread.join(PATIENCE / 2)
        assert not self._thread.is_alive()
        return self._raised


# -- how it begins ----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_process_begins_with_the_environment_of_its_start(start, method, monkeypatch, tmp_path):
    monkeypatch.setattr(_process, "START_METHOD", method)
    assert start(functions.variable).call("A_VARIABLE") == (None, str(Path.cwd()))
    monkeypatch.setenv("A_VARIABLE", "now")
    monkeypatch.chdir(tmp_path)
    assert start(functions.variable).call("A_VARIABLE") == ("now", str(tmp_path))
    monkeypatch.delenv("A_VARIABLE")
    assert start(functions.variable).call("A_VARIABLE") == (None, str(tmp_path))


@linux
def test_the_server_is_to_import_what_a_process_runs(start):
    start()
    ours = "async_task_pipeline._workers._process_main"
    assert forkserver._forkserver._preload_modules == ["__main__", ours]


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_for_everybody_is_no_business_of_a_process_but_ends_what_it_starts(start, number):
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("ignored by whoever started the tests, as nohup does, and so by every program")
    worker = start()
    os.kill(worker._process.pid, number)
    # A program that knows of nothing else ends with Ctrl-C by an exception first, and by the signal then.
    assert worker.call((elsewhere.how_it_ends, number)) == (-number, -number)
    assert worker.is_alive()


@linux
@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_program_that_it_starts_has_nothing_of_its_pipes(start, method, monkeypatch):
    monkeypatch.setattr(_process, "START_METHOD", method)
    worker = start()
    ours = worker.call((elsewhere.own_pipes,))
    assert len(ours) == 2
    assert not {*ours} & {*worker.call((elsewhere.open_in_a_program,))}


@posix
def test_a_program_drains_though_all_its_processes_are_told_to_end(gate):
    gate.hold("a")
    with program(gate, "draining", stdout=subprocess.PIPE, text=True, start_new_session=True) as running:
        come(gate, "a")
        os.killpg(running.pid, signal.SIGTERM)
        gate.open()
        output, _ = running.communicate(timeout=PATIENCE / 2)
    assert (output, running.returncode) == ("a b c\n", 0)


def test_a_daemon_process_is_told_why_it_can_have_none(start):
    with pytest.raises(PipelineStateError, match="cannot run in a daemon process"):
        start().call((elsewhere.call_once,))


@pytest.mark.parametrize("when", ["ending", pytest.param("forking", marks=posix)])
def test_a_program_ends_and_its_process_with_it_also_if_a_fork_has_processes_of_its_own(gate, when):
    with program(gate, when) as running:
        assert running.wait(PATIENCE / 2) == 0
    gone(gate, "present")  # though nobody has asked it to leave


@linux
def test_it_begins_though_the_server_that_was_asked_for_it_dies(start):
    start()
    server = forkserver._forkserver._forkserver_pid
    os.kill(server, signal.SIGSTOP)
    starting = InThread(start)
    # It waits for an answer now, or it will; that it did not have one is all that matters.
    starting.join(0.1)
    os.kill(server, signal.SIGKILL)
    assert starting.raised() is None
    assert forkserver._forkserver._forkserver_pid != server


# -- how it is killed -------------------------------------------------------------------------


@pytest.mark.parametrize("described", [True, False])
def test_a_killed_process_is_gone_for_whoever_asks(start, described, monkeypatch):
    if not described:
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    worker = start()
    assert worker.is_alive()
    assert worker.kill()
    assert not worker.is_alive()
    worker._watch_end(None)
    assert worker.kill()  # once more does no harm to anybody
    with pytest.raises(WorkerGoneError):
        worker.call((elsewhere.returned, 1))
    assert worker.ended() == KILLED
    with pytest.raises(WorkerGoneError):
        worker.call((elsewhere.returned, 1))
    assert not worker.leave()
    assert worker.kill()
    assert worker.ended() == KILLED


@pytest.mark.parametrize("stage", ["call", "generator", "close", "set-up", "leave"])
def test_it_can_be_killed_from_another_thread_whatever_it_does(start, gate, stage):
    setup, function = None, elsewhere.do
    if stage in ("set-up", "leave"):
        setup, function = partial(functions.Resource, gate.address), functions.second
    held = {"call": "here", "generator": "2", "close": "closed", "set-up": "made", "leave": "closed"}[stage]
    gate.hold(held)
    worker = start(function, setup, ready=stage != "set-up", credit=1)
    call = (functions.visit, gate.address, "here") if stage == "call" else (functions.fan, gate.address, 9)
    values = worker.call(call) if stage in ("generator", "close") else None
    ask = {
        "call": partial(worker.call, call),
        "generator": lambda: [*values],
        "close": getattr(values, "close", None),
        "set-up": worker.wait_ready,
        "leave": worker.leave,
    }[stage]
    asking = InThread(ask)
    come(gate, held)
    worker.kill()
    # To close a generator of a process that is gone is done; and so is to have it leave.
    assert type(asking.raised()) is (type(None) if stage in ("close", "leave") else WorkerGoneError)
    assert worker.ended() == KILLED
    gone(gate, held)


# -- how it dies ------------------------------------------------------------------------------


@linux
@pytest.mark.parametrize("size", [1, 10**7])
def test_one_that_dies_before_it_reads_a_call_has_not_heard_of_it(start, size):
    worker = start()
    os.kill(worker._process.pid, signal.SIGSTOP)
    asking = InThread(worker.call, (elsewhere.returned, b"." * size))
    while not unread(worker):
        time.sleep(0)
    worker.kill()
    assert type(asking.raised()) is UnheardError
    assert worker.ended() == KILLED


def unread(worker):
    """How much of what it was sent a process has not read, as far as that has come to it."""
    room = array.array("i", [0])
    fcntl.ioctl(worker._connection.fileno(), termios.TIOCOUTQ, room)
    return room[0]


def test_one_that_has_only_lost_its_pipe_is_ended(start, monkeypatch):
    monkeypatch.setattr(_process, "ENDED_SECONDS", 0.01)
    worker = start()
    with pytest.raises(WorkerGoneError):
        worker.call((elsewhere.lose_the_pipe,))
    assert worker.ended() == KILLED


@linux
@pytest.mark.parametrize("when", ["idle", "in a call"])
def test_it_ends_when_the_program_is_killed(gate, when):
    with program(gate, when, stdin=subprocess.PIPE) as running:
        come(gate, "present", when)
        assert "present" in gate.inside
        running.kill()
        running.wait()
        # In the middle of a call that keeps the interpreter's lock, and though a fork of the program is still there.
        gone(gate, "present")


@linux
def test_a_fork_of_the_program_keeps_nothing_of_it(start):
    worker = start()
    worker.close_in_fork()  # as in a fork, but here, so that nobody has the other end any more
    worker._watch_end(None)
    assert worker.ended() == KILLED


# -- how it leaves ----------------------------------------------------------------------------


def test_one_whose_clean_up_hangs_is_killed(start, gate, monkeypatch):
    gate.hold("closed")
    worker = start(functions.second, partial(functions.Resource, gate.address))
    monkeypatch.setattr(_process, "LEAVE_SECONDS", 0.1)
    assert not worker.leave()
    assert worker.ended() == KILLED
    gone(gate, "closed")


@posix
@pytest.mark.parametrize("when", ["idle", "cleaning up", "in the middle of a message"])
def test_one_that_is_stopped_is_killed(start, when, monkeypatch):
    worker = start(functions.second, partial(odd.Stopping, when))
    if when == "idle":
        os.kill(worker._process.pid, signal.SIGSTOP)
    monkeypatch.setattr(_process, "LEAVE_SECONDS", 0.5)
    assert not worker.leave()
    assert worker.ended() == KILLED


@posix
def test_one_that_was_stopped_before_it_listens_is_killed(start, monkeypatch):
    stopped = threading.Event()

    def stop(process):
        os.kill(process.pid, signal.SIGSTOP)
        stopped.set()

    monkeypatch.setattr(_process, "_descriptor_of", stop)
    # More than a pipe takes, so that whoever sends it waits.
    standby = Standby(partial(WorkerProcess, partial(functions.second, b"." * 10**7)))
    filling = InThread(standby.fill)
    stopped.wait()
    while standby._ready is None:
        time.sleep(0)
    worker = standby._ready
    standby.close()
    assert filling.raised() is None
    assert worker.ended() == KILLED


def test_one_is_gone_though_there_is_no_memory_for_what_it_says(start, monkeypatch):
    worker = start()

    def parts(received):
        raise MemoryError

    monkeypatch.setattr(_elsewhere, "parts", parts)
    with pytest.raises(MemoryError):
        worker.leave()
    assert worker.ended() == LEFT


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors where Linux shows them")
@pytest.mark.parametrize(
    "end",
    ["leaves", "fails to leave", "fails so that it cannot be told", "fails to begin", "dies", "killed", "dropped"],
)
def test_nothing_of_it_is_left_open(start, gate, end):
    def live():
        setup = {
            "fails to leave": partial(mistakes.Unclean, gate.address),
            "fails so that it cannot be told": odd.Unspeakably,
            "fails to begin": functions.missing_model,
        }
        worker = WorkerProcess(functions.second if end in setup else elsewhere.do, setup.get(end))
        try:
            worker.wait_ready()
            if end == "dies":
                worker.call((os._exit, 1))
            elif end == "killed":
                worker.kill()
            worker.leave()
        except (MineError, FileNotFoundError, RemoteCallError, WorkerGoneError):
            worker.ended()

    def open_now():
        # The gate hears of a process that has ended a moment later, and has a descriptor of each visitor.
        assert gate.wait_for(lambda: len(gate.departed) == len(gate.arrivals))
        return len([*Path("/proc/self/fd").iterdir()])

    live()  # whatever is started once and kept is there now
    before = open_now()
    live()
    assert open_now() == before


@linux
def test_one_that_nobody_has_any_more_ends(start, gate):
    worker = WorkerProcess(elsewhere.do_with, partial(elsewhere.present, gate.address))
    worker.wait_ready()
    assert gate.inside == ["present"]
    del worker
    gone(gate, "present")


# -- standby ----------------------------------------------------------------------------------


def test_one_on_standby_is_there_before_it_is_needed_and_there_is_only_one(start):
    started = []

    def start_one():
        started.append(start())
        return started[-1]

    standby = Standby(start_one)
    standby.fill()
    standby.fill()
    assert len(started) == 1
    assert standby.take() is started[0]
    assert standby.take() is started[1]  # started now
    standby.close()
    standby.fill()
    assert len(started) == 2


def test_one_that_died_on_standby_is_not_taken(start):
    standby = Standby(start)
    standby.fill()
    standby._ready.kill()
    assert standby.take().call((elsewhere.returned, 1)) == 1


@pytest.mark.parametrize("ready", [True, False])
def test_one_on_standby_leaves_when_nobody_will_need_it(start, gate, ready):
    gate.hold(*[] if ready else ["made"])
    standby = Standby(partial(start, functions.second, partial(functions.Resource, gate.address), ready=ready))
    standby.fill()
    worker = standby._ready
    standby.close()
    assert worker.ended() == (LEFT if ready else KILLED)


def test_one_that_was_started_too_late_leaves(start):
    workers = []

    def start_late():
        workers.append(start())
        standby.close()
        return workers[-1]

    standby = Standby(start_late)
    standby.fill()
    assert workers[0].ended() == LEFT
