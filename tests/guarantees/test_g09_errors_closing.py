"""G9, what a generator raises when it is closed, and results that are no results.

The rule: ``GeneratorExit``, alone or in a group with nothing else, is the quiet end that closing a
generator means. Whatever a plain function returns that somebody has still to await is an error.
"""

from __future__ import annotations

import asyncio
import types

import pytest
from anyio import create_task_group, sleep_forever

from async_task_pipeline import AsyncTaskPipeline, StageProtocolError
from tests.support.law import assert_law
from tests.support.waiting import drain, read

pytestmark = pytest.mark.anyio


async def holds_a_task_group(item):
    async with create_task_group() as tasks:
        tasks.start_soon(sleep_forever)
        for number in range(100):
            yield item, number
        tasks.cancel_scope.cancel()


async def test_a_generator_that_is_closed_with_a_task_group_open_is_no_failure(caplog):
    async with AsyncTaskPipeline(1).add_stage("holds", holds_a_task_group) as pipeline:
        await pipeline.process_input_data("old")
        assert await read(pipeline, 1) == [("old", 0)]
        await pipeline.interrupt()
        await pipeline.process_input_data("new")
        assert await read(pipeline, 100) == [("new", number) for number in range(100)]
        assert_law(pipeline)
    assert [each.message for each in caplog.records if each.levelname in ("WARNING", "ERROR")] == []


async def test_a_source_that_is_left_with_a_task_group_open_is_no_failure():
    async with AsyncTaskPipeline(1).add_stage("same", lambda x: x).process(holds_a_task_group("item")) as results:
        assert await anext(results) == ("item", 0)


class Awaitable:
    """As what ``session.get(...)`` returns: no coroutine, and to be awaited."""

    def __await__(self):
        yield


@types.coroutine
def old_style():
    yield


@pytest.mark.parametrize("make", [Awaitable, old_style, lambda: asyncio.Future(loop=asyncio.new_event_loop())])
async def test_an_awaitable_that_a_plain_function_returns_is_an_error(make):
    made = make()
    pipeline = AsyncTaskPipeline(return_exceptions=True).add_stage("returns", lambda x: made if x else x)
    first, error = await drain(pipeline, [0, 1])
    assert first == 0
    assert isinstance(error, StageProtocolError)
    if isinstance(made, asyncio.Future):
        made.get_loop().close()


@pytest.mark.parametrize("make", [Awaitable, old_style])
async def test_an_awaitable_that_an_async_batch_function_returns_is_an_error_of_each_item(make):
    async def returns(batch):
        return make()

    pipeline = AsyncTaskPipeline(return_exceptions=True)
    errors = await drain(pipeline.add_batch_stage("returns", returns, max_size=2, max_wait=3600), [0, 1])
    assert [type(each) for each in errors] == [StageProtocolError] * 2
    assert "await that in it" in str(errors[0])


class Shy:
    """A result that cannot be shown."""

    def __repr__(self):
        raise LookupError("not to be shown")


class Long:
    """One whose text would fill the memory."""

    def __repr__(self):
        return "x" * 50_000_000


@pytest.mark.parametrize("kind", [Shy, Long])
async def test_what_cannot_be_shown_harms_no_message(kind):
    pipeline = AsyncTaskPipeline(return_exceptions=True)
    pipeline.add_batch_stage("returns", lambda _: kind(), max_size=1, max_wait=0)
    (error,) = await drain(pipeline, [1])
    assert isinstance(error, StageProtocolError)
    assert len(str(error)) < 2000


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("make", [list, tuple])
async def test_a_batch_may_be_answered_by_any_sequence(make, workers):
    pipeline = AsyncTaskPipeline().add_batch_stage(
        "square", lambda numbers: make(n * n for n in numbers), max_size=3, max_wait=0, workers=workers
    )
    assert await drain(pipeline, range(10)) == [n * n for n in range(10)]


@pytest.mark.parametrize("results", [0, 1, 3, 4, 7])
@pytest.mark.parametrize("timing", [False, True])
async def test_a_reduce_keeps_the_law(results, timing):
    def reduce(items):
        return [(sum(items), number) for number in range(results)]

    pipeline = AsyncTaskPipeline(2, timing)
    pipeline.add_batch_stage("reduce", reduce, max_size=3, max_wait=60, per_item=False)
    got = await drain(pipeline, [1, 2, 3, 4, 5, 6])
    assert got == [(total, number) for total in (6, 15) for number in range(results)]
    assert_law(pipeline)
    now = pipeline.statistics()
    assert now.filtered == 2 * max(0, 3 - results)
    assert now.fanned_out == 2 * max(0, results - 3)
