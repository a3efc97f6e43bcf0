"""Faults E8, E9 and E12 of 0.1.10: sources that fail, puts that are cancelled.

The rule: the one who waits is told; a cancelled put was not accepted; a source is closed
whatever ends it, a ``break`` included. Cancelled by anyio's scopes on every
backend, and natively on asyncio, where cancellation respects neither shield nor scope.
"""

from __future__ import annotations

import asyncio
import itertools
import threading

import pytest
from anyio import CancelScope, create_task_group, fail_after, to_thread
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline

pytestmark = pytest.mark.anyio

PATIENCE = 60
ASYNCIO = pytest.mark.parametrize(
    "anyio_backend",
    [
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="asyncio+uvloop"),
    ],
)


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


async def until(condition) -> None:
    """Let other tasks run until the condition holds; the caller's timeout is the limit."""
    while not condition():
        await checkpoint()


class Source:
    """Three items and then an error, as a generator of either kind."""

    def __init__(self) -> None:
        self.error = LookupError("the source is broken")
        self.closed = False

    def sync(self):
        try:
            yield from range(3)
            raise self.error
        finally:
            self.closed = True

    async def asynchronous(self):
        try:
            for i in range(3):
                yield i
            raise self.error
        finally:
            self.closed = True


@pytest.mark.parametrize("kind", ["sync", "asynchronous"])
async def test_e08_an_error_of_the_source_reaches_the_feeder_and_the_consumer(kind):
    """0.1.10: ``gather`` raised; the consumer went on waiting, with a thread alive."""
    source, got, met = Source(), [], []
    pipeline = AsyncTaskPipeline().add_stage("same", lambda x: x)

    async def consume() -> None:
        try:
            async for x in pipeline.generate_output_stream():
                got.append(x)
        except LookupError as exc:
            met.append(exc)

    with fail_after(PATIENCE):
        await pipeline.start()
        async with create_task_group() as tg:
            tg.start_soon(consume)
            with pytest.raises(LookupError) as caught:
                await pipeline.process_input_stream(getattr(source, kind)())
        await pipeline.stop()
    assert got == [0, 1, 2]
    assert met == [source.error]
    assert caught.value is source.error
    assert source.closed


@pytest.mark.parametrize("kind", ["sync", "asynchronous"])
@pytest.mark.parametrize("read", [True, False])
async def test_e08_an_error_of_the_source_ends_a_job(kind, read):
    """0.1.10: had no such form; the error must not depend on whether one reads on."""
    source, got = Source(), []
    pipeline = AsyncTaskPipeline().add_stage("same", lambda x: x)
    with fail_after(PATIENCE):
        with pytest.raises(LookupError) as caught:
            async with pipeline.process(getattr(source, kind)()) as results:
                if read:
                    async for x in results:
                        got.append(x)
                else:
                    await until(lambda: source.closed and pipeline.statistics().accepted == 3)
    assert got == ([0, 1, 2] if read else [])
    assert caught.value is source.error
    assert source.closed


async def test_e09_a_cancelled_put_is_not_delivered():
    """0.1.10: item 5 was cancelled and came out all the same."""
    gate, returned = Gate(), []
    pipeline = AsyncTaskPipeline(max_queue_size=2).add_stage("gate", gate)
    scopes = [CancelScope() for _ in range(8)]

    async def put(i) -> None:
        with scopes[i]:
            await pipeline.process_input_data(i)
            returned.append(i)

    with fail_after(PATIENCE):
        async with pipeline:
            await put(0)
            await gate.wait_entered()
            await put(1)
            await put(2)
            async with create_task_group() as tg:
                for i in range(3, 8):
                    tg.start_soon(put, i)
                await until(lambda: len(pipeline._AsyncTaskPipeline__run.entrance._line) == 5)
                for i in (5, 3, 7):
                    scopes[i].cancel()
                gate.opened.set()
                output = pipeline.generate_output_stream()
                got = [await anext(output) for _ in range(5)]
            pipeline.close_input()
            assert [x async for x in output] == []
    assert sorted(got) == sorted(returned) == [0, 1, 2, 4, 6]
    assert pipeline.statistics().accepted == 5


@ASYNCIO
async def test_e09_a_natively_cancelled_put_either_raises_or_is_delivered():
    """0.1.10: it raised and was delivered. Cancelled here in each tick around the room."""
    pipeline = AsyncTaskPipeline(max_queue_size=1).add_stage("same", lambda x: x)
    accepted, got, cancelled = [], [], 0

    async def consume() -> None:
        async for x in pipeline.generate_output_stream():
            got.append(x)

    with fail_after(PATIENCE):
        async with pipeline, create_task_group() as tg:
            tg.start_soon(consume)
            for i in range(2000):
                task = asyncio.create_task(pipeline.process_input_data(i))
                for _ in range(i % 5):
                    await asyncio.sleep(0)
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError:
                    cancelled += 1
                else:
                    accepted.append(i)
            pipeline.close_input()
    assert got == accepted
    assert pipeline.statistics().accepted == len(accepted)
    assert cancelled > 0
    assert accepted


@pytest.mark.parametrize("form", ["process_input_stream", "process"])
async def test_e09_the_iterator_of_a_cancelled_stream_is_closed(form):
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
        pipeline = AsyncTaskPipeline(max_queue_size=1).add_stage("same", lambda x: x)
        with fail_after(PATIENCE):
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
async def test_e12_break_leaves_nothing_behind(form):
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

    pipeline = AsyncTaskPipeline(max_queue_size=1).add_stage("generate", generate).add_stage("same", lambda x: x)

    async def feed() -> None:
        with pytest.raises(RuntimeError):
            await pipeline.process_input_stream(source())

    with fail_after(PATIENCE):
        if form == "process":
            async with pipeline.process(source()) as results:
                async for x in results:
                    assert x == 0
                    break
                await until(pipeline.input_queue.full)
        else:
            await pipeline.start()
            async with create_task_group() as tg:
                tg.start_soon(feed)
                async for x in pipeline.generate_output_stream():
                    assert x == 0
                    break
                await until(pipeline.input_queue.full)
                await pipeline.stop()
    assert sorted(ended) == ["generator", "source"]


@pytest.mark.parametrize("wrong", [5, None, print])
async def test_e08_what_cannot_be_iterated_is_refused_at_once(wrong):
    """0.1.10: an AttributeError out of the middle of the feeding."""
    pipeline = AsyncTaskPipeline().add_stage("same", lambda x: x)
    with fail_after(PATIENCE):
        with pytest.raises(TypeError, match=r"source must be an iterable or an async iterable, not "):
            async with pipeline.process(wrong):
                pass
        assert not pipeline.running
        async with pipeline:
            with pytest.raises(TypeError, match="input_stream must be an iterable"):
                await pipeline.process_input_stream(wrong)
            await pipeline.process_input_stream("ab")
            assert [x async for x in pipeline.generate_output_stream()] == ["a", "b"]


async def test_e15_a_source_that_never_waits_lets_other_tasks_run():
    """0.1.10: did, for it used a thread for each item; here a put with room is no checkpoint."""
    ran_before_the_end = []

    async def source():
        for i in range(200):
            yield i
        ran_before_the_end.extend(ran)

    ran, pipeline = [], AsyncTaskPipeline(max_queue_size=1000).add_stage("same", lambda x: x)

    async def other() -> None:
        ran.append("other")

    with fail_after(PATIENCE):
        async with pipeline, create_task_group() as tg:
            tg.start_soon(other)
            await pipeline.process_input_stream(source())
    assert ran_before_the_end == ["other"]
