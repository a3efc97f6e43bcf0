"""G15, sequences of calls: what 0.1.10 documents may be called in any order that it documents.

The rule: each test is a program in the style of 0.1.10, as it would stand in an application; a docstring
says what 0.1.10 did if that was something else.
"""

from __future__ import annotations

import contextlib

import pytest
from anyio import create_task_group, move_on_after, wait_all_tasks_blocked

from async_task_pipeline import AsyncTaskPipeline
from tests.support.functions import same, same_on_loop
from tests.support.gates import AsyncGate
from tests.support.law import assert_law
from tests.support.waiting import read, rest_of, until

pytestmark = pytest.mark.anyio


class End:
    """The end of an utterance."""


async def on_loop(items):
    for each in items:
        yield each


async def all_of(stream):
    return [each async for each in stream]


async def rest(pipeline):
    return await all_of(pipeline.generate_output_stream())


def quick_start():
    pipeline = AsyncTaskPipeline(enable_timing=True)
    pipeline.add_stage("double", lambda x: x * 2)
    pipeline.add_stage("filter", lambda x: x if x > 5 else None)
    return pipeline


async def test_the_quick_start_ends_with_one_argument_more():
    """0.1.10: all results came, and then the output loop never ended."""
    pipeline = quick_start()
    await pipeline.start()
    await pipeline.process_input_stream(on_loop(range(10)), close_input=True)
    assert await rest(pipeline) == [6, 8, 10, 12, 14, 16, 18]
    await pipeline.stop()


async def test_a_sentinel_right_after_a_stream_marks_its_end():
    """0.1.10: the same; it is what its example does."""
    pipeline = quick_start()
    await pipeline.start()
    results = []
    for end in (End(), End()):
        await pipeline.process_input_stream(on_loop(range(10)))
        await pipeline.process_input_sentinel(end)
        async for result in pipeline.generate_output_stream():
            if isinstance(result, End):
                assert result is end
                break
            results.append(result)
    await pipeline.stop()
    assert results == [6, 8, 10, 12, 14, 16, 18] * 2


async def test_streams_items_and_sentinels_follow_each_other():
    pipeline = AsyncTaskPipeline().add_stage("same", same)
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


@pytest.mark.parametrize("side", [iter, on_loop])
async def test_a_stream_that_fails_leaves_the_input_open(side):
    """0.1.10: the same: a producer whose connection breaks opens another."""
    pipeline = AsyncTaskPipeline().add_stage("same", same)

    def connect(connection):
        yield connection
        if connection < 2:
            raise ConnectionResetError(connection)

    async def produce():
        for connection in range(3):
            with contextlib.suppress(ConnectionResetError):
                await pipeline.process_input_stream(side(connect(connection)))
        await pipeline.process_input_sentinel("end")

    await pipeline.start()
    async with create_task_group() as tg:
        tg.start_soon(produce)
        assert await read(pipeline, 4) == [0, 1, 2, "end"]
    await pipeline.stop()


async def stopped_with_results(*more):
    """A pipeline of two stages, stopped with two results and a sentinel in the output, and with one in a call."""
    gate = AsyncGate("held", "too")
    pipeline = AsyncTaskPipeline(5).add_stage("same", same_on_loop).add_stage("gate", gate)
    await pipeline.start()
    for data in ("first", "second"):
        await pipeline.process_input_data(data, 0.0)
    await pipeline.process_input_sentinel("end")
    await until(lambda: pipeline.output_queue.qsize() == 3)
    for data in more:
        await pipeline.process_input_data(data, 0.0)
        await gate.entered()
    await pipeline.stop()
    return pipeline


async def test_what_has_reached_the_output_stays_readable_after_stop():
    """0.1.10: the same: "until the pipeline is stopped and all queues are empty"."""
    pipeline = await stopped_with_results()
    now = pipeline.statistics()
    assert (pipeline.running, now.inside, now.output_depth) == (False, 2, 3)
    assert await read(pipeline, 1) == ["first"]
    await pipeline.interrupt()  # of what does not run any more
    await pipeline.stop()
    assert await rest(pipeline) == ["second", "end"]
    assert await rest(pipeline) == []
    assert pipeline.statistics().delivered == 2
    assert_law(pipeline)


async def test_a_consumer_that_waits_reads_on_after_stop():
    pipeline, got = AsyncTaskPipeline().add_stage("same", same), []

    async def consume():
        async for result in pipeline.generate_output_stream():
            got.append(result)
            if len(got) == 1:
                await until(lambda: pipeline.output_queue.qsize() == 2)
                await pipeline.stop()

    await pipeline.start()
    async with create_task_group() as tg:
        tg.start_soon(consume)
        await pipeline.process_input_stream([1, 2, 3])
    assert got == [1, 2, 3]


async def test_a_stop_drops_what_is_in_stages_and_says_so(caplog):
    """0.1.10: dropped it without a word."""
    caplog.set_level("WARNING", "async_task_pipeline")
    pipeline = await stopped_with_results()
    assert caplog.messages == []
    assert await rest(pipeline) == ["first", "second", "end"]
    pipeline = await stopped_with_results("held")
    (message,) = caplog.messages
    assert message.startswith("stopping the pipeline dropped 1 items")
    assert pipeline.statistics().dropped == 1
    assert await rest(pipeline) == ["first", "second", "end"]
    assert_law(pipeline)


@pytest.mark.parametrize("way", ["clear", "clear_output_queue", "start", "block"])
async def test_what_was_kept_is_dropped_by_clear_and_the_next_start(way):
    """0.1.10: a clear dropped it too; the next start delivered it among the new results."""
    pipeline = await stopped_with_results()
    stream = pipeline.generate_output_stream()
    if way == "clear":
        assert pipeline.clear().total == 2
    elif way == "block":
        async with pipeline:
            assert pipeline.statistics().dropped == 2
    else:
        pipeline.clear_output_queue() if way == "clear_output_queue" else await pipeline.start()
        assert pipeline.statistics().dropped == 2
    if way == "start":
        await pipeline.process_input_stream(["new"], close_input=True)
        assert await rest(pipeline) == ["new"]
    assert await all_of(stream) == []
    assert_law(pipeline)
    await pipeline.stop()


@pytest.mark.parametrize("form", ["block", "job"])
async def test_leaving_a_block_drops_everything_also_after_a_stop_in_it(form):
    """New: 0.1.10 had no block."""
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    async with pipeline if form == "block" else pipeline.process([]):
        if form == "block":
            await pipeline.process_input_stream([1, 2])
            await until(lambda: pipeline.output_queue.qsize() == 2)
        await pipeline.stop()
    assert await rest(pipeline) == []
    assert pipeline.statistics().inside == 0
    assert_law(pipeline)


async def test_a_failure_leaves_nothing_to_read():
    """0.1.10: no failure ended anything."""
    pipeline = AsyncTaskPipeline().add_stage("divide", lambda x: 1 / x)
    await pipeline.start()
    await pipeline.process_input_stream([1, 0])
    await until(lambda: not pipeline.running)
    with pytest.raises(ZeroDivisionError):
        await pipeline.stop()
    with pytest.raises(ZeroDivisionError):
        await rest(pipeline)


async def test_what_was_kept_ends_with_the_error_of_a_source_that_was_the_whole_input():
    """0.1.10: it ended quietly."""

    def source():
        yield 1
        raise LookupError

    pipeline = AsyncTaskPipeline().add_stage("same", same)
    await pipeline.start()
    with pytest.raises(LookupError):
        await pipeline.process_input_stream(source(), close_input=True)
    await until(lambda: pipeline.output_queue.qsize() == 2)
    await pipeline.stop()
    assert await read(pipeline, 1) == [1]
    with pytest.raises(LookupError):
        await rest(pipeline)


async def extend(got, stream):
    async for result in stream:
        got.append(result)


@pytest.mark.parametrize("when", ["called", "read"])
async def test_an_output_may_be_asked_for_before_the_start(when):
    """0.1.10: called before, it gave the results; read before, it ended at once."""
    pipeline, got = AsyncTaskPipeline().add_stage("same", same_on_loop), []
    stream = pipeline.generate_output_stream()
    async with create_task_group() as tg:
        if when == "read":
            tg.start_soon(extend, got, stream)
            await wait_all_tasks_blocked()
        await pipeline.start()
        if when == "called":
            tg.start_soon(extend, got, stream)
        await pipeline.process_input_stream([1, 2], close_input=True)
    assert got == [1, 2]
    await pipeline.stop()


async def test_a_read_before_the_start_may_be_cancelled():
    """0.1.10: there was none."""
    pipeline = AsyncTaskPipeline().add_stage("same", same_on_loop)
    stream = pipeline.generate_output_stream()
    with move_on_after(0):
        await anext(stream)
    await pipeline.start()
    await pipeline.process_input_data(1, 0.0)
    assert await anext(stream) == 1
    await pipeline.stop()


async def test_a_read_before_a_start_that_fails_meets_the_failure():
    """0.1.10: a start could not fail."""

    def setup():
        raise LookupError

    pipeline, met = AsyncTaskPipeline().add_stage("same", lambda state, x: x, setup=setup), []

    async def consume():
        with pytest.raises(LookupError) as caught:
            await anext(pipeline.generate_output_stream())
        met.append(caught.value)

    async with create_task_group() as tg:
        tg.start_soon(consume)
        await wait_all_tasks_blocked()
        with pytest.raises(LookupError):
            await pipeline.start()
    assert len(met) == 1


async def test_a_consumer_that_goes_on_over_a_restart_ends():
    """0.1.10: it went on, and got what was left of the first run."""
    pipeline, got = AsyncTaskPipeline().add_stage("same", same_on_loop), []
    await pipeline.start()
    async with create_task_group() as tg:
        tg.start_soon(extend, got, pipeline.generate_output_stream())
        await pipeline.process_input_data("first", 0.0)
        await until(lambda: got == ["first"])
        unread = pipeline.generate_output_stream()
        await pipeline.stop()
        await pipeline.start()
        await pipeline.process_input_data("second", 0.0)
    assert got == ["first"]
    assert await anext(unread) == "second"  # first read in the second run
    await pipeline.stop()
