"""G9, errors of sources.

The rule: what a source raises reaches whoever feeds and whoever reads, whatever else ends its
reading, and is never taken for the end of the input.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time

import pytest
from anyio import CancelScope, create_task_group, get_cancelled_exc_class, sleep_forever
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline, PipelineStateError, PipelineStoppedError, StageProtocolError
from tests.support.backends import ASYNCIO
from tests.support.waiting import PATIENCE, read, until

pytestmark = pytest.mark.anyio


class MineError(Exception):
    """What the block raises."""


class Problems(Exception):  # noqa: N818  a collection of errors, and so false while it is empty
    """An exception that counts as false."""

    def __len__(self) -> int:
        return len(self.args)


class Source:
    """Three items and then an error, as a generator of either kind."""

    def __init__(self, error=LookupError) -> None:
        self.error = error()
        self.closed = False

    def in_a_thread(self):
        try:
            yield from range(3)
            raise self.error
        finally:
            self.closed = True

    async def on_the_loop(self):
        try:
            for i in range(3):
                yield i
            raise self.error
        finally:
            self.closed = True


KINDS = pytest.mark.parametrize("iterate", [Source.in_a_thread, Source.on_the_loop])


def unchanged(size=1000):
    """A pipeline that hands on what it gets."""
    return AsyncTaskPipeline(size).add_stage("same", lambda item: item)


@KINDS
async def test_an_error_of_the_source_that_the_block_handles_stays_in_the_block(iterate):
    source, got = Source(), []
    async with unchanged().process(iterate(source)) as results:
        try:
            async for result in results:
                got.append(result)
        except LookupError as exc:
            got.append(exc)
    assert got == [0, 1, 2, source.error]


@KINDS
async def test_an_error_of_the_block_does_not_hide_one_of_the_source_that_nobody_met(iterate):
    pipeline = unchanged()
    with pytest.raises(ExceptionGroup) as caught:
        async with pipeline.process(iterate(Source())):
            await until(lambda: pipeline.statistics().output_depth == 4)  # the items and the end with the error
            raise MineError
    assert sorted(type(each).__name__ for each in caught.value.exceptions) == ["LookupError", "MineError"]


@KINDS
async def test_an_error_of_the_source_reaches_the_feeder_and_the_consumer(iterate):
    """0.1.10: ``gather`` raised; the consumer went on waiting, with a thread alive."""
    source, got, pipeline = Source(), [], unchanged()

    async def consume() -> None:
        try:
            async for x in pipeline.generate_output_stream():
                got.append(x)
        except LookupError as exc:
            got.append(exc)

    await pipeline.start()
    async with create_task_group() as tg:
        tg.start_soon(consume)
        with pytest.raises(LookupError) as caught:
            await pipeline.process_input_stream(iterate(source), close_input=True)
    await pipeline.stop()
    assert got == [0, 1, 2, source.error]
    assert caught.value is source.error
    assert source.closed


@KINDS
@pytest.mark.parametrize(
    ("error", "left"),
    [
        *itertools.product([LookupError, Problems], ["read to the end", "as soon as fed", "with it in the output"]),
        *itertools.product([PipelineStateError, PipelineStoppedError], ["with it in the output"]),
    ],
)
async def test_an_error_of_the_source_ends_a_job(iterate, left, error):
    """It does not depend on whether one reads on; a state error is of another pipeline, which is the source."""
    source, got, pipeline = Source(error), [], unchanged()
    with pytest.raises(error) as caught:
        async with pipeline.process(iterate(source)) as results:
            if left == "read to the end":
                async for x in results:
                    got.append(x)
                got.append("the end")
            elif left == "as soon as fed":
                await until(lambda: source.closed and pipeline.statistics().accepted == 3)
            else:
                await until(lambda: pipeline.statistics().output_depth == 4)
    assert got == ([0, 1, 2] if left == "read to the end" else [])
    assert caught.value is source.error
    assert source.closed


@pytest.mark.parametrize("wrong", [5, None, print])
async def test_what_cannot_be_iterated_is_refused_at_once(wrong):
    """0.1.10: an AttributeError out of the middle of the feeding."""
    pipeline = unchanged()
    with pytest.raises(TypeError, match=r"source must be an iterable or an async iterable, not "):
        async with pipeline.process(wrong):
            pass
    assert not pipeline.running
    async with pipeline:
        with pytest.raises(TypeError, match="input_stream must be an iterable"):
            await pipeline.process_input_stream(wrong)
        await pipeline.process_input_stream(["a", "b"], close_input=True)
        assert [x async for x in pipeline.generate_output_stream()] == ["a", "b"]


async def in_a_task():
    yield 1
    task = asyncio.ensure_future(asyncio.sleep(60))
    task.cancel()
    await task


def in_a_thread():
    yield 1
    raise asyncio.CancelledError


@ASYNCIO
@pytest.mark.parametrize("source", [in_a_task, in_a_thread])
async def test_a_cancellation_that_nobody_asked_for_is_an_error_for_all(source):
    got = []
    with pytest.raises(StageProtocolError) as caught:
        async with unchanged().process(source()) as results:
            async for result in results:
                got.append(result)
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)
    async with unchanged() as running:
        with pytest.raises(StageProtocolError):
            await running.process_input_stream(source(), close_input=True)
        with pytest.raises(StageProtocolError):
            async for result in running.generate_output_stream():
                got.append(result)
    assert got == [1, 1]


def breaks_early(broken):
    yield from range(6)
    broken.set()
    raise OSError("disk gone")


def breaks_at_its_close(broken):
    try:
        for number in itertools.count():
            if number == 6:
                broken.set()
            yield number
    finally:
        raise OSError("disk gone")


@pytest.mark.parametrize("source", [breaks_early, breaks_at_its_close])
@pytest.mark.parametrize("form", ["process", "process_input_stream"])
async def test_an_error_of_a_source_in_a_thread_is_not_lost_when_its_reader_is_cancelled(form, source):
    """Of its items 6 find room, and nobody reads."""
    broken, pipeline = threading.Event(), unchanged(2)

    async def feed(scope):
        with scope:
            if form == "process":
                async with pipeline.process(source(broken)):
                    await until(broken.is_set)
                    scope.cancel()
                    await checkpoint()
            else:
                async with pipeline, create_task_group() as tg:
                    tg.start_soon(cancel, scope)
                    await pipeline.process_input_stream(source(broken))

    async def cancel(scope):
        await until(broken.is_set)
        scope.cancel()

    with pytest.raises((OSError, ExceptionGroup)) as caught:
        await feed(CancelScope())
    error = caught.value
    while isinstance(error, ExceptionGroup):
        (error,) = error.exceptions
    assert error.args == ("disk gone",)


class ToTheEnd:
    """A blocking source that says when its reader has been told that it is over."""

    def __init__(self) -> None:
        self.numbers = iter(range(3))
        self.may_end, self.over = threading.Event(), threading.Event()

    def __iter__(self):
        return self

    def __next__(self):
        for number in self.numbers:
            return number
        assert self.may_end.wait(PATIENCE / 2)
        self.over.set()
        raise StopIteration


async def test_a_source_that_was_wholly_fed_does_not_mind_what_is_closed_afterwards():
    source, pipeline = ToTheEnd(), unchanged()

    async with pipeline, create_task_group() as tg:
        tg.start_soon(pipeline.process_input_stream, source)
        assert await read(pipeline, 3) == [0, 1, 2]
        source.may_end.set()
        assert source.over.wait(PATIENCE / 2)  # blocks the loop: only the thread knows that it is over
        pipeline.close_input()
    assert pipeline.statistics().accepted == 3


@pytest.mark.parametrize("kind", ["in a thread", "in a task"])
async def test_a_source_that_raises_what_a_put_raises_does_not_lose_it_as_the_block_is_left(kind):
    own, pipeline, asked = PipelineStoppedError("of another pipeline"), unchanged(), threading.Event()

    def in_a_thread():
        yield "first"
        asked.set()
        while pipeline.running:
            time.sleep(0)
        raise own

    async def in_a_task():
        yield "first"
        asked.set()
        try:
            await sleep_forever()
        except get_cancelled_exc_class():
            raise own from None

    with pytest.raises(PipelineStoppedError) as caught:
        async with pipeline.process(in_a_thread() if kind == "in a thread" else in_a_task()) as results:
            assert await anext(results) == "first"
            await until(asked.is_set)
    assert caught.value is own
