"""A turn: an interrupt ends its block quietly, and nothing else does.

The rule: the block of ``async with pipeline.turn()`` behaves as under
``anyio.move_on_after``. The interrupt's cancellation never leaves it, every other
exception and every other cancellation does, and ``interrupted`` tells which it was.
"""

from __future__ import annotations

import anyio
import pytest
from anyio import CancelScope, create_task_group, fail_after, move_on_after
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline, InterruptReceipt
from tests.interrupts.scenes import PATIENCE, AsyncGate, Gate, rest_of, until, waiting

pytestmark = pytest.mark.anyio


class OwnError(Exception):
    """What the blocks of these tests raise."""


def same(data):
    return data


async def wait_in_a_put(pipeline, turn) -> None:
    while True:
        await turn.put("old")


async def wait_for_ever(pipeline, turn) -> None:
    await anyio.sleep_forever()


async def wait_in_a_child(pipeline, turn) -> None:
    async with create_task_group() as tg:
        tg.start_soon(anyio.sleep_forever)
        tg.start_soon(wait_in_a_put, pipeline, turn)


async def wait_for_a_plain_put(pipeline, turn) -> None:
    while True:
        await pipeline.process_input_data("old")


WAITS = [wait_in_a_put, wait_for_ever, wait_in_a_child, wait_for_a_plain_put]


@pytest.mark.parametrize("wait", WAITS, ids=lambda wait: wait.__name__)
async def test_an_interrupt_ends_the_block_quietly_wherever_it_waits(wait):
    gate, told = Gate("old"), []
    pipeline = AsyncTaskPipeline(1).add_stage("gate", gate)

    async def produce() -> None:
        async with pipeline.turn() as turn:
            await wait(pipeline, turn)
            told.append("behind the wait")
        await checkpoint()  # the cancellation is over with the block
        told.append((turn.interrupted, turn.over))

    with fail_after(PATIENCE):
        async with pipeline, create_task_group() as tg:
            tg.start_soon(produce)
            if wait is not wait_for_ever:
                await gate.entered()
                await until(lambda: waiting(pipeline))
            await anyio.wait_all_tasks_blocked()
            await pipeline.interrupt()
            gate.opened.set()
            await until(lambda: told)
            await pipeline.process_input_data("new")
            assert await rest_of(pipeline) == ["new"]
    assert told == [(True, True)]


async def test_a_block_that_awaits_nothing_more_runs_to_its_end():
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        async with pipeline.turn() as turn:
            receipt = await pipeline.interrupt()
            assert isinstance(receipt, InterruptReceipt)
            assert turn.interrupted
            reached = True
        assert reached
        with fail_after(PATIENCE):
            await checkpoint()


async def test_an_interrupt_from_inside_the_block_ends_it_at_the_next_checkpoint():
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        reached = []
        with fail_after(PATIENCE):
            async with pipeline.turn() as turn:
                await pipeline.interrupt()
                reached.append("no checkpoint")
                await checkpoint()
                reached.append("never")
        assert turn.interrupted
        assert reached == ["no checkpoint"]


async def test_a_grace_inside_the_block_is_cut_short_with_the_block():
    gate = Gate("old")
    async with AsyncTaskPipeline().add_stage("gate", gate) as pipeline:
        with fail_after(PATIENCE):
            async with pipeline.turn() as turn:
                await turn.put("old")
                await gate.entered()
                await pipeline.interrupt(grace=PATIENCE)
                pytest.fail("the block is over")
            assert turn.interrupted
            assert pipeline.statistics().dropped == 1
            gate.opened.set()
            assert await rest_of(pipeline) == []


async def test_all_open_turns_are_ended_and_the_one_begun_later_is_not():
    pipeline, ended = AsyncTaskPipeline().add_stage("same", same), []

    async def produce() -> None:
        async with pipeline.turn() as turn:
            await anyio.sleep_forever()
        ended.append((turn.number, turn.interrupted))

    with fail_after(PATIENCE):
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
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        with fail_after(PATIENCE):
            async with pipeline.turn() as outer:
                async with pipeline.turn() as inner:
                    await pipeline.interrupt()
                    await anyio.sleep_forever()
                await anyio.sleep_forever()
        assert outer.interrupted
        assert inner.interrupted
        assert (outer.number, inner.number) == (1, 2)


@pytest.mark.parametrize("interrupted", [False, True])
async def test_an_exception_of_the_block_passes(interrupted):
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        error = OwnError("the block's own")
        with pytest.raises(OwnError) as caught:
            async with pipeline.turn() as turn:
                if interrupted:
                    await pipeline.interrupt()
                raise error
        assert caught.value is error
        assert (turn.interrupted, turn.over) == (interrupted, True)
        assert await rest_of(pipeline) == []


async def test_an_exception_raised_while_the_interrupt_cancels_passes():
    pipeline = AsyncTaskPipeline().add_stage("same", same)

    async def produce() -> None:
        async with pipeline.turn():
            try:
                await anyio.sleep_forever()
            finally:
                raise OwnError

    with fail_after(PATIENCE), pytest.RaisesGroup(OwnError):
        async with pipeline, create_task_group() as tg:
            tg.start_soon(produce)
            await anyio.wait_all_tasks_blocked()
            await pipeline.interrupt()


async def test_a_cancellation_from_outside_is_not_swallowed():
    gate = AsyncGate("old")
    async with AsyncTaskPipeline(1).add_stage("gate", gate) as pipeline:
        with fail_after(PATIENCE):
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
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        with fail_after(PATIENCE), CancelScope() as scope:
            async with pipeline.turn() as turn:
                scope.cancel()
                await pipeline.interrupt()
                await anyio.sleep_forever()
            await checkpoint()
            pytest.fail("the cancellation from outside was lost")
        assert scope.cancelled_caught
        assert turn.interrupted


async def test_only_an_interrupt_of_the_first_stage_ends_the_turn():
    async with AsyncTaskPipeline().add_stage("llm", same).add_stage("tts", same) as pipeline:
        with fail_after(PATIENCE):
            async with pipeline.turn() as turn:
                await pipeline.interrupt(from_stage="tts")
                await checkpoint()
                assert (turn.interrupted, turn.over) == (False, False)
                await turn.put("same turn")
                assert await anext(pipeline.generate_output_stream()) == "same turn"
                await pipeline.interrupt(from_stage="llm")
                assert turn.interrupted
                await anyio.sleep_forever()


async def test_clear_ends_the_turn_as_an_interrupt_does():
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        with fail_after(PATIENCE):
            async with pipeline.turn() as turn:
                pipeline.clear()
                await anyio.sleep_forever()
        assert turn.interrupted
