"""G8: ``start()`` and ``stop()`` work from any task on any backend, under timeouts, in any order,
twice, never; a stopped pipeline starts again empty.

The rule: a call that does not fit the state is an error at once and changes nothing. Whatever is
full, blocked or endless, the way out is open: ``stop`` waits for nothing but a stage function that
has not returned.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import threading
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import anyio
import pytest
from anyio import create_task_group, fail_after
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline, PipelineStateError, PipelineStoppedError
from tests.support.backends import ASYNCIO, ASYNCIO_LOOPS, TRIO
from tests.support.functions import same_on_loop
from tests.support.gates import Gate
from tests.support.waiting import PATIENCE, drain, rest_of, results_of, until

pytestmark = pytest.mark.anyio

Pipeline = AsyncTaskPipeline[Any, Any]


async def test_start_and_stop_in_any_order_from_any_task() -> None:
    pipeline = Pipeline().add_stage("same", lambda value: value)
    await pipeline.stop()  # never started
    async with anyio.create_task_group() as tg:
        tg.start_soon(pipeline.start)
    assert pipeline.running
    with pytest.raises(PipelineStateError):
        await pipeline.start()
    await pipeline.process_input_data(1)
    with anyio.fail_after(PATIENCE / 2):  # a scope that opened after the start
        async with anyio.create_task_group() as tg:
            tg.start_soon(pipeline.stop)
            tg.start_soon(pipeline.stop)
    assert not pipeline.running
    await pipeline.stop()


class BrokenError(Exception):
    """What a stage of these tests raises."""


@pytest.mark.parametrize("close_input", [False, True])
@pytest.mark.parametrize("road", ["stop", "failure", "left"])
async def test_a_stream_that_waits_for_its_own_next_item_ends_with_the_run(road: str, close_input: bool) -> None:
    """A socket, a queue: it puts nothing more that could be refused."""
    told: list[BaseException | str] = []

    def fail_on(value: str) -> str:
        if value == "fails":
            raise BrokenError
        return value

    async def stream() -> AsyncIterator[str]:
        try:
            yield "first"
            await anyio.sleep_forever()
        finally:
            told.append("closed")

    async def feed() -> None:
        with pytest.raises(PipelineStoppedError) as caught:
            await pipeline.process_input_stream(stream(), close_input=close_input)
        told.append(caught.value)

    pipeline = Pipeline().add_stage("fail_on", fail_on)
    async with create_task_group() as tg:
        await (pipeline.__aenter__() if road == "left" else pipeline.start())
        tg.start_soon(feed)
        assert await anext(pipeline.output()) == "first"
        await anyio.wait_all_tasks_blocked()
        if road == "failure":
            await pipeline.put("fails")
            with pytest.raises(BrokenError):
                await anext(pipeline.output())
        else:
            await (pipeline.__aexit__(None, None, None) if road == "left" else pipeline.stop())
        await until(lambda: len(told) == 2)
    with contextlib.suppress(BrokenError):
        await pipeline.stop()
    closed, error = told
    assert closed == "closed"
    assert isinstance(error, PipelineStoppedError)
    assert isinstance(error.__cause__, BrokenError if road == "failure" else type(None))


async def test_a_stop_under_a_timeout_that_has_passed_still_stops() -> None:
    pipeline = Pipeline().add_stage("same", lambda value: value)
    await pipeline.start()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await pipeline.stop()
    while pipeline.running:
        await checkpoint()
    await pipeline.stop()


async def assert_no_start(pipeline, match: str) -> None:
    """Every way to start it is refused."""
    with pytest.raises(RuntimeError, match=match):
        await pipeline.start()
    with pytest.raises(RuntimeError, match=match):
        await pipeline.run()
    with pytest.raises(RuntimeError, match=match):
        async with pipeline:
            pass
    with pytest.raises(RuntimeError, match=match):
        async with pipeline.process([1]):
            pass


async def test_start_without_stages_is_an_error():
    """0.1.10: no error; ``running`` was true and the first put raised."""
    pipeline = AsyncTaskPipeline()
    await assert_no_start(pipeline, "stage")
    assert not pipeline.running
    await pipeline.stop()


async def test_start_twice_is_an_error_and_the_first_run_goes_on_in_order():
    """0.1.10: no error, two threads per stage, 19 inversions in 40 items."""
    pipeline = AsyncTaskPipeline(max_queue_size=4).add_stage("same", lambda x: x)
    await pipeline.start()
    await assert_no_start(pipeline, "running")
    assert pipeline.running
    assert await results_of(pipeline, range(40)) == list(range(40))
    await pipeline.stop()


@pytest.mark.parametrize("before", ["stop", "start stop stop", "stop start stop", "start stop stop stop"])
async def test_stop_at_any_time_leaves_no_residue(before):
    """0.1.10: a stop without a start left an end signal behind: the next start was dead."""
    pipeline = AsyncTaskPipeline().add_stage("a", lambda x: x).add_stage("b", lambda x: x)
    for call in before.split():
        await getattr(pipeline, call)()
    assert not pipeline.running
    for _ in range(2):
        await pipeline.start()
        assert pipeline.running
        assert await results_of(pipeline, range(3)) == [0, 1, 2]
        await pipeline.stop()


async def test_a_restart_after_a_busy_stop_begins_empty():
    """0.1.10: delivered old items 0 to 4, none of the 8 new ones; the thread was dead."""
    gate = Gate()
    pipeline = AsyncTaskPipeline(max_queue_size=10)
    pipeline.add_stage("gate", gate).add_stage("same", lambda x: x)
    await pipeline.start()
    for i in range(10):
        await pipeline.process_input_data(("old", i))
    await pipeline.process_input_sentinel("old sentinel")
    await gate.entered()
    async with create_task_group() as tg:
        tg.start_soon(pipeline.stop)
        await until(lambda: not pipeline.running)
        gate.open()

    await pipeline.start()
    assert pipeline.statistics().inside == 0
    assert [link.qsize() for link in (pipeline.input_queue, *pipeline.queues)] == [0, 0, 0]
    new = [("new", i) for i in range(8)]
    assert await results_of(pipeline, new) == new
    await pipeline.stop()


async def test_stop_drops_and_says_how_much(caplog):
    """0.1.10: 50 accepted, none delivered, nothing logged and nothing counted."""
    gate = Gate()
    pipeline = AsyncTaskPipeline().add_stage("gate", gate)
    with caplog.at_level(logging.INFO, "async_task_pipeline"):
        await pipeline.start()
        for i in range(50):
            await pipeline.process_input_data(i)
        await gate.entered()
        async with create_task_group() as tg:
            tg.start_soon(pipeline.stop)
            await until(lambda: not pipeline.running)
            gate.open()
        assert [x async for x in pipeline.generate_output_stream()] == []
    now = pipeline.statistics()
    assert (now.accepted, now.delivered, now.dropped, now.inside) == (50, 0, 50, 0)
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    assert any("50" in message for message in said), said


async def test_close_input_delivers_everything_accepted():
    """0.1.10: had nothing of the kind; its "graceful" stop dropped all 50."""
    pipeline = AsyncTaskPipeline().add_stage("a", lambda x: x).add_stage("b", lambda x: x)
    await pipeline.start()
    for i in range(50):
        await pipeline.process_input_data(i)
    assert await rest_of(pipeline) == list(range(50))
    await pipeline.stop()
    now = pipeline.statistics()
    assert (now.accepted, now.delivered, now.dropped) == (50, 50, 0)


async def test_add_stage_while_running_is_an_error():
    """0.1.10: accepted; the stage was never started and every item got stuck in it."""
    pipeline = AsyncTaskPipeline().add_stage("a", lambda x: x)
    await pipeline.start()
    with pytest.raises(RuntimeError, match="late"):
        pipeline.add_stage("late", lambda x: x)
    assert [stage.name for stage in pipeline.stages] == ["a"]
    assert await results_of(pipeline, range(3)) == [0, 1, 2]
    await pipeline.stop()
    pipeline.add_stage("now", lambda x: -x)
    await pipeline.start()
    assert await results_of(pipeline, range(3)) == [0, -1, -2]
    await pipeline.stop()


async def test_calls_on_a_pipeline_that_does_not_run_are_errors():
    """0.1.10: raised for puts; the output just ended, whatever had happened."""
    pipeline = AsyncTaskPipeline().add_stage("a", lambda x: x)
    for put in (pipeline.process_input_data, pipeline.process_input_sentinel):
        with pytest.raises(PipelineStateError):
            await put(1)
    with pytest.raises(PipelineStateError):
        await pipeline.process_input_stream([1])
    for put in (pipeline.put_input_data, pipeline.put_input_sentinel):
        with pytest.raises(PipelineStateError):
            put(1)


async def test_a_timeout_around_stop_is_honoured():
    """0.1.10: ``stop`` contained no await, so a timeout of 0.3 s never fired."""
    gate = Gate()
    pipeline = AsyncTaskPipeline().add_stage("gate", gate)
    await pipeline.start()
    await pipeline.process_input_data(1)
    await gate.entered()
    for _ in range(2):
        with pytest.raises(TimeoutError), fail_after(0.01):
            await pipeline.stop()
    gate.open()
    await pipeline.stop()
    await pipeline.start()
    await pipeline.stop()


async def test_stop_returns_with_a_full_output_queue():
    """0.1.10: the stage thread sat in ``put`` and ``stop`` in ``join``, for ever."""
    pipeline = AsyncTaskPipeline(max_queue_size=2).add_stage("a", lambda x: x).add_stage("b", lambda x: x)
    await pipeline.start()
    async with create_task_group() as tg:
        tg.start_soon(pipeline.process_input_stream, itertools.count())
        await until(lambda: all(link.full() for link in (pipeline.input_queue, *pipeline.queues)))
        tg.cancel_scope.cancel()
    await pipeline.stop()
    assert not pipeline.running
    assert pipeline.statistics().inside == pipeline.output_queue.qsize() == 2


@pytest.mark.parametrize("consumer", [True, False])
async def test_stop_returns_with_a_full_input_queue_and_wakes_the_producer(consumer):
    """0.1.10: ``stop`` put its end signal into the full queue, and waited for ever."""
    gate, ends = Gate(), []
    pipeline = AsyncTaskPipeline(max_queue_size=1).add_stage("gate", gate)

    async def produce() -> None:
        with pytest.raises(PipelineStoppedError):
            for i in itertools.count():
                await pipeline.process_input_data(i)
        ends.append("producer")

    async def consume() -> None:
        async for _ in pipeline.generate_output_stream():
            pass
        ends.append("consumer")

    await pipeline.start()
    async with create_task_group() as tg:
        tg.start_soon(produce)
        if consumer:
            tg.start_soon(consume)
        await gate.entered()
        await until(pipeline.input_queue.full)
        tg.start_soon(pipeline.stop)
        # Producer and consumer need not wait for the call that is still running.
        await until(lambda: len(ends) == 1 + consumer)
        gate.open()
    assert sorted(ends) == ["consumer", "producer"][1 - consumer :]


@pytest.mark.parametrize("drained", [True, False])
async def test_stop_ends_an_endless_generator_in_its_own_thread(drained):
    """0.1.10: never looked at between yields; ``stop`` hung in ``join``."""
    threads = []

    def endless(data):
        threads.append(threading.get_ident())
        try:
            while True:
                yield data
        finally:
            threads.append(threading.get_ident())

    pipeline = AsyncTaskPipeline(max_queue_size=2).add_stage("endless", endless)
    await pipeline.start()
    await pipeline.process_input_data(7)
    output = pipeline.generate_output_stream()
    for _ in range(50 if drained else 1):
        assert await anext(output) == 7
    await pipeline.stop()
    assert len(threads) == 2
    assert threads[0] == threads[1] != threading.get_ident()


async def test_stop_ends_an_endless_async_generator():
    """0.1.10: had no async stages; the generator object itself came out."""
    closed = []

    async def endless(data):
        try:
            while True:
                await checkpoint()
                yield data
        finally:
            closed.append(data)

    pipeline = AsyncTaskPipeline(max_queue_size=2).add_stage("endless", endless)
    await pipeline.start()
    await pipeline.process_input_data(7)
    assert await anext(pipeline.generate_output_stream()) == 7
    await pipeline.stop()
    assert closed == [7]


async def started_and_stopped(pipeline):
    await pipeline.start()
    await pipeline.process_input_data(1)
    await pipeline.stop()


async def in_a_block(pipeline):
    assert await drain(pipeline, [1]) == [1]


async def finished_by_itself(pipeline):
    await pipeline.start()
    await pipeline.process_input_stream([1], close_input=True)
    assert [each async for each in pipeline.generate_output_stream()] == [1]
    await until(lambda: not pipeline.running)


@pytest.mark.parametrize("life", [started_and_stopped, in_a_block, finished_by_itself])
@pytest.mark.parametrize("before", [*ASYNCIO_LOOPS, TRIO])
def test_a_pipeline_that_has_ended_can_be_stopped_on_another_loop(anyio_backend, before, life):
    pipeline = AsyncTaskPipeline().add_stage("same", same_on_loop)

    async def stop():
        with fail_after(PATIENCE):
            await pipeline.stop()
            await in_a_block(pipeline)

    for (name, options), main in ((before, partial(life, pipeline)), (anyio_backend, stop)):
        anyio.run(main, backend=name, backend_options=options)


@ASYNCIO
async def test_a_start_whose_task_is_cancelled_before_its_first_step_leaves_the_pipeline_as_it_was():
    """As the end of the loop does with all tasks there are."""
    pipeline, tasks = AsyncTaskPipeline().add_stage("same", same_on_loop), []
    starting = asyncio.create_task(pipeline.start())
    while not tasks:  # is there in the step in which it has been made
        await asyncio.sleep(0)
        tasks = [task for task in asyncio.all_tasks() if task.get_name() == "async_task_pipeline"]
    for task in (starting, *tasks):
        task.cancel()
    await asyncio.wait([starting, *tasks])
    await pipeline.stop()
    assert not pipeline.running
    await in_a_block(pipeline)
