"""Worker processes that leave children or threads behind, die early, or lose the server they came from.

The rule: what a process leaves behind keeps nobody waiting, and a process that can be ended is
ended whoever started it. A test sees that by what is still there when it is done, not by a clock.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from multiprocessing import active_children, forkserver

import pytest
from anyio import create_task_group, to_thread

from async_task_pipeline import WorkerDiedError
from tests.kinds import functions, odd
from tests.kinds.kinds import some
from tests.support.law import assert_law
from tests.support.waiting import PATIENCE, read, rest_of, until

pytestmark = [pytest.mark.anyio, some(["process"])]


@pytest.fixture
def gate(gate):
    """A gate that opens, late, if all hangs."""
    with odd.at_once(gate.open):
        yield gate


class Child:
    """What a call leaves behind: a process that reads a fifo."""

    def __init__(self, fifo) -> None:
        self.fifo = fifo
        self._writer = None

    async def begun(self) -> None:
        """Wait until it is there; it stays until it is released."""
        self._writer = await to_thread.run_sync(partial(open, self.fifo, "wb", buffering=0))

    def release(self) -> None:
        """Have it end, or whoever waits for it know that it will not come."""
        if self._writer is None:
            os.close(os.open(self.fifo, os.O_RDONLY | os.O_NONBLOCK))
        else:
            self._writer.close()

    def assert_alive(self) -> None:
        """It still reads: there would be nobody to write to otherwise."""
        self._writer.write(b".")


@pytest.fixture
def child(tmp_path):
    """A child to be, which ends with the test."""
    os.mkfifo(tmp_path / "fifo")
    child = Child(str(tmp_path / "fifo"))
    with odd.at_once(child.release):
        yield child
        child.release()


def breeding(kind, gate, child, how, **options):
    return kind.pipeline(partial(odd.breed, gate.address, child.fifo, how), on_error="return", **options)


ways = pytest.mark.parametrize("how", ["fork", "system"])


@pytest.mark.parametrize(
    ("how", "end"),
    [("system", "interrupt"), *(("fork", end) for end in ("interrupt", "timeout", "stop", "leave", "cancel"))],
)
async def test_a_call_ends_at_once_though_its_child_does_not(kind, gate, child, how, end):
    gate.hold("child")
    pipeline = breeding(kind, gate, child, how, timeout=1.0 if end == "timeout" else None)
    async with pipeline, create_task_group() as tg:
        await pipeline.process_input_data("child")
        await child.begun()
        await (gate.entered("child") if end != "timeout" else gate.left("child"))
        if end == "interrupt":
            receipt = await pipeline.interrupt()
            assert receipt.total == 1
        elif end == "timeout":
            (late,) = await read(pipeline, 1)
            assert isinstance(late, TimeoutError)
        elif end == "stop":
            await pipeline.stop()
        elif end == "cancel":
            tg.cancel_scope.cancel()
        if end in ("interrupt", "timeout"):
            await pipeline.process_input_data("next")
            assert await read(pipeline, 1) == ["next"]
            assert await rest_of(pipeline) == []
    await gate.left("child")
    child.assert_alive()
    assert_law(pipeline)


@ways
async def test_the_death_of_a_process_is_noticed_though_its_child_lives(kind, gate, child, how):
    pipeline = breeding(kind, gate, child, how)
    async with pipeline:
        await pipeline.process_input_data("child of one that dies")
        await child.begun()
        (died,) = await read(pipeline, 1)
        assert isinstance(died, WorkerDiedError)
        assert "ended with exit code 1 in a call" in str(died)
        await pipeline.process_input_data("next")
        assert await read(pipeline, 1) == ["next"]
    child.assert_alive()
    assert_law(pipeline)


@ways
async def test_a_process_leaves_though_its_child_stays(kind, gate, child, how):
    pipeline = breeding(kind, gate, child, how)
    async with pipeline:
        await pipeline.process_input_data("child")
        await child.begun()
        assert await read(pipeline, 1) == ["child"]
        assert await rest_of(pipeline) == []
    child.assert_alive()


@pytest.mark.parametrize("end", ["leave", "drain"])
async def test_nobody_waits_for_a_thread_that_a_call_left_behind(kind, gate, end, monkeypatch):
    for name, module in [*sys.modules.items()]:  # wherever it is said how long a process has for leaving
        if name.startswith("async_task_pipeline"):
            monkeypatch.setattr(module, "LEAVE_SECONDS", 0.1, raising=False)
    gate.hold("thread")
    pipeline = kind.pipeline(partial(odd.begin_a_thread, gate.address))
    async with pipeline:
        await pipeline.process_input_data(1)
        assert await read(pipeline, 1) == [1]
        await gate.entered("thread")
        if end == "drain":
            assert await rest_of(pipeline) == []
    # It was not released, but ended with its process.
    await gate.left("thread")


@pytest.mark.skipif(sys.platform != "linux", reason="there is a server on Linux alone")
@pytest.mark.parametrize("end", ["interrupt", "leave"])
async def test_a_process_is_ended_though_the_server_it_came_from_is_gone(kind, gate, end):
    gate.hold("held")
    function = partial(functions.gated, gate.address)
    pipeline = kind.pipeline(function)
    async with pipeline:
        await pipeline.process_input_data("held")
        await gate.entered("held")
        server = forkserver._forkserver._forkserver_pid
        os.kill(server, signal.SIGKILL)
        # Until it has gone, and not beyond: it is multiprocessing that waits for it.
        await to_thread.run_sync(os.waitid, os.P_PID, server, os.WEXITED | os.WNOWAIT)
        if end == "interrupt":
            await pipeline.interrupt()
            await gate.left("held")
            await pipeline.process_input_data("next")
            assert await read(pipeline, 1) == ["next"]
    await gate.left("held")
    assert_law(pipeline)


async def test_a_standby_that_dies_while_it_starts_is_missed_by_nobody(kind, gate):
    pipeline = kind.pipeline(odd.die_or_not, setup=partial(odd.set_up, gate.address), on_error="return")
    async with pipeline:
        await until(lambda: len(gate.departed) == 2)  # the first and its standby
        gate.hold("all")
        await pipeline.process_input_data("dies")
        assert isinstance(*await read(pipeline, 1), WorkerDiedError)
        # The standby has taken its place, and there is another, which stands at the gate.
        await until(lambda: gate.inside)
        (standby,) = gate.inside
        os.kill(int(standby), signal.SIGKILL)
        await gate.left(standby)
        gate.open()
        for data in ("a", "dies", "b"):
            await pipeline.process_input_data(data)
        first, died, last = await read(pipeline, 3)
    assert (first, last) == ("a", "b")
    assert isinstance(died, WorkerDiedError)
    assert_law(pipeline)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what was not read")
async def test_nobody_is_blamed_for_processes_that_die_between_calls(kind, gate):
    pipeline = kind.pipeline(functions.second, setup=partial(odd.set_up, gate.address), timeout=PATIENCE)
    gate.hold("pickled")
    others = {each.pid for each in active_children()}  # the pool that serves all tests has processes, too
    async with pipeline:
        await until(lambda: len(gate.departed) == 2)  # the first and its standby
        for _ in range(3):
            await pipeline.process_input_data(odd.Slow(gate.address))
            # The process was there when it was looked for, and is gone before the request is sent.
            await until(lambda: "pickled" in gate.inside)
            for pid in {each.pid for each in active_children()} - others:
                os.kill(pid, signal.SIGKILL)
            gate.open()
            assert await read(pipeline, 1) == ["slow"]
            gate.hold("pickled")
    assert_law(pipeline)


async def test_the_call_after_a_death_has_all_its_time(kind, gate):
    options = {"timeout": 0.5, "on_error": "return"}
    pipeline = kind.pipeline(odd.die_or_not, setup=partial(odd.set_up, gate.address), **options)
    clock = kind.pipeline(partial(functions.gated, gate.address), **options)
    async with clock, pipeline:
        await until(lambda: len(gate.departed) == 2)  # the first and its standby
        gate.hold("all")
        for _ in range(2):  # the second time, the next standby is still in its set-up, at the gate
            await pipeline.process_input_data("dies")
            assert isinstance(*await read(pipeline, 1), WorkerDiedError)
        await pipeline.process_input_data("slow")
        # A call with as much time, begun after that, is over its time, and so would be this.
        await clock.process_input_data("held")
        assert isinstance(*await read(clock, 1), TimeoutError)
        gate.open()
        assert await read(pipeline, 1) == ["slow"]
    assert_law(pipeline)
