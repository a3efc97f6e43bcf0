"""G15, sequences of calls: what 0.1.10 documents may be called in any order that it documents.

The rule: each test is a program in the style of 0.1.10, as it would stand in an application; each
docstring says what 0.1.10 did.
"""

from __future__ import annotations

import itertools

import pytest
from anyio import create_task_group

from async_task_pipeline import AsyncTaskPipeline
from tests.support.waiting import read, rest_of

pytestmark = pytest.mark.anyio


class End:
    """The end of an utterance."""


def quick_start():
    pipeline = AsyncTaskPipeline(enable_timing=True)
    pipeline.add_stage("double", lambda x: x * 2)
    pipeline.add_stage("filter", lambda x: x if x > 5 else None)
    return pipeline


async def numbers():
    for i in range(10):
        yield i


async def test_the_quick_start_ends_with_one_argument_more():
    """0.1.10: all results came, and then the output loop never ended."""
    pipeline = quick_start()
    await pipeline.start()
    await pipeline.process_input_stream(numbers(), close_input=True)
    results = []
    async for result in pipeline.generate_output_stream():
        results.append(result)
    await pipeline.stop()
    assert results == [6, 8, 10, 12, 14, 16, 18]


async def test_a_sentinel_right_after_a_stream_marks_its_end():
    """0.1.10: the same; it is what its example does."""
    pipeline = quick_start()
    await pipeline.start()
    results = []
    for end in (End(), End()):
        await pipeline.process_input_stream(numbers())
        await pipeline.process_input_sentinel(end)
        async for result in pipeline.generate_output_stream():
            if isinstance(result, End):
                assert result is end
                break
            results.append(result)
    await pipeline.stop()
    assert results == [6, 8, 10, 12, 14, 16, 18] * 2


async def test_streams_items_and_sentinels_follow_each_other():
    """0.1.10: the same."""
    pipeline = AsyncTaskPipeline().add_stage("same", lambda x: x)
    await pipeline.start()
    await pipeline.process_input_stream(["a", "b"])
    await pipeline.process_input_data("c", 0.0)
    await pipeline.process_input_sentinel(None)
    assert await read(pipeline, 4) == ["a", "b", "c", None]
    await pipeline.process_input_stream(iter("de"))  # read in a thread
    pipeline.put_input_data("f", 0.0)
    assert await read(pipeline, 3) == ["d", "e", "f"]
    await pipeline.process_input_stream([])
    await pipeline.process_input_data("g", 0.0)
    assert await rest_of(pipeline) == ["g"]
    await pipeline.stop()


@pytest.mark.parametrize("side", ["async", "thread"])
async def test_a_stream_that_fails_leaves_the_input_open(side):
    """0.1.10: the same: a producer whose connection breaks opens another."""
    pipeline = AsyncTaskPipeline().add_stage("same", lambda x: x)

    def blocking(connection):
        yield connection
        if connection < 2:
            raise ConnectionResetError(connection)

    async def connect(connection):
        for each in blocking(connection):
            yield each

    async def produce():
        for connection in itertools.count():
            try:
                await pipeline.process_input_stream(connect(connection) if side == "async" else blocking(connection))
            except ConnectionResetError:
                continue
            await pipeline.process_input_sentinel("end")
            return

    await pipeline.start()
    async with create_task_group() as tg:
        tg.start_soon(produce)
        assert await read(pipeline, 4) == [0, 1, 2, "end"]
    await pipeline.stop()
