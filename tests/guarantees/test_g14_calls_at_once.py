"""G14: A stage never runs more calls at once than it has workers, not even while an interrupted
call that cannot be stopped is still running, unless it says that it is re-entrant.

The rule: a gate counts who is inside. A reset is called by the stage's own worker between the
interrupted call and the next; only a re-entrant stage is ever in two calls at once.
"""

from __future__ import annotations

import threading

import pytest
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline
from tests.support.functions import same
from tests.support.gates import KINDS, AsyncGate, Gate, put_held, put_turn, stubborn
from tests.support.waiting import read, rest_of, until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", KINDS)
async def test_one_call_at_a_time_though_an_interrupted_one_goes_on(kind):
    gate, stage = stubborn(kind, "stale")
    pipeline = AsyncTaskPipeline().add_stage(kind, stage)
    async with pipeline:
        await put_turn(pipeline, gate)
        for number in range(5):
            assert (await pipeline.interrupt()).busy == (kind,)
            await pipeline.process_input_data(number)
            await checkpoint()
        assert gate.inside == 1
        gate.open()
        assert await read(pipeline, 3) == ["first marker", None, 4]
        assert gate.most == 1


async def test_a_thread_is_reset_after_its_call_and_before_the_next():
    gate, seen = Gate("stale"), []

    def note(what):
        seen.append((what, threading.current_thread() is threading.main_thread()))

    def decode(item):
        result = gate(item)
        note(item)
        return result

    pipeline = AsyncTaskPipeline().add_stage("decode", decode, on_interrupt=lambda: note("reset"))
    async with pipeline:
        await put_held(pipeline, gate, "stale")
        await pipeline.interrupt()
        await pipeline.process_input_data("new")
        assert seen == []
        gate.open()
        assert await read(pipeline, 1) == ["new"]
        assert seen == [("stale", False), ("reset", False), ("new", False)]
        await pipeline.interrupt()
        await until(lambda: len(seen) == 4)  # an idle stage is reset too
        assert await rest_of(pipeline) == []


async def test_an_async_stage_may_be_reset_by_an_async_function():
    gate, seen = AsyncGate("stale"), []

    async def reset():
        seen.append(list(gate.ended))
        await checkpoint()
        seen.append("reset")

    pipeline = AsyncTaskPipeline().add_stage("decode", gate, on_interrupt=reset)
    async with pipeline:
        await put_held(pipeline, gate, "stale")
        await pipeline.interrupt()
        await pipeline.process_input_data("new")
        assert await read(pipeline, 1) == ["new"]
        assert seen == [["stale"], "reset"]


async def test_an_async_stage_may_be_reset_by_a_plain_function_and_once_for_two_interrupts_in_one_step():
    seen = []

    async def decode(item):
        seen.append(item)
        return item

    pipeline = AsyncTaskPipeline().add_stage("decode", decode, on_interrupt=lambda: seen.append("reset"))
    async with pipeline:
        await pipeline.process_input_data("old")
        assert await read(pipeline, 1) == ["old"]
        for _ in range(2):
            await pipeline.interrupt()
        await pipeline.process_input_data("new")
        assert await read(pipeline, 1) == ["new"]
    assert seen == ["old", "reset", "new"]


async def test_a_stage_before_the_interrupt_is_not_reset():
    seen = []
    pipeline = AsyncTaskPipeline()
    for name in "ab":
        pipeline.add_stage(name, same, on_interrupt=lambda name=name: seen.append(name))
    async with pipeline:
        await pipeline.interrupt(from_stage="b")
        await pipeline.process_input_data(0)
        assert await read(pipeline, 1) == [0]
    assert seen == ["b"]


async def test_a_reset_that_fails_ends_the_pipeline_with_its_error():
    error = LookupError("no decoder")

    def reset():
        raise error

    pipeline = AsyncTaskPipeline(return_exceptions=True).add_stage("decode", same, on_interrupt=reset)
    with pytest.raises(LookupError) as caught:
        async with pipeline:
            await pipeline.interrupt()
            await anext(pipeline.generate_output_stream())
    assert caught.value is error
    assert any("'decode'" in note for note in error.__notes__)


@pytest.mark.parametrize("kind", ["thread", "async"])
async def test_the_next_turn_starts_beside_a_call_that_does_not_end(kind):
    gate, _ = stubborn(kind, "stale")
    pipeline = AsyncTaskPipeline().add_stage("decode", gate, reentrant=True)
    async with pipeline:
        for number in range(3):
            await pipeline.process_input_data("stale")
            await until(lambda number=number: gate.inside == number + 1)
            receipt = await pipeline.interrupt()
            assert receipt.busy == ("decode",)
        await pipeline.process_input_data("new")
        assert await read(pipeline, 1) == ["new"]
        assert gate.inside == 3
        gate.open()
        await until(lambda: gate.inside == 0)
        assert await rest_of(pipeline) == []  # none of the late results
