"""Faults E1, E6 and E7 of 0.1.10: what a stage may return, yield, be and see.

The rule: ``None`` as a result or a yielded value filters, anywhere else it is data like
any other. What a stage may raise is in ``test_failures.py``.
"""

from __future__ import annotations

import contextvars

import pytest
from anyio import fail_after
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline, StageProtocolError

pytestmark = pytest.mark.anyio

PATIENCE = 60


async def drain(pipeline, items) -> list:
    with fail_after(PATIENCE):
        async with pipeline.process(items) as results:
            return [x async for x in results]


async def test_e01_none_as_data_reaches_the_stage():
    """0.1.10: so it did here, but ``None + 1`` in the stage vanished without a word."""
    pipeline = AsyncTaskPipeline().add_stage("name", lambda x: "none" if x is None else x)
    assert await drain(pipeline, [None, 1, None]) == ["none", 1, "none"]
    with pytest.raises(TypeError):
        await drain(AsyncTaskPipeline().add_stage("add", lambda x: x + 1), [None])


async def test_e01_none_as_a_result_filters():
    """0.1.10: filtered too, but nothing counted it."""
    pipeline = AsyncTaskPipeline().add_stage("odd", lambda x: x if x % 2 else None)
    assert await drain(pipeline, range(6)) == [1, 3, 5]
    now = pipeline.statistics()
    assert (now.accepted, now.filtered, now.delivered, now.inside) == (6, 3, 3, 0)


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_e01_none_as_a_yielded_value_filters(kind):
    """0.1.10: 1, None, 3 came out, and the next stage's ``None + 1`` vanished."""

    def generate(data):
        yield from (1, None, 3)

    async def generate_async(data):
        for value in (1, None, 3):
            yield value

    pipeline = AsyncTaskPipeline()
    pipeline.add_stage("generate", generate if kind == "def" else generate_async).add_stage("add", lambda x: x + 1)
    assert await drain(pipeline, ["go"]) == [2, 4]
    now = pipeline.statistics()
    assert (now.accepted, now.fanned_out, now.filtered, now.delivered) == (1, 2, 1, 2)


async def test_e01_none_as_a_sentinel_is_delivered():
    """0.1.10: lost: the output took it for an empty queue."""
    pipeline = AsyncTaskPipeline().add_stage("same", lambda x: x)
    with fail_after(PATIENCE):
        async with pipeline:
            await pipeline.process_input_data(1)
            await pipeline.process_input_sentinel(None)
            await pipeline.process_input_data(2)
            pipeline.put_input_sentinel(None)
            pipeline.close_input()
            assert [x async for x in pipeline.generate_output_stream()] == [1, None, 2, None]


async def test_e01_what_is_falsy_or_odd_is_data():
    """0.1.10: passed these too; a test, so that no filter of ours is one of truth."""
    ellipsis_and_others = [0, 0.0, "", b"", [], {}, (), False, ..., NotImplemented, StopIteration, Exception]
    pipeline = AsyncTaskPipeline(max_queue_size=3).add_stage("same", lambda x: x)
    out = await drain(pipeline, ellipsis_and_others)
    assert len(out) == len(ellipsis_and_others)
    assert all(a is b for a, b in zip(out, ellipsis_and_others, strict=True))


async def test_e06_an_async_stage_is_awaited():
    """0.1.10: the coroutine object was delivered and never awaited."""

    async def double(data):
        await checkpoint()
        return data * 2

    class Doubler:
        async def __call__(self, data):
            return data * 2

    pipeline = AsyncTaskPipeline().add_stage("function", double).add_stage("object", Doubler())
    assert await drain(pipeline, range(3)) == [0, 4, 8]


async def test_e06_a_plain_function_that_returns_a_coroutine_is_an_error():
    """0.1.10: delivered it, with a warning from the garbage collector."""

    async def double(data):
        return data * 2

    def plain(data):
        return double(data)

    pipeline = AsyncTaskPipeline().add_stage("wrapped", plain)
    with pytest.raises(StageProtocolError, match="wrapped"):
        await drain(pipeline, [1])


async def test_e06_an_iterator_that_is_no_generator_is_data():
    """0.1.10: the same, but undocumented; here ``add_stage`` says "a generator"."""
    result = map(str, [1])
    assert await drain(AsyncTaskPipeline().add_stage("map", lambda _: result), [1]) == [result]
    assert "generator" in AsyncTaskPipeline.add_stage.__doc__


variable = contextvars.ContextVar("variable", default="default")


@pytest.mark.parametrize("kind", ["plain", "generator", "async", "async generator"])
@pytest.mark.parametrize("form", ["process", "start"])
async def test_e07_stages_see_the_context_of_the_start(kind, form):
    """0.1.10: every stage saw the default."""
    seen = []

    def plain(data):
        seen.append(variable.get())
        return data

    def generator(data):
        yield plain(data)

    async def coroutine(data):
        return plain(data)

    async def async_generator(data):
        yield plain(data)

    stage = {"plain": plain, "generator": generator, "async": coroutine, "async generator": async_generator}[kind]
    pipeline = AsyncTaskPipeline().add_stage("look", stage)
    variable.set("mine")
    if form == "process":
        assert await drain(pipeline, [1, 2]) == [1, 2]
    else:
        with fail_after(PATIENCE):
            await pipeline.start()
            await pipeline.process_input_data(1)
            await pipeline.interrupt()  # the next turn has the same context
            await pipeline.process_input_data(2)
            assert await anext(pipeline.generate_output_stream()) == 2
            await pipeline.stop()
    assert set(seen) == {"mine"}
