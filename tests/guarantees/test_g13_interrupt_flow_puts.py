"""G13, puts on a turn that is over: ``interrupt()`` does its work without waiting for user code,
never raises for state, and the next item accepted is the next item processed.

The rule: a put bound to a turn raises ``TurnOverError`` from the moment the turn is over, in a task
or a thread that outlived it, also if it was waiting for room then. What raised was not accepted,
and is in no count.
"""

from __future__ import annotations

import pytest
from anyio import create_task_group, to_thread

from async_task_pipeline import AsyncTaskPipeline, PipelineStateError, TurnOverError
from tests.support.gates import Gate
from tests.support.waiting import rest_of, until_waiting, waiting

pytestmark = pytest.mark.anyio

PUTS = ["put", "put_sentinel", "put_from_thread", "put_sentinel_from_thread"]
INTERRUPTED = "turn 1 is over: it has been interrupted"
LEFT = "turn 1 is over: its block has been left"


def same(data):
    return data


async def put_by(turn, name: str, data: object) -> None:
    """Put in the way that has this name, from wherever it belongs."""
    if name.endswith("_thread"):
        await to_thread.run_sync(getattr(turn, name), data)
    else:
        await getattr(turn, name)(data)


async def over(pipeline, *, interrupted: bool):
    """Return a turn that is over."""
    async with pipeline.turn() as turn:
        if interrupted:
            await pipeline.interrupt()
    return turn


@pytest.mark.parametrize("interrupted", [False, True])
@pytest.mark.parametrize("name", PUTS)
async def test_what_comes_from_outside_the_block_after_its_end_is_refused(name, interrupted):
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        turn = await over(pipeline, interrupted=interrupted)
        for _ in range(2):  # not only once
            with pytest.raises(TurnOverError, match=INTERRUPTED if interrupted else LEFT):
                await put_by(turn, name, "late")
        async with pipeline.turn() as new:
            await put_by(new, name, "new")
            with pytest.raises(TurnOverError):  # the new turn does not revive the old one
                await put_by(turn, name, "late")
            await put_by(new, name, "new too")
        assert await rest_of(pipeline) == ["new", "new too"]
        assert pipeline.statistics().dropped == 0


@pytest.mark.parametrize("interrupted", [False, True])
@pytest.mark.parametrize("name", PUTS)
async def test_what_waits_for_room_when_the_turn_ends_is_refused(name, interrupted):
    gate, refused = Gate("busy"), []
    pipeline = AsyncTaskPipeline(1).add_stage("gate", gate)

    async def put_late(turn, data) -> None:
        with pytest.raises(TurnOverError, match=INTERRUPTED if interrupted else LEFT):
            await put_by(turn, name, data)
        refused.append(data)

    async with pipeline:
        await pipeline.process_input_data("busy")
        await gate.entered()
        await pipeline.process_input_data("queued")
        async with create_task_group() as tg, pipeline.turn() as turn:
            for number in range(3):
                tg.start_soon(put_late, turn, number)
            await until_waiting(pipeline, 3)
            if interrupted:
                receipt = await pipeline.interrupt()
                assert receipt.total == 2  # what was refused was never inside
        assert sorted(refused) == [0, 1, 2]
        assert waiting(pipeline) == 0
        gate.open()
        await pipeline.process_input_data("new")
        assert await rest_of(pipeline) == ["new"] if interrupted else ["busy", "queued", "new"]
    assert pipeline.statistics().accepted == 3


async def test_the_block_itself_hears_the_interrupt_and_not_the_refusal():
    gate, reached = Gate("old"), []
    pipeline = AsyncTaskPipeline(1).add_stage("gate", gate)

    async def produce(name: str) -> None:
        async with pipeline.turn() as turn:
            try:
                await getattr(turn, name)("waits")
            except TurnOverError:
                reached.append(name)

    async with pipeline:
        await pipeline.process_input_data("old")
        await gate.entered()
        await pipeline.process_input_data("old")
        async with create_task_group() as tg:
            for name in ("put", "put_sentinel"):
                tg.start_soon(produce, name)
            await until_waiting(pipeline, 2)
            await pipeline.interrupt()
        gate.open()
        assert await rest_of(pipeline) == []
    assert reached == []


async def test_the_end_of_a_turn_lets_in_those_who_wait_behind_it():
    gate = Gate("busy")
    pipeline = AsyncTaskPipeline(1).add_stage("gate", gate)
    async with pipeline:
        await pipeline.process_input_data("busy")
        await gate.entered()
        await pipeline.process_input_data("queued")
        async with create_task_group() as tg:
            async with pipeline.turn() as turn:

                async def put_late() -> None:
                    with pytest.raises(TurnOverError):
                        await turn.put("late")

                tg.start_soon(put_late)
                await until_waiting(pipeline, 1)
                tg.start_soon(pipeline.process_input_data, "behind")
                await until_waiting(pipeline, 2)
            gate.open()
            assert await rest_of_after(pipeline, "behind") == ["busy", "queued", "behind"]


async def rest_of_after(pipeline, last: object) -> list:
    """Read until this one has come, then close."""
    output, results = pipeline.generate_output_stream(), []
    while last not in results:
        results.append(await anext(output))
    return results + await rest_of(pipeline)


async def test_an_interrupt_tells_what_waits_by_its_turn():
    """A plain put returns as accepted and dropped, one of the turn raises; both are stale."""
    gate, returned = Gate("busy"), []
    pipeline = AsyncTaskPipeline(1).add_stage("gate", gate)

    async def put_plain() -> None:
        await pipeline.process_input_data("plain")
        returned.append("plain")

    async with pipeline:
        await pipeline.process_input_data("busy")
        await gate.entered()
        await pipeline.process_input_data("queued")
        async with create_task_group() as tg, pipeline.turn() as turn:
            tg.start_soon(put_plain)

            async def put_bound() -> None:
                with pytest.raises(TurnOverError):
                    await turn.put("bound")

            tg.start_soon(put_bound)
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


@pytest.mark.parametrize("name", ["put_from_thread", "put_sentinel_from_thread"])
async def test_a_put_that_blocks_does_not_belong_in_the_loops_thread(name):
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        async with pipeline.turn() as turn:
            with pytest.raises(PipelineStateError, match="another thread") as caught:
                getattr(turn, name)("never")
            assert not isinstance(caught.value, TurnOverError)
            await turn.put("fine")
        assert await rest_of(pipeline) == ["fine"]


@pytest.mark.parametrize("created_at", ["now", [1.0], 1j])
async def test_a_wrong_created_at_is_named_and_the_turn_stays_open(created_at):
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        async with pipeline.turn() as turn:
            with pytest.raises(TypeError, match="created_at"):
                await turn.put("never", created_at)
            with pytest.raises(TypeError, match="created_at"):
                await to_thread.run_sync(turn.put_from_thread, "never", created_at)
            await turn.put("fine", created_at=0.0)
        assert await rest_of(pipeline) == ["fine"]


async def test_what_is_put_by_the_block_comes_out_in_order_with_back_pressure():
    pipeline = AsyncTaskPipeline(2).add_stage("same", same)
    async with pipeline, create_task_group() as tg:

        async def produce() -> None:
            async with pipeline.turn() as turn:
                for number in range(50):
                    await turn.put(number)
                    assert pipeline.statistics().inside <= (2 * 1 + 1) * 2
            await pipeline.process_input_sentinel("end")

        tg.start_soon(produce)
        results = []
        async for each in pipeline.generate_output_stream():
            if each == "end":
                break
            results.append(each)
        assert results == list(range(50))


async def same_on_loop(data):
    if data == "fails":
        raise LookupError(data)
    return data
