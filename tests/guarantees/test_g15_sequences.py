"""G15, sequences of calls: what 0.1.10 documents may be called in any order that it documents.

The rule: each test is a program in the style of 0.1.10, as it would stand in an application; each
docstring says what 0.1.10 did.
"""

from __future__ import annotations

import itertools

import pytest
from anyio import Event, create_task_group, move_on_after, wait_all_tasks_blocked

from async_task_pipeline import AsyncTaskPipeline
from tests.support.gates import AsyncGate
from tests.support.law import assert_law
from tests.support.waiting import read, rest_of, until

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


async def stopped_with_results(*more):
    """A pipeline of two stages, stopped with two results and a sentinel in the output, and with one in a call."""
    gate = AsyncGate("held", "too")
    pipeline = AsyncTaskPipeline(5).add_stage("same", also_same).add_stage("gate", gate)
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


async def also_same(x):
    return x


async def rest(pipeline):
    return [x async for x in pipeline.generate_output_stream()]


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
    """0.1.10: the same."""
    pipeline, got = AsyncTaskPipeline().add_stage("same", lambda x: x), []

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
    elif way == "clear_output_queue":
        pipeline.clear_output_queue()
        assert pipeline.statistics().dropped == 2
    elif way == "start":
        await pipeline.start()
        assert pipeline.statistics().dropped == 2
        await pipeline.process_input_stream(["new"], close_input=True)
        assert await rest(pipeline) == ["new"]
    else:
        async with pipeline:
            assert pipeline.statistics().dropped == 2
    assert [x async for x in stream] == []
    assert_law(pipeline)
    await pipeline.stop()


@pytest.mark.parametrize("form", ["block", "job"])
async def test_leaving_a_block_drops_everything_also_after_a_stop_in_it(form):
    """New: 0.1.10 had no block."""
    pipeline = AsyncTaskPipeline().add_stage("same", lambda x: x)
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

    pipeline = AsyncTaskPipeline().add_stage("same", lambda x: x)
    await pipeline.start()
    with pytest.raises(LookupError):
        await pipeline.process_input_stream(source(), close_input=True)
    await until(lambda: pipeline.output_queue.qsize() == 2)
    await pipeline.stop()
    assert await read(pipeline, 1) == [1]
    with pytest.raises(LookupError):
        await rest(pipeline)


@pytest.mark.parametrize("when", ["called", "read"])
async def test_an_output_may_be_asked_for_before_the_start(when):
    """0.1.10: called before, it gave the results; read before, it ended at once."""
    pipeline = AsyncTaskPipeline().add_stage("same", also_same)
    stream, got, reading = pipeline.generate_output_stream(), [], Event()

    async def consume():
        reading.set()
        async for result in stream:
            got.append(result)

    async with create_task_group() as tg:
        if when == "read":
            tg.start_soon(consume)
            await reading.wait()
            await wait_all_tasks_blocked()
        await pipeline.start()
        if when == "called":
            tg.start_soon(consume)
        await pipeline.process_input_stream([1, 2], close_input=True)
    assert got == [1, 2]
    await pipeline.stop()


async def test_a_read_before_the_start_may_be_cancelled():
    """0.1.10: there was none."""
    pipeline = AsyncTaskPipeline().add_stage("same", also_same)
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

    pipeline = AsyncTaskPipeline().add_stage("same", lambda state, x: x, setup=setup)
    met = []

    async def consume():
        try:
            await anext(pipeline.generate_output_stream())
        except LookupError as exc:
            met.append(exc)

    async with create_task_group() as tg:
        tg.start_soon(consume)
        await wait_all_tasks_blocked()
        with pytest.raises(LookupError):
            await pipeline.start()
    assert len(met) == 1


async def test_a_consumer_that_goes_on_over_a_restart_ends():
    """0.1.10: it went on, and got what was left of the first run."""
    pipeline, got = AsyncTaskPipeline().add_stage("same", also_same), []

    async def consume():
        async for result in pipeline.generate_output_stream():
            got.append(result)

    await pipeline.start()
    async with create_task_group() as tg:
        tg.start_soon(consume)
        await pipeline.process_input_data("first", 0.0)
        await until(lambda: got == ["first"])
        unread = pipeline.generate_output_stream()
        await pipeline.stop()
        await pipeline.start()
        await pipeline.process_input_data("second", 0.0)
    assert got == ["first"]
    assert await anext(unread) == "second"  # first read in the second run
    await pipeline.stop()
