"""G11: From the moment ``interrupt()`` is entered, no stale item is ever yielded by the output,
whoever still tries to emit it.

The rule: a function that blocks on old data and not on new shows it without a clock; nobody runs
between the interrupt and the look at what it did.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import partial

import anyio
import pytest
from anyio import CancelScope, create_task_group, to_thread
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline, DroppedItems
from tests.support.functions import of_kind, same
from tests.support.gates import KINDS, AsyncGate, Gate, put_held, put_turn, stubborn
from tests.support.law import assert_law
from tests.support.waiting import PATIENCE, read, rest_of, until, until_waiting

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", KINDS)
async def test_sentinels_come_out_in_order_and_nothing_else(kind):
    gate, stage = stubborn(kind, "stale")
    pipeline = AsyncTaskPipeline().add_stage("before", same).add_stage(kind, stage).add_stage("after", same)
    async with pipeline:
        await put_turn(pipeline, gate)
        receipt = await pipeline.interrupt()
        # The call is still running, and they need not wait for it.
        assert await read(pipeline, 2) == ["first marker", None]
        gate.open()
        await pipeline.process_input_data("new")
        await pipeline.process_input_sentinel("last marker")
        assert await rest_of(pipeline) == ["new", "last marker"]
        assert (receipt.total, receipt.busy, pipeline.statistics().dropped) == (2, (kind,), 2)


async def test_nothing_stale_from_three_busy_stages():
    """0.1.10: three stale results, the last 124 to 128 ms after the interrupt."""
    gates = {"a": Gate(2), "b": Gate(1), "c": Gate(0)}
    pipeline = AsyncTaskPipeline()
    for name, gate in gates.items():
        pipeline.add_stage(name, gate)
    async with pipeline:
        for i in range(20):
            await pipeline.process_input_data(i)
        for gate in gates.values():
            await gate.entered()
        receipt = await pipeline.interrupt()
        assert receipt.dropped == {
            "a": DroppedItems(queued=17, in_call=1),
            "b": DroppedItems(in_call=1),
            "c": DroppedItems(in_call=1),
        }
        assert (receipt.total, receipt.busy) == (20, ("a", "b", "c"))
        for new in ("new 0", "new 1"):
            await pipeline.process_input_data(new)
        for gate in gates.values():
            gate.open()
        assert await rest_of(pipeline) == ["new 0", "new 1"]
    for last, gate in zip((2, 1, 0), gates.values(), strict=True):
        assert gate.calls == [*range(last + 1), "new 0", "new 1"]
    assert_law(pipeline)


async def test_nothing_stale_from_finished_results():
    """0.1.10: what a stage blocked in ``put`` held came out after the queue was emptied."""
    pipeline = AsyncTaskPipeline(max_queue_size=2).add_stage("a", same).add_stage("b", same)
    async with pipeline:
        async with create_task_group() as tg:
            tg.start_soon(pipeline.process_input_stream, range(1000))
            await until(lambda: all(link.full() for link in (pipeline.input_queue, *pipeline.queues)))
            tg.cancel_scope.cancel()
        inside = pipeline.statistics().inside
        receipt = await pipeline.interrupt()
        assert receipt.total == inside >= 6
        await pipeline.process_input_data("new")
        assert await rest_of(pipeline) == ["new"]
    assert_law(pipeline)


async def test_nothing_stale_from_a_generator_which_goes_one_step_at_most():
    """0.1.10: the whole rest of it came out: 15 items over 725 ms."""
    gate, steps, closed = Gate(2), [], threading.Event()

    def generate(data):
        if data == "new":
            yield data
            return
        try:
            for i in range(20):
                steps.append(gate(i))
                yield i
        finally:
            closed.set()

    pipeline = AsyncTaskPipeline().add_stage("generate", generate).add_stage("same", same)
    async with pipeline:
        await pipeline.process_input_data("old")
        await gate.entered()
        receipt = await pipeline.interrupt()
        assert receipt.busy == ("generate",)
        await pipeline.process_input_data("new")
        gate.open()
        assert await rest_of(pipeline) == ["new"]
    assert closed.is_set()
    assert steps == [0, 1, 2]
    assert_law(pipeline)


async def test_nothing_stale_from_async_stages():
    """0.1.10: had none. What has been awaiting is cancelled, and a generator closed."""
    entered, never, ended = anyio.Event(), anyio.Event(), []

    async def generate(data):
        try:
            yield data
            if data != "new":
                entered.set()
                await never.wait()
        finally:
            ended.append(data)

    async def hold(data):
        if data != "new":
            await never.wait()
        return data

    pipeline = AsyncTaskPipeline().add_stage("generate", generate).add_stage("hold", hold)
    async with pipeline:
        await pipeline.process_input_data("old")
        await entered.wait()
        receipt = await pipeline.interrupt()
        assert receipt.total >= 1
        await pipeline.process_input_data("new")
        assert await rest_of(pipeline) == ["new"]
    assert ended == ["old", "new"]
    assert_law(pipeline)


async def test_what_a_producer_was_blocked_with_is_stale():
    """0.1.10: 20 old items in the second after the interrupt."""
    gate, returned = Gate("old 0"), []
    pipeline = AsyncTaskPipeline(max_queue_size=2).add_stage("gate", gate)

    async def put(data) -> None:
        await pipeline.process_input_data(data)
        returned.append(data)

    async with pipeline:
        await put("old 0")
        await gate.entered()
        for i in range(1, 4):  # one in the window, two in the link
            await put(f"old {i}")
        async with create_task_group() as tg:
            for i in range(4, 9):
                tg.start_soon(put, f"old {i}")
            for _ in range(10):
                await checkpoint()
            assert len(returned) == 4
            receipt = await pipeline.interrupt()
            # What tasks wait with is accepted and dropped as their puts return, or not at all.
            assert receipt.total == 4
        assert len(returned) == 9
        assert pipeline.statistics().dropped == 9
        await pipeline.process_input_data("new")
        gate.open()
        assert await rest_of(pipeline) == ["new"]
    assert gate.calls == ["old 0", "new"]
    assert_law(pipeline)


async def test_what_threads_are_blocked_with_is_stale():
    """0.1.10: both went on as if nothing had happened."""
    gate, ended, asked = Gate(0), threading.Event(), threading.Event()
    pipeline = AsyncTaskPipeline(max_queue_size=1).add_stage("gate", gate)

    def source():
        yield "read"
        asked.set()
        assert ended.wait(PATIENCE / 2)
        yield "new"

    async with pipeline, create_task_group() as tg:
        pipeline.put_input_data(0)
        await gate.entered()
        await pipeline.process_input_data(1)
        tg.start_soon(to_thread.run_sync, pipeline.put_input_data, "thread")
        await until_waiting(pipeline, 1)
        tg.start_soon(partial(pipeline.process_input_stream, source(), close_input=True))
        await until_waiting(pipeline, 2)
        receipt = await pipeline.interrupt()
        assert receipt.total == 4  # in a call, in the link, and what both threads were blocked with
        gate.open()
        assert await to_thread.run_sync(asked.wait, PATIENCE / 2)
        ended.set()
        assert [x async for x in pipeline.generate_output_stream()] == ["new"]
    assert gate.calls == [0, "new"]
    assert_law(pipeline)


def refuse_old(data):
    if data == "old":
        raise LookupError(data)
    return data


@pytest.mark.parametrize("kind", ["thread", "async"])
async def test_it_is_dropped_where_it_is_finished(kind):
    pipeline = AsyncTaskPipeline(return_exceptions=True).add_stage("refuse", of_kind(kind, refuse_old))
    async with pipeline:
        await pipeline.process_input_data("old")
        await until(lambda: pipeline.statistics().output_depth == 1)
        assert (await pipeline.interrupt()).total == 0  # as a failure, it has been counted
        await pipeline.process_input_data("new")
        assert await rest_of(pipeline) == ["new"]


@pytest.mark.parametrize("gate", [Gate, AsyncGate])
async def test_it_is_dropped_where_it_waits_for_a_stage(gate):
    gate = gate("busy")
    pipeline = AsyncTaskPipeline(return_exceptions=True).add_stage("refuse", refuse_old).add_stage("gate", gate)
    async with pipeline:
        await put_held(pipeline, gate, "busy")
        await pipeline.process_input_data("old")
        await until(lambda: pipeline.statistics().stages["gate"].queue_depth == 1)
        await pipeline.interrupt()
        await pipeline.process_input_data("new")
        gate.open()
        assert await rest_of(pipeline) == ["new"]


async def test_it_stays_in_a_protected_stage_and_its_order():
    gate = Gate("busy")
    pipeline = AsyncTaskPipeline(return_exceptions=True).add_stage("refuse", refuse_old)
    pipeline.add_stage("gate", gate, interruptible=False)
    async with pipeline:
        for data in ("busy", "old", "kept"):
            await pipeline.process_input_data(data)
        await gate.entered()
        await until(lambda: pipeline.statistics().stages["gate"].queue_depth == 2)
        await pipeline.interrupt()
        gate.open()
        busy, error, kept = await read(pipeline, 3)
        assert (busy, type(error), kept) == ("busy", LookupError, "kept")
        assert await rest_of(pipeline) == []


def failing(kind, exc):
    """A stage that comes to a gate with "stale", and then raises."""
    gate, stand = stubborn(kind, "stale")

    def fail(data):
        if data == "stale":
            raise exc
        return data

    async def stand_and_fail(data):
        return fail(await stand(data))

    return gate, (lambda data: fail(stand(data))) if kind == "thread" else stand_and_fail


@pytest.mark.parametrize("kind", ["thread", "async"])
@pytest.mark.parametrize("on_error", ["raise", "return"])
async def test_a_failure_of_a_stale_call_is_logged_and_ends_nothing(kind, on_error, caplog):
    error = LookupError("stale")
    gate, stage = failing(kind, error)
    pipeline = AsyncTaskPipeline().add_stage("stage", stage, on_error=on_error)
    with caplog.at_level(logging.WARNING, "async_task_pipeline"):
        async with pipeline:
            await put_held(pipeline, gate, "stale")
            assert (await pipeline.interrupt()).busy == ("stage",)
            gate.open()
            await pipeline.process_input_data("new")
            assert await rest_of(pipeline) == ["new"]
    (record,) = caplog.records
    assert record.getMessage() == "stage 'stage': an interrupted call failed"
    assert record.exc_info[1] is error
    now = pipeline.statistics()
    assert (now.delivered, now.dropped, now.failed) == (1, 1, 0)


@pytest.mark.parametrize("kind", ["thread", "async"])
async def test_an_exit_out_of_a_stale_call_ends_the_pipeline(kind):
    class Exit(BaseException):  # SystemExit would end the loop of the test as well
        pass

    gate, stage = failing(kind, Exit("mine"))
    pipeline = AsyncTaskPipeline().add_stage("stage", stage)
    with pytest.raises(Exit) as caught:
        async with pipeline:
            await put_held(pipeline, gate, "stale")
            await pipeline.interrupt()
            gate.open()
            await anyio.sleep_forever()
    assert any("'stage'" in note for note in caught.value.__notes__)
    assert_law(pipeline)


async def test_giving_up_one_wait_leaves_that_of_a_later_interrupt():
    first, second = Gate("a"), Gate("b")
    pipeline = AsyncTaskPipeline().add_stage("first", first).add_stage("second", second)
    receipts = {}

    async def interrupt(name, scope):
        with scope:
            receipts[name] = await pipeline.interrupt(from_stage=name, grace=PATIENCE)

    async with pipeline, create_task_group() as tg:
        await put_held(pipeline, second, "b")
        await put_held(pipeline, first, "a")
        earlier, later = CancelScope(), CancelScope()
        tg.start_soon(interrupt, "second", earlier)
        await until(lambda: pipeline.statistics().dropped == 1)
        tg.start_soon(interrupt, "first", later)
        await until(lambda: pipeline.statistics().dropped == 2)
        earlier.cancel()
        await until(lambda: earlier.cancelled_caught)
        assert receipts == {}
        for gate in (first, second):
            gate.open()
        await until(lambda: receipts)
        assert sorted(receipts["first"].idle_after) == ["first", "second"]
        await pipeline.process_input_data("new")
        assert await read(pipeline, 1) == ["new"]


@pytest.mark.parametrize("overflow", ["wait", "drop_oldest", "drop_newest"])
async def test_a_put_that_lets_others_run_is_dropped_with_its_turn(overflow):
    pipeline = AsyncTaskPipeline(overflow=overflow).add_stage("same", same)
    interrupted = anyio.Event()

    async def interrupt():
        await pipeline.interrupt()
        interrupted.set()

    async with pipeline, create_task_group() as tg:
        tg.start_soon(interrupt)
        time.sleep(0.01)  # the loop is kept, so the put lets others run before it is accepted
        await pipeline.process_input_data("old")
        await interrupted.wait()
        await pipeline.process_input_data("new")
        assert await read(pipeline, 1) == ["new"]
        assert pipeline.statistics().dropped == 1
        assert_law(pipeline)
