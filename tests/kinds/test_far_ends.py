"""Other processes without a pipeline: how they come to be, and how they end.

The rule: each test speaks with a real process, and waits for what that says or for its end.
"""

from __future__ import annotations

import os
import pickle
from collections import deque
from functools import partial
from multiprocessing import forkserver
from multiprocessing.connection import wait
from pathlib import Path
from types import SimpleNamespace

import pytest

from async_task_pipeline._links import Link
from async_task_pipeline._remote import _child
from async_task_pipeline._remote._far_ends import FarEndClosedError, ProcessEnd, Spares
from async_task_pipeline._remote._staff import _Interpreters
from async_task_pipeline._remote._worker import RemoteWorker
from async_task_pipeline._stage import PipelineStage
from async_task_pipeline._workers._sessions import Tools
from tests.kinds import functions, mistakes
from tests.kinds.functions import MineError
from tests.kinds.gates import PATIENCE

KILLED = "process ended with exit code -9"
LEFT = "process ended with exit code 0"


def nothing() -> None:
    """Be called for nothing."""


@pytest.fixture
def start():
    """Starts processes, and sees to it that none is left."""
    ends = []

    def started(function=None, setup=None):
        ends.append(ProcessEnd(function or (functions.outcome if setup is None else functions.second), setup))
        return ends[-1]

    yield started
    for end in ends:
        end.kill()
        end.fate()


def worker_with(spares, *, gone=True):
    """A worker that is not hosted, on a loop that is gone."""
    waker = SimpleNamespace(post=lambda callback: not gone, wake=nothing)
    tools = Tools(limit=10, clock=None, waker=waker, notify=nothing)
    stage = PipelineStage("stage", functions.outcome, executor="process")
    return RemoteWorker(stage, Link(10), tools, spares)


def answer(end, data):
    """What a call returns."""
    end.wait_ready()
    end.send((1, [pickle.dumps(data)]))
    _, ((_, packed, _, _),) = end.receive()
    return pickle.loads(packed)


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_process_begins_with_the_environment_of_its_start(start, method, monkeypatch, tmp_path):
    monkeypatch.setattr(_child, "START_METHOD", method)
    assert answer(start(functions.variable), "A_VARIABLE") == (None, str(Path.cwd()))
    monkeypatch.setenv("A_VARIABLE", "now")
    monkeypatch.chdir(tmp_path)
    assert answer(start(functions.variable), "A_VARIABLE") == ("now", str(tmp_path))
    monkeypatch.delenv("A_VARIABLE")
    assert answer(start(functions.variable), "A_VARIABLE") == (None, str(tmp_path))


def test_the_server_still_imports_what_others_want_of_it(start, monkeypatch):
    monkeypatch.setattr(forkserver._forkserver, "_preload_modules", ["of somebody else"])
    start().wait_ready()
    start().wait_ready()
    assert forkserver._forkserver._preload_modules == ["of somebody else", "async_task_pipeline._remote._peer"]


@pytest.mark.parametrize("described", [True, False])
def test_a_process_that_is_gone_says_so_to_whoever_asks(start, described, monkeypatch):
    if not described:
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    end = start()
    end.wait_ready()
    assert end.kill()
    assert wait([end._child.end], PATIENCE)
    assert end.kill()  # once more does no harm to anybody
    assert end.fate() == KILLED
    for ask in (end.receive, partial(end.send, "request")):
        with pytest.raises(FarEndClosedError):
            ask()
    end.leave()  # it has left
    assert end.kill()  # and is dead
    assert end.fate() == KILLED


def test_one_that_is_gone_before_it_was_ready_never_will_be(start):
    end = start()
    end.kill()
    end.fate()
    assert not end.is_ready()
    with pytest.raises(FarEndClosedError):
        end.wait_ready()


def test_one_is_ready_once(start):
    end = start()
    end.wait_ready()
    assert end.is_ready()
    end.wait_ready()  # there is nothing more to be heard of it


def test_it_leaves_with_its_state_after_the_calls_that_nobody_waits_for(start, gate):
    end = start(setup=partial(functions.Resource, gate.address))
    end.wait_ready()
    end.send((10, [pickle.dumps(n) for n in range(3)]))
    end.leave()
    assert end.fate() == LEFT
    assert gate.arrivals == ["made", "let go"]


def test_what_its_clean_up_raises_is_raised_here(start, gate):
    end = start(setup=partial(mistakes.Unclean, gate.address))
    end.wait_ready()
    with pytest.raises(MineError, match="the clean-up"):
        end.leave()
    assert end.fate() == LEFT


@pytest.mark.parametrize("ready", [True, False])
def test_a_spare_that_was_begun_too_late_is_sent_away(start, gate, ready):
    gate.hold(*[] if ready else ["made"])
    ends = []

    def start_late():
        end = start(setup=partial(functions.Resource, gate.address))
        if ready:
            end.wait_ready()
        ends.append(end)
        spares.close()
        return end

    spares = Spares(start_late, nothing)
    spares.fill()
    (end,) = ends
    # One whose set-up may never end is not asked.
    assert end.fate() == (LEFT if ready else KILLED)


def test_a_spare_is_there_before_it_is_needed_and_there_is_only_one(start):
    taken = []
    spares = Spares(start, lambda: taken.append("taken"))
    spares.fill()
    spares.fill()
    (spare,) = spares._spares
    assert spares.take() == (spare, True)
    assert taken == ["taken"]
    assert spares.take()[1] is False  # started now
    spares.close()


def test_a_worker_that_closes_while_its_process_is_made_does_not_wait_for_it(start, gate):
    gate.hold("setup")
    spares = Spares(lambda: start(setup=partial(functions.held_setup, gate.address)), nothing)
    worker = worker_with(spares)
    spares._on_taken = lambda: setattr(worker, "closing", True)
    worker.enter()
    assert worker.far is None
    worker.leave()  # there is nobody who could


def test_a_worker_without_a_process_has_nobody_to_kill_or_to_hear(start):
    worker = worker_with(Spares(start, nothing))
    worker.kill()
    with pytest.raises(FarEndClosedError):
        _ = worker.session().end


def test_nothing_is_sent_of_a_turn_that_is_over(start):
    worker = worker_with(Spares(start, nothing))
    worker.enter()
    session = worker.session()
    session.stale = True
    assert session._send(deque(["stale"])) == 0
    worker.leave()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors where Linux shows them")
@pytest.mark.parametrize("closed", [True, False])
def test_who_asks_for_an_interpreter_when_nobody_hosts_any_more_is_told(closed):
    waker = SimpleNamespace(post=lambda callback: closed)  # false: the loop is gone
    interpreters = _Interpreters(
        PipelineStage("stage", functions.outcome), Tools(limit=1, clock=None, waker=waker, notify=nothing)
    )
    interpreters._closed = closed
    descriptors = Path("/proc/self/fd")
    before = len([*descriptors.iterdir()])
    end, _ = interpreters.spares.take()
    with pytest.raises(FarEndClosedError):
        end.wait_ready()
    end.leave()
    assert not end.kill()
    assert end.fate() == "interpreter ended"
    assert len([*descriptors.iterdir()]) == before
