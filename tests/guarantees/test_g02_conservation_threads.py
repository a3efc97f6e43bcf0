"""G2, the law of conservation, from other threads.

The rule: a thread that has asked is always answered, once, however it falls in time; it never stays
behind, and what it was refused is nowhere counted.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress

import anyio
import pytest
from anyio import create_task_group, to_thread
from anyio.from_thread import start_blocking_portal

from async_task_pipeline import AsyncTaskPipeline, InterruptReceipt, PipelineStateError, PipelineStoppedError
from tests.support.cancelling import watched
from tests.support.functions import same, same_on_loop
from tests.support.gates import Gate
from tests.support.law import assert_law
from tests.support.waiting import PATIENCE, rest_of, stands_in, until, until_waiting

pytestmark = pytest.mark.anyio


class Asking(threading.Thread):
    """A thread in one call, and what came of it."""

    def __init__(self, call, *args):
        super().__init__(target=self._ask, args=(call, args))
        self.answer = None

    def _ask(self, call, args):
        try:
            self.answer = call(*args)
        except PipelineStateError as exc:
            self.answer = exc

    def wait_until_it_waits(self, method):
        """Without letting the loop run."""
        limit = time.monotonic() + PATIENCE
        while not stays_in(self.ident, method):
            assert self.is_alive(), self.answer
            assert time.monotonic() < limit


def stays_in(ident, method):
    """Whether a thread is in a method of the library, and comes no further."""
    frames = set()
    for _ in range(5):
        frames.add(stands_in(ident, {method}))
        time.sleep(0.001)
    return len(frames) == 1 and None not in frames


def held_or_fails(gate):
    """A stage that stands at the gate with its first item, and then fails if it is told to."""

    def stage(data):
        if gate(data) == "fails":
            raise LookupError(data)
        return data

    return stage


@pytest.mark.parametrize("put", ["put_input_data", "put_input_sentinel", "put_from_thread", "put_sentinel_from_thread"])
@pytest.mark.parametrize("ending", ["close_input", "stop", "failure"])
async def test_a_put_that_waits_when_the_end_comes_is_refused_once(ending, put):
    gate = Gate()
    pipeline = AsyncTaskPipeline(1).add_stage("stage", held_or_fails(gate))
    with suppress(LookupError):
        async with pipeline, pipeline.turn() as turn, create_task_group() as tg:
            await pipeline.process_input_data("fails" if ending == "failure" else "held")
            await gate.entered()
            await pipeline.process_input_data("queued")
            thread = Asking(getattr(turn if put.endswith("from_thread") else pipeline, put), "late")
            thread.start()
            await until_waiting(pipeline, 1)
            if ending == "close_input":
                pipeline.close_input()
            elif ending == "stop":
                tg.start_soon(pipeline.stop)
            if ending != "failure":  # whoever waits is told though the call goes on
                await to_thread.run_sync(thread.join)
            gate.open()
            await to_thread.run_sync(thread.join)
    assert isinstance(thread.answer, PipelineStateError)
    now = pipeline.statistics()
    assert (now.accepted, now.inside) == (2, 0)
    assert_law(pipeline)


async def test_an_interrupt_that_is_heard_when_the_pipeline_has_ended_is_a_no_op():
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    thread = Asking(pipeline.interrupt_from_thread)

    def ask(_):
        thread.start()
        thread.wait_until_it_waits("interrupt_from_thread")

    async with pipeline:
        await pipeline.process_input_data(1)
        assert await anext(pipeline.generate_output_stream()) == 1
        # It asks when stop() has been called and nothing has come of that yet.
        await watched(pipeline.stop(), 1, ask)
        await to_thread.run_sync(thread.join)
    # On trio it may be in time all the same, for there was nothing inside.
    assert thread.answer == InterruptReceipt() or thread.answer.dropped
    assert thread.answer.total == 0


async def test_what_belongs_on_the_loop_says_so_in_another_thread():
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    calls = {
        "close_input": pipeline.close_input,
        "turn": pipeline.turn,
        "interrupt": lambda: anyio.run(pipeline.interrupt),
        "process_input_data": lambda: anyio.run(pipeline.process_input_data, 1),
        "process_input_sentinel": lambda: anyio.run(pipeline.process_input_sentinel, 1),
        "process_input_stream": lambda: anyio.run(pipeline.process_input_stream, [1]),
    }
    async with pipeline:
        for name, call in calls.items():
            message = rf"{name}\(\) belongs on the event loop that runs the pipeline"
            with pytest.raises(PipelineStateError, match=message):
                await to_thread.run_sync(call)
        await pipeline.process_input_data("still open")
        assert await rest_of(pipeline) == ["still open"]


@contextmanager
def ctrl_c_while_it_waits():
    """Press Ctrl-C when the main thread, which is the producer here, waits for an answer."""
    main, heard = threading.get_ident(), []

    def press():
        limit = time.monotonic() + PATIENCE
        while not heard and time.monotonic() < limit:
            # More than once: just before it goes to sleep, the main thread is deaf to signals.
            if stays_in(main, "put_input_data"):
                signal.pthread_kill(main, signal.SIGINT)
            time.sleep(0.001)

    def hear(*_):
        if not heard:
            heard.append("Ctrl-C")
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, hear)
    thread = threading.Thread(target=press)
    try:
        thread.start()
        yield
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_in_a_thread_that_waits_for_room_takes_its_item_back(anyio_backend):
    backend, options = anyio_backend
    gate = Gate("busy")
    pipeline = AsyncTaskPipeline(1).add_stage("gate", gate)
    with start_blocking_portal(backend, options) as portal:
        portal.call(pipeline.start)
        pipeline.put_input_data("busy")
        portal.call(gate.entered)
        pipeline.put_input_data("queued")
        with ctrl_c_while_it_waits(), pytest.raises(KeyboardInterrupt):
            pipeline.put_input_data("taken back")
        gate.open()
        pipeline.put_input_data("next")
        assert portal.call(rest_of, pipeline) == ["busy", "queued", "next"]
        portal.call(pipeline.stop)
    assert pipeline.statistics().accepted == 3


@pytest.mark.parametrize("uvloop", [False, True])
def test_a_loop_that_was_closed_under_the_pipeline_leaves_no_thread_waiting(uvloop, monkeypatch):
    """As a program of 0.1.10 may do that holds its own loop; no run of anyio ends so."""
    new_loop = pytest.importorskip("uvloop").new_event_loop if uvloop else asyncio.new_event_loop
    # What is left of the run is destroyed in mid-await below, of which Python complains.
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)

    def refused() -> list:
        loop = new_loop()
        pipeline = AsyncTaskPipeline().add_stage("same", same_on_loop)
        loop.run_until_complete(pipeline.start())
        loop.close()
        threads = [Asking(pipeline.put_input_data, 1), Asking(pipeline.interrupt_from_thread)]
        for thread in threads:
            thread.start()
            thread.join(PATIENCE)
        return [thread.answer for thread in threads]

    put, interrupt = refused()
    gc.collect()
    assert isinstance(put, PipelineStoppedError)
    assert interrupt == InterruptReceipt()


class Clock:
    """A clock that can break."""

    broken = False
    now = 0.0

    def __call__(self) -> float:
        if self.broken:
            raise OSError("no clock")
        self.now += 1
        return self.now


@pytest.mark.parametrize(
    ("call", "timing"), [("interrupt_from_thread", False), ("interrupt_from_thread", True), ("put_input_data", True)]
)
async def test_a_thread_is_told_that_the_clock_is_broken(call, timing):
    clock, heard = Clock(), []
    pipeline = AsyncTaskPipeline(enable_timing=timing, clock=clock).add_stage("same", same_on_loop)

    def in_thread():
        try:
            heard.append(getattr(pipeline, call)(*([1] if call == "put_input_data" else [])))
        except OSError as exc:
            heard.append(exc.args)

    with suppress(OSError):  # it may end the pipeline, too
        async with create_task_group() as tg, pipeline:
            clock.broken = True
            tg.start_soon(to_thread.run_sync, in_thread)
            await until(lambda: heard)
            clock.broken = False
    assert heard == [("no clock",)]
    assert pipeline.statistics().accepted == 0
    assert_law(pipeline)
