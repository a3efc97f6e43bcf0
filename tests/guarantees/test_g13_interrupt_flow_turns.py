"""G13, turns.

The rule: the block of ``async with pipeline.turn()`` behaves as under ``anyio.move_on_after``: the
interrupt's cancellation never leaves it, every other exception and cancellation does. A turn is
entered once, in order, and its number is its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from importlib.metadata import version

import anyio
import pytest
from anyio import CancelScope, create_task_group, move_on_after, to_thread
from anyio.lowlevel import checkpoint

from async_task_pipeline import (
    AsyncTaskPipeline,
    InterruptReceipt,
    PipelineStateError,
    PipelineStoppedError,
    TurnOverError,
)
from tests.support.backends import ASYNCIO
from tests.support.functions import same
from tests.support.gates import AsyncGate, Gate
from tests.support.waiting import PATIENCE, read, rest_of, until, until_waiting, waiting

pytestmark = pytest.mark.anyio


async def wait_for_ever(pipeline, turn):
    await anyio.sleep_forever()


async def wait_in_a_put(pipeline, turn):
    while True:
        await turn.put("old")


async def wait_in_a_child(pipeline, turn):
    async with create_task_group() as tg:
        tg.start_soon(anyio.sleep_forever)
        tg.start_soon(wait_in_a_put, pipeline, turn)


async def wait_for_a_plain_put(pipeline, turn):
    while True:
        await pipeline.process_input_data("old")


WAITS = [wait_in_a_put, wait_for_ever, wait_in_a_child, wait_for_a_plain_put]


@contextlib.asynccontextmanager
async def running():
    """A pipeline of one stage, which passes on what it gets."""
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        yield pipeline


@pytest.mark.parametrize("wait", WAITS, ids=lambda wait: wait.__name__)
async def test_an_interrupt_ends_the_block_quietly_wherever_it_waits(wait):
    gate, told = Gate("old"), []
    pipeline = AsyncTaskPipeline(1).add_stage("gate", gate)

    async def produce():
        async with pipeline.turn() as turn:
            await wait(pipeline, turn)
            told.append("behind the wait")
        await checkpoint()  # the cancellation is over with the block
        told.append((turn.interrupted, turn.over))

    async with pipeline, create_task_group() as tg:
        tg.start_soon(produce)
        if wait is not wait_for_ever:
            await gate.entered()
            await until_waiting(pipeline)
        await anyio.wait_all_tasks_blocked()
        await pipeline.interrupt()
        gate.open()
        await until(lambda: told)
        await pipeline.process_input_data("new")
        assert await rest_of(pipeline) == ["new"]
    assert told == [(True, True)]


async def test_an_interrupt_from_inside_the_block_ends_it_at_the_next_checkpoint_if_there_is_one():
    async with running() as pipeline:
        reached = []
        async with pipeline.turn() as turn:
            receipt = await pipeline.interrupt()
            reached.append((isinstance(receipt, InterruptReceipt), turn.interrupted))
            await checkpoint()
            reached.append("never")
        assert reached == [(True, True)]
        async with pipeline.turn() as turn:
            await pipeline.interrupt()
            reached.append("the end")
        assert turn.interrupted
        assert reached[1:] == ["the end"]
        await checkpoint()


async def test_a_grace_inside_the_block_is_cut_short_with_the_block():
    gate = Gate("old")
    async with AsyncTaskPipeline().add_stage("gate", gate) as pipeline:
        async with pipeline.turn() as turn:
            await turn.put("old")
            await gate.entered()
            await pipeline.interrupt(grace=PATIENCE)
            pytest.fail("the block is over")
        assert turn.interrupted
        assert pipeline.statistics().dropped == 1
        gate.open()
        assert await rest_of(pipeline) == []


async def test_all_open_turns_are_ended_and_the_one_begun_later_is_not():
    pipeline, ended = AsyncTaskPipeline().add_stage("same", same), []

    async def produce():
        async with pipeline.turn() as turn:
            await anyio.sleep_forever()
        ended.append((turn.number, turn.interrupted))

    async with pipeline, create_task_group() as tg:
        for _ in range(5):
            tg.start_soon(produce)
        await anyio.wait_all_tasks_blocked()
        await pipeline.interrupt()
        async with pipeline.turn() as new:
            await until(lambda: len(ended) == 5)
            await new.put("new")
        assert (new.number, new.interrupted) == (6, False)
        assert await rest_of(pipeline) == ["new"]
    assert sorted(ended) == [(number, True) for number in range(1, 6)]


async def test_an_interrupt_in_a_turn_inside_a_turn_ends_both_blocks():
    async with running() as pipeline:
        async with pipeline.turn() as outer:
            async with pipeline.turn() as inner:
                await pipeline.interrupt()
                await anyio.sleep_forever()
            await anyio.sleep_forever()
        assert [(turn.number, turn.interrupted) for turn in (outer, inner)] == [(1, True), (2, True)]


@pytest.mark.parametrize("interrupted", [False, True])
async def test_an_exception_of_the_block_passes(interrupted):
    async with running() as pipeline:
        error = LookupError("the block's own")
        with pytest.raises(LookupError) as caught:
            async with pipeline.turn() as turn:
                if interrupted:
                    await pipeline.interrupt()
                raise error
        assert caught.value is error
        assert (turn.interrupted, turn.over) == (interrupted, True)
        assert await rest_of(pipeline) == []


async def test_an_exception_raised_while_the_interrupt_cancels_passes():
    async def produce():
        async with pipeline.turn():
            try:
                await anyio.sleep_forever()
            finally:
                raise LookupError

    with pytest.RaisesGroup(LookupError):
        async with running() as pipeline, create_task_group() as tg:
            tg.start_soon(produce)
            await anyio.wait_all_tasks_blocked()
            await pipeline.interrupt()


async def test_a_cancellation_from_outside_is_not_swallowed():
    gate = AsyncGate("old")
    async with AsyncTaskPipeline(1).add_stage("gate", gate) as pipeline:
        with CancelScope() as scope:
            async with pipeline.turn() as turn:
                scope.cancel()
                await wait_in_a_put(pipeline, turn)
            pytest.fail("the cancellation was swallowed by the turn")
        assert scope.cancelled_caught
        assert (turn.interrupted, turn.over) == (False, True)
        with move_on_after(0) as limit:
            async with pipeline.turn() as late:
                await anyio.sleep_forever()
            pytest.fail("the timeout was swallowed by the turn")
        assert limit.cancelled_caught
        assert not late.interrupted


async def test_cancelled_from_outside_and_interrupted_at_once_both_end():
    async with running() as pipeline:
        with CancelScope() as scope:
            async with pipeline.turn() as turn:
                scope.cancel()
                await pipeline.interrupt()
                await anyio.sleep_forever()
            await checkpoint()
            pytest.fail("the cancellation from outside was lost")
        assert scope.cancelled_caught
        assert turn.interrupted


async def test_only_an_interrupt_of_the_first_stage_ends_the_turn():
    pipeline = AsyncTaskPipeline().add_stage("llm", same).add_stage("tts", same)
    async with pipeline, pipeline.turn() as turn:
        await pipeline.interrupt(from_stage="tts")
        await checkpoint()
        assert (turn.interrupted, turn.over) == (False, False)
        await turn.put("same turn")
        assert await anext(pipeline.generate_output_stream()) == "same turn"
        await pipeline.interrupt(from_stage="llm")
        assert turn.interrupted
        await anyio.sleep_forever()


async def test_clear_ends_the_turn_as_an_interrupt_does():
    async with running() as pipeline:
        async with pipeline.turn() as turn:
            pipeline.clear()
            await anyio.sleep_forever()
        assert turn.interrupted


async def test_numbers_count_from_one_and_never_go_back():
    pipeline, numbers = AsyncTaskPipeline().add_stage("same", same), []

    async def begin():
        async with pipeline.turn() as turn:
            numbers.append(turn.number)

    for _ in range(2):  # over a restart too
        async with pipeline:
            await begin()
            await pipeline.interrupt()
            await begin()
            pipeline.clear()
            await begin()
    assert numbers == [1, 2, 3, 4, 5, 6]


async def test_a_number_is_given_when_the_turn_is_entered_and_an_interrupt_after_it_changes_nothing():
    async with running() as pipeline:
        first, second = pipeline.turn(), pipeline.turn()
        assert (first.number, second.number) == (0, 0)
        async with second, first:
            assert (second.number, first.number) == (1, 2)
        await pipeline.interrupt()
        assert (second.interrupted, second.over) == (False, True)
        with pytest.raises(TurnOverError, match="turn 1 is over: its block has been left"):
            await second.put(1)


async def test_a_turn_is_entered_once_and_shows_its_number_and_state():
    async with running() as pipeline:
        turn = pipeline.turn()
        assert repr(turn) == "<Turn 0 not begun>"
        async with turn:
            assert repr(turn) == "<Turn 1 open>"
            with pytest.raises(PipelineStateError, match=r"cannot enter <Turn 1 open> again"):
                await turn.__aenter__()
            await turn.put("still open")
        with pytest.raises(PipelineStateError, match=r"cannot enter <Turn 1 over> again"):
            await turn.__aenter__()
        assert (turn.number, repr(turn)) == (1, "<Turn 1 over>")
        assert await read(pipeline, 1) == ["still open"]
        async with pipeline.turn() as turn:
            await pipeline.interrupt()
            assert repr(turn) == "<Turn 2 interrupted>"
        assert repr(turn) == "<Turn 2 interrupted>"
        assert await rest_of(pipeline) == []


async def assert_refused(turn, match=None):
    """Nothing can be put by it, in whatever way."""
    for put in (turn.put, turn.put_sentinel):
        with pytest.raises(PipelineStateError, match=match):
            await put("refused")
    for put in (turn.put_from_thread, turn.put_sentinel_from_thread):
        with pytest.raises(PipelineStateError, match=match):
            await to_thread.run_sync(put, "refused")


async def test_nothing_can_be_put_before_it_is_entered_and_an_interrupt_before_that_does_not_end_it():
    async with running() as pipeline:
        turn = pipeline.turn()
        await assert_refused(turn, "has not begun")
        await pipeline.interrupt()
        async with turn:
            await turn.put("new")
            await checkpoint()
        assert not turn.interrupted
        assert await rest_of(pipeline) == ["new"]


async def test_plain_data_belongs_to_the_turn_begun_last():
    pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("same", same)
    async with pipeline:
        async with pipeline.turn() as first:
            await pipeline.process_input_data("a")
            async with pipeline.turn() as second:
                await pipeline.process_input_data("b")
                await first.put("c")
                await second.put("d")
            await pipeline.process_input_data("e")
        await pipeline.process_input_data("f")
        assert await rest_of(pipeline) == ["a", "b", "c", "d", "e", "f"]
    assert [item.turn for item in pipeline.completed_items] == [1, 2, 1, 2, 2, 2]


async def test_plain_data_after_an_interrupt_belongs_to_a_turn_of_its_own():
    pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("same", same)
    async with pipeline:
        async with pipeline.turn() as first:
            await pipeline.interrupt()
            for new in ("a", "b"):
                pipeline.put_input_data(new)
        async with pipeline.turn() as last:
            await last.put("c")
        assert await rest_of(pipeline) == ["a", "b", "c"]
    a, b, c = [item.turn for item in pipeline.completed_items]
    assert first.number < a == b < c == last.number


async def test_after_close_input_a_turn_can_neither_be_entered_nor_used():
    async with running() as pipeline:
        early = pipeline.turn()
        async with pipeline.turn() as turn:
            await turn.put("in time")
            pipeline.close_input()
            await assert_refused(turn, "closed")
            assert not turn.over
        for late in (early, pipeline.turn()):
            with pytest.raises(PipelineStateError, match="closed"):
                await late.__aenter__()
            assert repr(late) == "<Turn 0 not begun>"
        assert await rest_of(pipeline) == ["in time"]


async def test_a_put_that_waits_when_the_input_is_closed_says_so():
    gate = Gate(0)
    async with AsyncTaskPipeline(1).add_stage("gate", gate) as pipeline:
        async with pipeline.turn() as turn, create_task_group() as tg:

            async def put_late():
                with pytest.raises(PipelineStateError, match="closed"):
                    await turn.put(2)

            await turn.put(0)
            await gate.entered()
            await turn.put(1)
            tg.start_soon(put_late)
            await until_waiting(pipeline, 1)
            pipeline.close_input()
        gate.open()
        assert await rest_of(pipeline) == [0, 1]


async def test_before_the_start_there_is_no_turn_and_after_stop_one_refuses_everything():
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    with pytest.raises(PipelineStateError, match="not running"):
        pipeline.turn()
    async with pipeline:
        early = pipeline.turn()
        async with pipeline.turn() as turn:
            await pipeline.stop()
    with pytest.raises(PipelineStoppedError):
        pipeline.turn()
    with pytest.raises(PipelineStoppedError):
        await early.__aenter__()
    await assert_refused(turn)
    async with pipeline:  # a turn belongs to one run
        with pytest.raises(PipelineStoppedError):
            await early.__aenter__()
        assert await rest_of(pipeline) == []
    assert pipeline.statistics().accepted == 0


async def test_a_block_in_which_the_pipeline_is_stopped_does_not_hang():
    gate = Gate(0)
    pipeline = AsyncTaskPipeline(1).add_stage("gate", gate)

    async def produce():
        # It ends as by an interrupt or by the error of its put; what it may not do is wait.
        with contextlib.suppress(PipelineStoppedError):
            async with pipeline.turn() as turn:
                while True:
                    await turn.put(0)

    async with pipeline, create_task_group() as tg:
        tg.start_soon(produce)
        await gate.entered()
        await until_waiting(pipeline, 1)
        gate.open()
        await pipeline.stop()


async def test_after_a_failure_no_turn_can_be_entered_and_the_reason_is_told():
    pipeline = AsyncTaskPipeline().add_stage("fails", int)
    await pipeline.start()
    await pipeline.process_input_data("x")
    with pytest.raises(ValueError, match="invalid"):
        await anext(pipeline.generate_output_stream())
    with pytest.raises(PipelineStoppedError) as caught:
        async with pipeline.turn():
            pytest.fail("entered")
    assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(ValueError, match="invalid"):
        await pipeline.stop()


def in_a_task(pipeline, turns, *data):
    """A task in a turn, in which it puts the data and then waits."""

    async def produce():
        async with pipeline.turn() as turn:
            turns.append(turn)
            for each in data:
                await turn.put(each)
            await anyio.sleep_forever()
        await anyio.sleep_forever()

    return asyncio.create_task(produce())


@ASYNCIO
@pytest.mark.parametrize("waits", ["for ever", "for room"])
async def test_a_native_cancellation_leaves_the_block_and_loses_nothing(waits):
    gate, turns = Gate("busy"), []
    async with AsyncTaskPipeline(1).add_stage("gate", gate) as pipeline:
        await pipeline.process_input_data("busy")
        await gate.entered()
        await pipeline.process_input_data("queued")
        task = in_a_task(pipeline, turns, *(["never"] if waits == "for room" else []))
        await (until_waiting(pipeline) if waits == "for room" else until(lambda: turns))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert waiting(pipeline) == 0
        assert (turns[0].interrupted, turns[0].over) == (False, True)
        with pytest.raises(TurnOverError, match="its block has been left"):
            await turns[0].put("late")
        gate.open()
        assert await rest_of(pipeline) == ["busy", "queued"]
        assert pipeline.statistics().accepted == 2


@ASYNCIO
@pytest.mark.parametrize("first", ["interrupt", "cancel"])
async def test_cancelled_natively_and_interrupted_in_one_tick_the_cancellation_leaves(first):
    if first == "interrupt" and version("anyio").startswith("4.15."):
        pytest.skip("with anyio 4.15 the task goes on waiting; with 4.16 it does not")
    turns = []
    async with running() as pipeline:
        task = in_a_task(pipeline, turns)
        await until(lambda: turns)
        if first == "cancel":
            task.cancel()
        await pipeline.interrupt()
        if first == "interrupt":
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert turns[0].over


@ASYNCIO
async def test_an_asyncio_timeout_around_the_block_is_heard():
    async with running() as pipeline:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                async with pipeline.turn() as turn:
                    await anyio.sleep_forever()
        assert not turn.interrupted


@ASYNCIO
async def test_an_interrupt_leaves_no_cancellation_on_the_task():
    async with running() as pipeline:
        task = asyncio.current_task()
        assert task is not None
        for _ in range(3):
            async with pipeline.turn():
                await pipeline.interrupt()
                await anyio.sleep_forever()
            assert task.cancelling() == 0
        async with asyncio.timeout(PATIENCE):  # counts what is on the task
            await asyncio.sleep(0)
