"""G13, puts on a turn that is over.

The rule: a put bound to a turn raises ``TurnOverError`` from the moment the turn is over, in a task
or a thread that outlived it, also if it was waiting for room then. What raised was not accepted,
and is in no count.
"""

from __future__ import annotations

import contextlib

import pytest
from anyio import create_task_group, to_thread

from async_task_pipeline import AsyncTaskPipeline, PipelineStateError, TurnOverError
from tests.support.functions import same
from tests.support.gates import Gate
from tests.support.waiting import read, rest_of, until_waiting, waiting

pytestmark = pytest.mark.anyio

PUTS = ["put", "put_sentinel", "put_from_thread", "put_sentinel_from_thread"]
INTERRUPTED = "turn 1 is over: it has been interrupted"
LEFT = "turn 1 is over: its block has been left"


async def put_by(turn, name: str, data: object) -> None:
    """Put in the way that has this name, from wherever it belongs."""
    if name.endswith("_thread"):
        await to_thread.run_sync(getattr(turn, name), data)
    else:
        await getattr(turn, name)(data)


async def refused_put(turn, name, match, data="late"):
    """Put what is refused."""
    with pytest.raises(TurnOverError, match=match):
        await put_by(turn, name, data)


@contextlib.asynccontextmanager
async def full():
    """A pipeline without room: one item is in a call, and one waits for it."""
    gate = Gate("busy")
    async with AsyncTaskPipeline(1).add_stage("gate", gate) as pipeline:
        await pipeline.process_input_data("busy")
        await gate.entered()
        await pipeline.process_input_data("queued")
        yield pipeline, gate


@pytest.mark.parametrize("interrupted", [False, True])
@pytest.mark.parametrize("name", PUTS)
async def test_what_comes_from_outside_the_block_after_its_end_is_refused(name, interrupted):
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        async with pipeline.turn() as turn:
            if interrupted:
                await pipeline.interrupt()
        for _ in range(2):  # not only once
            await refused_put(turn, name, INTERRUPTED if interrupted else LEFT)
        async with pipeline.turn() as new:
            await put_by(new, name, "new")
            await refused_put(turn, name, "is over")  # the new turn does not revive the old one
            await put_by(new, name, "new too")
        assert await rest_of(pipeline) == ["new", "new too"]
        assert pipeline.statistics().dropped == 0


@pytest.mark.parametrize("interrupted", [False, True])
@pytest.mark.parametrize("name", PUTS)
async def test_what_waits_for_room_when_the_turn_ends_is_refused(name, interrupted):
    async with full() as (pipeline, gate):
        async with create_task_group() as tg, pipeline.turn() as turn:
            for _ in range(3):
                tg.start_soon(refused_put, turn, name, INTERRUPTED if interrupted else LEFT)
            await until_waiting(pipeline, 3)
            if interrupted:
                assert (await pipeline.interrupt()).total == 2  # what was refused was never inside
        assert waiting(pipeline) == 0
        gate.open()
        await pipeline.process_input_data("new")
        assert await rest_of(pipeline) == (["new"] if interrupted else ["busy", "queued", "new"])
    assert pipeline.statistics().accepted == 3


async def test_the_block_itself_hears_the_interrupt_and_not_the_refusal():
    async def produce(name):
        async with pipeline.turn() as turn:
            await put_by(turn, name, "waits")

    async with full() as (pipeline, gate):
        async with create_task_group() as tg:
            for name in ("put", "put_sentinel"):
                tg.start_soon(produce, name)
            await until_waiting(pipeline, 2)
            await pipeline.interrupt()
        gate.open()
        assert await rest_of(pipeline) == []


async def test_the_end_of_a_turn_lets_in_those_who_wait_behind_it():
    async with full() as (pipeline, gate):
        async with create_task_group() as tg:
            async with pipeline.turn() as turn:
                tg.start_soon(refused_put, turn, "put", LEFT)
                await until_waiting(pipeline, 1)
                tg.start_soon(pipeline.process_input_data, "behind")
                await until_waiting(pipeline, 2)
            gate.open()
        assert await rest_of(pipeline) == ["busy", "queued", "behind"]


async def test_an_interrupt_tells_what_waits_by_its_turn():
    """A plain put returns as accepted and dropped, one of the turn raises; both are stale."""
    returned = []

    async def put_plain():
        await pipeline.process_input_data("plain")
        returned.append("plain")

    async with full() as (pipeline, gate):
        async with create_task_group() as tg, pipeline.turn() as turn:
            tg.start_soon(put_plain)
            tg.start_soon(refused_put, turn, "put", INTERRUPTED)
            await until_waiting(pipeline, 2)
            assert (await pipeline.interrupt()).total == 2  # without what tasks wait with
        assert returned == ["plain"]
        gate.open()
        await pipeline.process_input_data("new")
        assert await rest_of(pipeline) == ["new"]


async def test_sentinels_of_a_turn_that_were_accepted_survive_its_interrupt():
    gate = Gate(0)
    async with AsyncTaskPipeline().add_stage("gate", gate) as pipeline:
        async with pipeline.turn() as turn:
            await turn.put(0)
            await turn.put_sentinel("a")
            await to_thread.run_sync(turn.put_from_thread, 1)
            await to_thread.run_sync(turn.put_sentinel_from_thread, "b")
            await gate.entered()
            assert (await pipeline.interrupt()).total == 2
        gate.open()
        assert await rest_of(pipeline) == ["a", "b"]


async def test_a_put_that_blocks_does_not_belong_in_the_loops_thread():
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        async with pipeline.turn() as turn:
            for put in (turn.put_from_thread, turn.put_sentinel_from_thread):
                with pytest.raises(PipelineStateError, match="another thread") as caught:
                    put("never")
                assert not isinstance(caught.value, TurnOverError)
            await turn.put("fine")
        assert await rest_of(pipeline) == ["fine"]


async def test_a_wrong_created_at_is_named_and_the_turn_stays_open():
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        async with pipeline.turn() as turn:
            with pytest.raises(TypeError, match="created_at"):
                await turn.put("never", "now")
            with pytest.raises(TypeError, match="created_at"):
                await to_thread.run_sync(turn.put_from_thread, "never", "now")
            await turn.put("fine", created_at=0.0)
        assert await rest_of(pipeline) == ["fine"]


async def test_what_is_put_by_the_block_comes_out_in_order_with_back_pressure():
    pipeline = AsyncTaskPipeline(2).add_stage("same", same)

    async def produce():
        async with pipeline.turn() as turn:
            for number in range(50):
                await turn.put(number)
                assert pipeline.statistics().inside <= (2 * 1 + 1) * 2

    async with pipeline, create_task_group() as tg:
        tg.start_soon(produce)
        assert await read(pipeline, 50) == list(range(50))
