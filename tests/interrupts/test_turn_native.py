"""Cancelled the asyncio way, the block of a turn does not swallow it.

The rule: ``Task.cancel`` and ``asyncio.timeout`` know no scopes; what they raise leaves
the block, an interrupt in the same tick or not, and an interrupt alone leaves nothing
of itself on the task.
"""

from __future__ import annotations

import asyncio

import anyio
import pytest

from async_task_pipeline import AsyncTaskPipeline, TurnOverError
from tests.interrupts.scenes import PATIENCE, Gate, rest_of, until, waiting

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "asyncio+uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> object:
    if request.param:
        pytest.importorskip("uvloop")
    return ("asyncio", {"use_uvloop": request.param})


def same(data):
    return data


async def test_a_native_cancellation_leaves_the_block():
    turns = []
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:

        async def produce() -> None:
            async with pipeline.turn() as turn:
                turns.append(turn)
                await anyio.sleep_forever()

        task = asyncio.create_task(produce())
        await until(lambda: turns)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (turns[0].interrupted, turns[0].over) == (False, True)
        with pytest.raises(TurnOverError, match="its block has been left"):
            await turns[0].put("late")
        assert await rest_of(pipeline) == []


async def test_a_native_cancellation_while_it_waits_for_room_loses_nothing():
    gate, turns = Gate("busy"), []
    async with AsyncTaskPipeline(1).add_stage("gate", gate) as pipeline:

        async def produce() -> None:
            async with pipeline.turn() as turn:
                turns.append(turn)
                await turn.put("never")

        with anyio.fail_after(PATIENCE):
            await pipeline.process_input_data("busy")
            await gate.entered()
            await pipeline.process_input_data("queued")
            task = asyncio.create_task(produce())
            await until(lambda: waiting(pipeline))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert waiting(pipeline) == 0
            gate.opened.set()
            assert await rest_of(pipeline) == ["busy", "queued"]
        assert pipeline.statistics().accepted == 2


@pytest.mark.parametrize("first", ["interrupt", "cancel"])
async def test_cancelled_natively_and_interrupted_in_one_tick_the_cancellation_leaves(first):
    turns = []
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:

        async def produce() -> None:
            async with pipeline.turn() as turn:
                turns.append(turn)
                await anyio.sleep_forever()
            await anyio.sleep_forever()

        with anyio.fail_after(PATIENCE):
            task = asyncio.create_task(produce())
            await until(lambda: turns)
            if first == "cancel":
                task.cancel()
            await pipeline.interrupt()
            if first == "interrupt":
                task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert turns[0].over


async def test_an_asyncio_timeout_around_the_block_is_heard():
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                async with pipeline.turn() as turn:
                    await anyio.sleep_forever()
        assert not turn.interrupted


async def test_an_interrupt_leaves_no_cancellation_on_the_task():
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        task = asyncio.current_task()
        assert task is not None
        for _ in range(3):
            async with pipeline.turn():
                await pipeline.interrupt()
                await anyio.sleep_forever()
            assert task.cancelling() == 0
        async with asyncio.timeout(PATIENCE):  # counts what is on the task
            await asyncio.sleep(0)
