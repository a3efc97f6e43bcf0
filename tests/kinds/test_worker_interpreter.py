"""Calls in an interpreter, without a pipeline; the loop that hosts it runs in another thread.

The rule: what is said here is what an interpreter does otherwise than a process; the rest is in
``test_elsewhere``. None outlives its test, as nobody may look at the frames of its threads.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from async_task_pipeline._workers._elsewhere import WorkerGoneError
from async_task_pipeline._workers._interpreter import Interpreters
from tests.kinds import elsewhere, functions, mistakes
from tests.kinds.functions import MineError
from tests.support.waiting import until

needs_interpreters = pytest.mark.skipif(sys.version_info < (3, 13), reason="interpreters need Python 3.13")


@pytest.fixture
def start():
    """Starts interpreters, which are hosted until the end of the test."""
    with start_blocking_portal() as portal:
        hosts = Interpreters("stage", lambda callback: portal.call(callback) is None)
        serving = portal.start_task_soon(hosts.serve)
        yield hosts.start
        serving.cancel()


@needs_interpreters
def test_an_interpreter_makes_calls_with_a_state_and_lets_it_go(start, gate):
    worker = start(elsewhere.do_with, partial(functions.Resource, gate.address))
    worker.wait_ready()
    assert worker.is_alive()
    assert worker.call((functions.count, "a")) == (1, "a")
    with pytest.raises(MineError, match="fails") as caught:
        worker.call((functions.count, "fails"))
    assert "in count" in caught.value.__notes__[0]
    assert not worker.kill()
    assert worker.is_alive()
    assert worker.call((functions.count, "b")) == (2, "b")
    assert worker.leave()
    assert gate.arrivals == ["made", "closed"]
    assert not worker.is_alive()


@needs_interpreters
def test_its_generator_is_one_value_ahead(start, gate):
    worker = start(elsewhere.do)
    worker.wait_ready()
    values = worker.call((functions.fan, gate.address, 20))
    assert worker.is_alive()
    assert [next(values), next(values)] == [0, 1]
    values.close()
    assert gate.arrivals == ["0", "1", "closed"]
    values = worker.call((elsewhere.ends_badly, 1, 2))
    with pytest.raises(MineError, match="the clean-up"):
        worker.leave()
    values.close()  # it is


@needs_interpreters
def test_what_its_set_up_and_its_clean_up_raise_is_raised_here(start, gate):
    worker = start(functions.second, functions.missing_model)
    with pytest.raises(FileNotFoundError, match=r"model\.bin"):
        worker.wait_ready()
    with pytest.raises(WorkerGoneError):
        worker.call("data")
    assert worker.ended() == "interpreter ended"
    worker = start(functions.second, partial(mistakes.Unclean, gate.address))
    with pytest.raises(MineError, match="the clean-up"):
        worker.leave()


@needs_interpreters
def test_one_that_breaks_is_gone_and_the_log_says_so(start, monkeypatch, caplog):
    async def broken(*args):
        raise RuntimeError("it broke")

    monkeypatch.setattr(Interpreters, "_serve", broken)
    worker = start(functions.outcome)
    with pytest.raises(WorkerGoneError):
        worker.wait_ready()
    assert not worker.is_alive()
    (record,) = caplog.records
    assert record.getMessage() == "stage 'stage': an interpreter has failed"
    assert str(record.exc_info[1]) == "it broke"


@pytest.mark.skipif(sys.version_info < (3, 14), reason="anyio makes them before 3.14, and keeps them")
def test_one_is_closed_when_its_worker_has_left():
    from concurrent import interpreters

    before = len(interpreters.list_all())
    with start_blocking_portal() as portal:
        hosts = Interpreters("stage", lambda callback: portal.call(callback) is None)
        serving = portal.start_task_soon(hosts.serve)
        worker = hosts.start(functions.outcome)
        worker.wait_ready()
        assert len(interpreters.list_all()) == before + 1
        assert worker.leave()
        portal.call(until, lambda: len(interpreters.list_all()) == before)
        serving.cancel()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors where Linux shows them")
@pytest.mark.parametrize("closed", [True, False])
def test_who_starts_one_when_nobody_hosts_any_more_is_told(closed):
    hosts = Interpreters("stage", lambda callback: closed)  # false: the loop is gone
    hosts._closed = closed
    descriptors = Path("/proc/self/fd")
    before = len([*descriptors.iterdir()])
    worker = hosts.start(functions.outcome)
    with pytest.raises(WorkerGoneError):
        worker.wait_ready()
    assert not worker.leave()
    assert worker.ended() == "interpreter ended"
    assert len([*descriptors.iterdir()]) == before
