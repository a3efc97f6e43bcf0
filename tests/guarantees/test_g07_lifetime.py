"""G7: When the scope that owns a pipeline is left, by any road, nothing of it is left, and a
function in a thread that has not returned is named in the log.

The rule: what could be left is looked for where it would be found: the tasks of the backend, the
threads inside the library, the generator a stage was running, the objects of the library, the
program itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from anyio import CancelScope, create_task_group, fail_after, to_thread
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline, logger
from tests.support.functions import same, same_on_loop
from tests.support.gates import Gate
from tests.support.law import assert_law
from tests.support.leftovers import tasks
from tests.support.waiting import PATIENCE, read, rest_of, until, waiting

pytestmark = pytest.mark.anyio

Pipeline = AsyncTaskPipeline[Any, Any]


class LeavingError(Exception):
    """What a scope is left with."""


def busy() -> tuple[Pipeline, list[str]]:
    """A pipeline with a stage of every kind, all with something to do; and what they close."""
    closed: list[str] = []

    def endless(value: int) -> Iterator[int]:
        try:
            while True:
                yield value
        finally:
            closed.append("endless")

    async def also_endless(value: int) -> AsyncIterator[int]:
        try:
            while True:
                await checkpoint()
                yield value
        finally:
            closed.append("also endless")

    pipeline = Pipeline(max_queue_size=2)
    pipeline.add_stage("same", same).add_stage("endless", endless)
    pipeline.add_stage("also endless", also_endless).add_stage("async", same_on_loop)
    return pipeline, closed


async def leave(pipeline: Pipeline, road: str) -> None:
    with anyio.CancelScope() as scope:
        async with pipeline:
            output = pipeline.generate_output_stream()
            await pipeline.process_input_data(0)
            async for _ in output:
                if road == "break":
                    break
                if road == "error":
                    raise LeavingError
                if road == "cancel":
                    scope.cancel()
                    await checkpoint()
                if road == "stop":
                    await pipeline.stop()


@pytest.mark.parametrize("road", ["break", "error", "cancel", "stop"])
async def test_nothing_is_left_whatever_road_was_taken(road: str) -> None:
    before = tasks()
    pipeline, closed = busy()
    try:
        await leave(pipeline, road)
    except LeavingError:
        assert road == "error"
    assert sorted(closed) == ["also endless", "endless"]
    assert not pipeline.running
    assert tasks() == before
    assert all(link.empty() for link in (pipeline.input_queue, *pipeline.queues))
    assert pipeline.statistics().inside == 0
    assert_law(pipeline)


async def test_a_thread_in_a_function_that_has_not_returned_is_named(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()

    class Release(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "the culprit" in record.getMessage():
                gate.open()  # the scope waits for the thread, and the thread for the log line

    release = Release()
    logger.addHandler(release)
    caplog.set_level(logging.INFO, logger.name)
    pipeline = Pipeline().add_stage("the culprit", gate)
    try:
        async with anyio.create_task_group() as tg:
            await tg.start(pipeline.run)
            await pipeline.process_input_data(0)
            await gate.entered()
            tg.cancel_scope.cancel()
    finally:
        logger.removeHandler(release)
    assert gate.ended == [0]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("uvloop", [False, True])
def test_a_thread_that_outlives_the_loop_is_named(uvloop: bool, workers: int, caplog: pytest.LogCaptureFixture) -> None:
    """Where ``asyncio.run`` ends without a stop; trio waits for the thread instead."""
    gate, entered = threading.Event(), threading.Event()
    if uvloop:
        pytest.importorskip("uvloop")

    def stuck(value: int) -> None:
        entered.set()
        assert gate.wait(PATIENCE)

    async def main() -> None:
        pipeline = Pipeline().add_stage("the culprit", stuck, workers=workers).add_stage("idle", lambda value: value)
        await pipeline.start()
        await pipeline.process_input_data(0)
        await to_thread.run_sync(entered.wait)

    try:
        anyio.run(main, backend_options={"use_uvloop": uvloop})
        said = [record.getMessage() for record in caplog.records if "left inside" in record.getMessage()]
    finally:
        gate.set()
    assert len(said) == 1
    assert "the culprit" in said[0]
    assert "stuck" in said[0]


@pytest.mark.parametrize("form", ["process_input_stream", "process"])
async def test_the_iterator_of_a_cancelled_stream_is_closed(form):
    """0.1.10: it was left open, for the garbage collector to find."""
    ended = []

    async def source():
        try:
            for i in itertools.count():
                yield i
        finally:
            ended.append("async")

    def blocking_source():
        try:
            yield from itertools.count()
        finally:
            ended.append("sync")

    for stream in (source, blocking_source):
        pipeline = AsyncTaskPipeline(max_queue_size=1).add_stage("same", same)
        if form == "process":
            with CancelScope() as scope:
                async with pipeline.process(stream()):
                    await until(pipeline.input_queue.full)
                    scope.cancel()
                    await checkpoint()
        else:
            async with pipeline, create_task_group() as tg:
                tg.start_soon(pipeline.process_input_stream, stream())
                await until(pipeline.input_queue.full)
                tg.cancel_scope.cancel()
    assert ended == ["async", "sync"]


@pytest.mark.parametrize("form", ["process", "start"])
async def test_break_leaves_nothing_behind(form):
    """0.1.10: a producer and two threads stayed blocked, and an executor thread."""
    ended = []

    async def source():
        try:
            for i in itertools.count():
                yield i
        finally:
            ended.append("source")

    def generate(data):
        try:
            while True:
                yield data
        finally:
            ended.append("generator")

    pipeline = AsyncTaskPipeline(max_queue_size=1).add_stage("generate", generate).add_stage("same", same)

    async def feed() -> None:
        with pytest.raises(RuntimeError):
            await pipeline.process_input_stream(source())

    async def read_one(results) -> None:
        async for x in results:
            assert x == 0
            break
        await until(pipeline.input_queue.full)

    if form == "process":
        async with pipeline.process(source()) as results:
            await read_one(results)
    else:
        await pipeline.start()
        async with create_task_group() as tg:
            tg.start_soon(feed)
            await read_one(pipeline.generate_output_stream())
            await pipeline.stop()
    assert sorted(ended) == ["generator", "source"]


@pytest.mark.parametrize("road", ["break", "error", "stop"])
async def test_a_source_that_waits_is_closed_when_the_block_is_left(road):
    """A file that is followed, a socket: its next item may never come."""
    ended = []

    async def source():
        try:
            yield 0
            await anyio.sleep_forever()
        finally:
            ended.append("source")

    pipeline = AsyncTaskPipeline().add_stage("same", same)
    with pytest.raises(LeavingError) if road == "error" else contextlib.nullcontext():
        async with pipeline.process(source()) as results:
            assert await anext(results) == 0
            await anyio.wait_all_tasks_blocked()
            if road == "error":
                raise LeavingError
            if road == "stop":
                await pipeline.stop()
    assert ended == ["source"]


@pytest.mark.parametrize("how", ["scope", "native"])
def test_the_loop_ends_after_a_cancelled_put(anyio_backend, how):
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
            await gate.entered()
            await pipeline.process_input_data(1)
            if how == "native":
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(pipeline.process_input_data(2), 0.01)
            else:
                with anyio.move_on_after(0.01) as scope:
                    await pipeline.process_input_data(2)
                assert scope.cancelled_caught
            assert waiting(pipeline) == 0
            gate.open()
            released.extend(await read(pipeline, 2))
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
def test_one_ctrl_c_is_enough(anyio_backend, waiting):
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


RUNS = 10


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
def test_broken_runs_leave_no_thread_and_no_object(anyio_backend, form, end):
    """0.1.10: 100 stage threads and 25 objects alive after 25 runs."""
    backend, options = anyio_backend
    before, owners = set(threading.enumerate()), []
    for _ in range(RUNS):
        with contextlib.suppress(LookupError):
            anyio.run(run_until_it_breaks, form, end, owners, backend=backend, backend_options=options)
    # trio keeps idle threads for a while and uses them again; that must not add up.
    assert threads_left(before, wait=backend == "asyncio") < RUNS
    gc.collect()
    assert len(owners) == 2 * RUNS
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


async def ask(pipeline, how: str) -> None:
    """Interrupt in the way that has this name."""
    grace = 1e-9 if how.endswith("grace") else 0
    if how.startswith("thread"):
        await to_thread.run_sync(lambda: pipeline.interrupt_from_thread(grace=grace))
    else:
        await pipeline.interrupt(grace=grace)


def alive() -> int:
    """How many objects of the library there are."""
    gc.collect()
    return sum(str(type(each).__module__).startswith("async_task_pipeline") for each in gc.get_objects())


@pytest.mark.parametrize("how", ["loop", "thread, short grace"])
async def test_a_stuck_call_keeps_no_interrupt_but_the_one_that_cut_it_short(how):
    gate = Gate("stuck")
    pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("gate", gate)
    async with pipeline:
        await pipeline.process_input_data("stuck")
        await gate.entered()
        before = alive()
        for _ in range(20):
            await ask(pipeline, how)
        await to_thread.run_sync(int)  # what other threads have asked for before has been heard by now
        kept = alive() - before
        gate.open()
        assert kept < 20  # not one for each
        assert await rest_of(pipeline) == []
