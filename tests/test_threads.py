"""Calls from other threads that meet the end, of the input, of the pipeline or of the loop.

The rule: a thread that has asked is always answered, however it falls in time; it never
stays behind, and what it was refused is nowhere counted. The loop's thread stands still
until the other one has asked, which its stack shows.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
import time
from contextlib import contextmanager

import anyio
import pytest
from anyio import fail_after, to_thread
from anyio.from_thread import start_blocking_portal

from async_task_pipeline import AsyncTaskPipeline, InterruptReceipt, PipelineStateError, PipelineStoppedError
from tests.cancelling import assert_law, watched
from tests.interrupts.scenes import PATIENCE, Gate, rest_of

anyio_test = pytest.mark.anyio


def same(data):
    return data


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

    def wait_until_it_has_asked(self):
        """Without letting the loop run."""
        limit = time.monotonic() + PATIENCE
        while not waits_for_an_answer(self.ident):
            assert self.is_alive(), self.answer
            assert time.monotonic() < limit


def waits_for_an_answer(ident):
    """Whether a thread is blocked in a future."""
    frame = sys._current_frames().get(ident)
    while frame is not None:
        if frame.f_code.co_name == "result" and "concurrent" in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False


@anyio_test
@pytest.mark.parametrize("put", ["put_input_data", "put_input_sentinel"])
async def test_a_put_that_is_heard_after_the_input_was_closed_is_refused(put):
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    thread = Asking(getattr(pipeline, put), "late")
    with fail_after(PATIENCE):
        async with pipeline:
            thread.start()
            thread.wait_until_it_has_asked()
            assert await rest_of(pipeline) == []
            await to_thread.run_sync(thread.join)
    assert "has been closed" in str(thread.answer)
    assert pipeline.statistics().accepted == 0
    assert_law(pipeline)


@anyio_test
async def test_an_interrupt_that_is_heard_when_the_pipeline_has_ended_is_a_no_op():
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    thread = Asking(pipeline.interrupt_from_thread)

    def ask(_):
        thread.start()
        thread.wait_until_it_has_asked()

    with fail_after(PATIENCE):
        async with pipeline:
            await pipeline.process_input_data(1)
            assert await anext(pipeline.generate_output_stream()) == 1
            # It asks when stop() has been called and nothing has come of that yet.
            await watched(pipeline.stop(), 1, ask)
            await to_thread.run_sync(thread.join)
    # On trio it may be in time all the same, for there was nothing inside.
    assert thread.answer == InterruptReceipt() or thread.answer.dropped
    assert thread.answer.total == 0


@anyio_test
async def test_what_belongs_on_the_loop_says_so_in_another_thread():
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    calls = {
        "close_input": pipeline.close_input,
        "clear": pipeline.clear,
        "clear_input_queue": pipeline.stages[0].clear_input_queue,
        "clear_output_queue": pipeline.clear_output_queue,
        "turn": pipeline.turn,
        "interrupt": lambda: anyio.run(pipeline.interrupt),
        "process_input_data": lambda: anyio.run(pipeline.process_input_data, 1),
        "process_input_sentinel": lambda: anyio.run(pipeline.process_input_sentinel, 1),
        "process_input_stream": lambda: anyio.run(pipeline.process_input_stream, [1]),
    }
    with fail_after(PATIENCE):
        async with pipeline:
            for name, call in {**calls, "clear_input_queue ": pipeline.clear_input_queue}.items():
                message = rf"{name.strip()}\(\) belongs on the event loop's thread"
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
            if waits_for_an_answer(main):
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
        gate.opened.set()
        pipeline.put_input_data("next")
        assert portal.call(rest_of, pipeline) == ["busy", "queued", "next"]
        portal.call(pipeline.stop)
    assert pipeline.statistics().accepted == 3


def test_ctrl_c_before_the_loop_has_heard_of_an_item_takes_it_back_though_no_put_waits(anyio_backend):
    backend, options = anyio_backend
    entered, let_go = threading.Event(), threading.Event()

    def hold_the_loop():
        entered.set()
        return let_go.wait(PATIENCE)

    pipeline = AsyncTaskPipeline(1, overflow="drop_newest").add_stage("same", same)
    with start_blocking_portal(backend, options) as portal:
        portal.call(pipeline.start)
        stuck = portal.start_task_soon(hold_the_loop)
        assert entered.wait(PATIENCE)
        with ctrl_c_while_it_waits(), pytest.raises(KeyboardInterrupt):
            pipeline.put_input_data("taken back")
        let_go.set()
        assert stuck.result()
        pipeline.put_input_data("next")
        assert portal.call(rest_of, pipeline) == ["next"]
        portal.call(pipeline.stop)
    assert (pipeline.statistics().accepted, pipeline.statistics().dropped) == (1, 0)


@pytest.mark.parametrize("uvloop", [False, True])
def test_a_loop_that_was_closed_under_the_pipeline_leaves_no_thread_waiting(uvloop, monkeypatch):
    """As a program of 0.1.10 may do that holds its own loop; no run of anyio ends so."""
    new_loop = pytest.importorskip("uvloop").new_event_loop if uvloop else asyncio.new_event_loop
    # What is left of the run is destroyed in mid-await below, of which Python complains.
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)

    async def stage(data):
        return data

    def refused() -> list:
        loop = new_loop()
        pipeline = AsyncTaskPipeline().add_stage("stage", stage)
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
