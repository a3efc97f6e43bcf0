"""Faults B10 to B12 of 0.1.10: programs that could not end, and what runs left behind.

The rule: cancelled, interrupted from the keyboard or broken, a run leaves no thread and
no object, and the loop and the process end. Each test looks at a whole run from outside.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import signal
import subprocess
import sys
import threading
import weakref

import anyio
import pytest
from anyio import CancelScope, fail_after, to_thread
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline

PATIENCE = 60


class Gate:
    """A stage function that says when it is in a call, and returns when it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self, data):
        self.entered.set()
        assert self.opened.wait(PATIENCE / 2), "nobody opened the gate"
        return data

    async def wait_entered(self) -> None:
        assert await to_thread.run_sync(self.entered.wait, PATIENCE / 2)


def in_puts() -> list[str]:
    """The names of threads that are blocked in a put of the pipeline."""
    frames = sys._current_frames()
    found = []
    for thread in threading.enumerate():
        frame = frames.get(thread.ident)
        while frame is not None:
            if frame.f_code.co_name in {"put_input_data", "put_input_sentinel"}:
                found.append(thread.name)
            frame = frame.f_back
    return found


@pytest.mark.parametrize("how", ["scope", "native"])
def test_b10_the_loop_ends_after_a_cancelled_put(anyio_backend, how):
    """0.1.10: the put stayed behind in an executor thread; ``asyncio.run`` never ended."""
    backend, options = anyio_backend
    if how == "native" and backend == "trio":
        how = "scope"  # trio's scopes are its native way
    gate, released = Gate(), []

    async def main() -> None:
        pipeline = AsyncTaskPipeline(max_queue_size=1).add_stage("gate", gate)
        with fail_after(PATIENCE):
            await pipeline.start()
            await pipeline.process_input_data(0)
            await gate.wait_entered()
            await pipeline.process_input_data(1)
            if how == "native":
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(pipeline.process_input_data(2), 0.01)
            else:
                with anyio.move_on_after(0.01) as scope:
                    await pipeline.process_input_data(2)
                assert scope.cancelled_caught
            assert in_puts() == []
            gate.opened.set()
            output = pipeline.generate_output_stream()
            released.extend([await anext(output), await anext(output)])
        # No stop: whoever forgets it must be able to leave, too.

    anyio.run(main, backend=backend, backend_options=options)
    assert released == [0, 1]


CHILD = """
import signal
import sys
import anyio
from async_task_pipeline import AsyncTaskPipeline

# Inherited as ignored from a shell that runs its jobs in the background.
signal.signal(signal.SIGINT, signal.default_int_handler)

async def main():
    pipeline = AsyncTaskPipeline(max_queue_size=1).add_stage("same", lambda x: x)
    await pipeline.start()
    if sys.argv[3] == "producer":
        while not (pipeline.input_queue.full() and pipeline.output_queue.full()):
            try:
                pipeline.put_input_data(0)
            except anyio.WouldBlock:
                await anyio.lowlevel.checkpoint()
    print("ready", flush=True)
    if sys.argv[3] == "producer":
        while True:
            await pipeline.process_input_data(0)
    async for _ in pipeline.generate_output_stream():
        pass

anyio.run(main, backend=sys.argv[1], backend_options={"use_uvloop": True} if sys.argv[2] == "True" else {})
"""


@pytest.mark.parametrize("waiting", ["producer", "consumer"])
def test_b11_one_ctrl_c_is_enough(anyio_backend, waiting):
    """0.1.10: a blocked producer needed three, a hung stop two."""
    backend, options = anyio_backend
    command = [sys.executable, "-c", CHILD, backend, str(options.get("use_uvloop", False)), waiting]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            child.send_signal(signal.SIGINT)
            _, errors = child.communicate(timeout=PATIENCE)
        finally:
            child.kill()
    assert child.returncode in {-signal.SIGINT, 128 + signal.SIGINT}
    assert "KeyboardInterrupt" in errors


class Owner:
    """Somebody whose methods are stages, and who should be gone with the pipeline."""

    def __init__(self, pipeline: AsyncTaskPipeline) -> None:
        self.pipeline = pipeline
        for name in "abcd":
            pipeline.add_stage(name, self.stage)

    def stage(self, data):
        return data


async def run_until_it_breaks(form: str, end: str, owners: list) -> None:
    owner = Owner(AsyncTaskPipeline(max_queue_size=2))
    pipeline = owner.pipeline
    owners += [weakref.ref(owner), weakref.ref(pipeline)]
    async with contextlib.AsyncExitStack() as stack:
        scope = stack.enter_context(CancelScope())
        if form == "process":
            await stack.enter_async_context(pipeline.process(itertools.count()))
        elif form == "scope":
            await stack.enter_async_context(pipeline)
        else:
            await pipeline.start()
        if form != "process":
            for i in range(5):
                await pipeline.process_input_data(i)
        assert await anext(pipeline.generate_output_stream()) == 0
        if end == "error":
            raise LookupError
        scope.cancel()
        await checkpoint()


@pytest.mark.parametrize("end", ["error", "cancel"])
@pytest.mark.parametrize("form", ["scope", "process", "start"])
def test_b12_twenty_five_broken_runs_leave_no_thread_and_no_object(anyio_backend, form, end):
    """0.1.10: 100 stage threads, and 25 of 25 objects alive, after 25 runs."""
    backend, options = anyio_backend
    before, owners = set(threading.enumerate()), []
    for _ in range(25):
        with contextlib.suppress(LookupError):
            anyio.run(run_until_it_breaks, form, end, owners, backend=backend, backend_options=options)
    # trio keeps idle threads for a while and uses them again; that must not add up.
    assert threads_left(before, wait=backend == "asyncio") < 25
    gc.collect()
    assert len(owners) == 50
    assert [ref() for ref in owners if ref() is not None] == []


def threads_left(before: set, *, wait: bool) -> int:
    """How many threads there are more; a function, because on asyncio an idle thread
    holds the task it was made in, and so everything in the traceback of its error."""
    left = set(threading.enumerate()) - before
    if wait:
        for thread in left:
            thread.join(PATIENCE / 2)
        assert [thread.name for thread in left if thread.is_alive()] == []
    return len(left)
