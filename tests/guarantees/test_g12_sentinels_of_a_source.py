"""G12, sentinels that a source yields: ``sentinels=`` tells them, and they are put as such.

The rule: what the predicate is true for passes every stage, in its place, is no item to the
counters and survives an interrupt, whatever kind of source it comes from. So what passes one pipeline
(sentinels, returned exceptions) passes the next one too.
"""

from __future__ import annotations

import threading
from functools import partial

import pytest
from anyio import create_task_group
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline
from tests.support.gates import Gate
from tests.support.law import assert_law
from tests.support.waiting import rest_of, until

pytestmark = pytest.mark.anyio


def is_control(each):
    """Whether it is none of the texts that are the data of these tests."""
    return not isinstance(each, str)


async def one_in_the_other(first, second, source):
    mixed = {"sentinels": is_control}
    async with first.process(source, **mixed) as results, second.process(results, **mixed) as both:
        return [each async for each in both]


async def fed_in_tasks(first, second, source):
    async with first, second, create_task_group() as tg:
        feed = partial(AsyncTaskPipeline.process_input_stream, close_input=True, sentinels=is_control)
        tg.start_soon(feed, first, source)
        tg.start_soon(feed, second, first.generate_output_stream())
        return [each async for each in second.generate_output_stream()]


def in_a_thread(source):
    yield from source


async def on_the_loop(source):
    for each in source:
        await checkpoint()
        yield each


SOURCES = pytest.mark.parametrize("kind", [list, in_a_thread, on_the_loop], ids=lambda kind: kind.__name__)
ROWS = pytest.mark.parametrize("row", [one_in_the_other, fed_in_tasks], ids=lambda row: row.__name__)


@ROWS
@SOURCES
@pytest.mark.parametrize("size", [1, 100])
async def test_what_passes_the_first_passes_the_second(row, kind, size):
    called = []

    def fails(data):
        if data == "bad":
            raise LookupError(data)
        return data.upper()

    def second_stage(data):
        called.append(data)
        return data * 2

    first = AsyncTaskPipeline(size, return_exceptions=True).add_stage("fails", fails)
    second = AsyncTaskPipeline(size).add_stage("second", second_stage)
    marker = object()
    got = await row(first, second, kind(["a", marker, "bad", None, "b", 0]))
    assert isinstance(got.pop(2), LookupError)
    assert got == ["AA", marker, None, "BB", 0]
    assert called == ["A", "B"]
    for pipeline in (first, second):
        assert_law(pipeline)
    assert (first.statistics().accepted, first.statistics().failed) == (3, 1)
    assert (second.statistics().accepted, second.statistics().delivered) == (2, 2)


async def test_they_survive_an_interrupt_that_drops_the_items_around_them():
    gate, accepted = Gate("a"), threading.Event()

    def source():
        yield from ("a", 1, "b", 2, "c")
        accepted.set()

    async with AsyncTaskPipeline().add_stage("gate", gate) as pipeline:
        await pipeline.process_input_stream(source(), sentinels=is_control)
        await gate.entered()
        assert accepted.is_set()
        assert (await pipeline.interrupt()).total == 3
        gate.open()
        assert await rest_of(pipeline) == [1, 2]


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
async def test_a_full_input_drops_none(overflow):
    pipeline = AsyncTaskPipeline(1, overflow=overflow).add_stage("same", str)
    async with pipeline.process(["a", 1, "b", 2, "c", 3], sentinels=is_control) as results:
        assert [each async for each in results if is_control(each)] == [1, 2, 3]
    assert_law(pipeline)


@SOURCES
@pytest.mark.parametrize("in_thread", [True, False])
async def test_an_error_of_the_predicate_is_one_of_the_source(kind, in_thread):
    error = LookupError("b")

    def tells(each):
        if each == "b":
            raise error
        return False

    pipeline, got = AsyncTaskPipeline().add_stage("same", str), []
    source = kind(["a", "b", "c"])
    with pytest.raises(LookupError) as caught:
        async with pipeline.process(source, in_thread=in_thread, sentinels=tells) as results:
            got += [each async for each in results]
    assert caught.value is error
    assert got in ([], ["a"])
    if kind is in_a_thread:
        assert source.gi_frame is None  # closed
    assert_law(pipeline)


async def test_what_cannot_be_called_is_refused_before_anything_is_accepted():
    pipeline = AsyncTaskPipeline().add_stage("same", str)
    with pytest.raises(TypeError, match=r"sentinels must be callable or None, not 'x'"):
        pipeline.process(["a"], sentinels="x")
    async with pipeline:
        with pytest.raises(TypeError, match=r"sentinels must be callable or None, not \(None,\)"):
            await pipeline.process_input_stream(["a"], sentinels=(None,))
        assert await rest_of(pipeline) == []


async def test_a_subclass_puts_them_by_its_own_call():
    put = []

    class Mine(AsyncTaskPipeline):
        def put_input_sentinel(self, sentinel):
            put.append(sentinel)
            super().put_input_sentinel(sentinel)

    async with Mine().add_stage("same", str) as pipeline:
        await pipeline.process_input_stream(["a", 1, "b", None], sentinels=is_control)
        await until(lambda: pipeline.statistics().output_depth == 4)
        assert await rest_of(pipeline) == ["a", 1, "b", None]
    assert put == [1, None]
