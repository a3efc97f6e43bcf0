"""Interrupted calls that end badly, or long after.

The rule: an interrupted call that fails is stale like its result: logged, and the
pipeline goes on. An exit is never stale: whoever asks the process to end is heard. And
each interrupt waits for its own calls, whatever becomes of another's wait.
"""

from __future__ import annotations

import logging

import anyio
import pytest
from anyio import CancelScope, create_task_group, fail_after

from async_task_pipeline import AsyncTaskPipeline
from tests.cancelling import assert_law
from tests.interrupts.scenes import PATIENCE, AsyncGate, Gate, read, rest_of, until

pytestmark = pytest.mark.anyio


def failing(kind, exc):
    """A stage that comes to a gate with "stale", and then raises."""
    gate = Gate("stale") if kind == "thread" else AsyncGate("stale", stubborn=True)

    def fail(data):
        gate(data)
        if data == "stale":
            raise exc
        return data

    async def fail_async(data):
        await gate(data)
        if data == "stale":
            raise exc
        return data

    return gate, fail if kind == "thread" else fail_async


@pytest.mark.parametrize("kind", ["thread", "async"])
@pytest.mark.parametrize("on_error", ["raise", "return"])
async def test_a_failure_of_a_stale_call_is_logged_and_ends_nothing(kind, on_error, caplog):
    error = LookupError("stale")
    gate, stage = failing(kind, error)
    pipeline = AsyncTaskPipeline().add_stage("stage", stage, on_error=on_error)
    with fail_after(PATIENCE), caplog.at_level(logging.WARNING, "async_task_pipeline"):
        async with pipeline:
            await pipeline.process_input_data("stale")
            await gate.entered()
            assert (await pipeline.interrupt()).busy == ("stage",)
            gate.opened.set()
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
    with fail_after(PATIENCE), pytest.raises(Exit) as caught:
        async with pipeline:
            await pipeline.process_input_data("stale")
            await gate.entered()
            await pipeline.interrupt()
            gate.opened.set()
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

    with fail_after(PATIENCE):
        async with pipeline, create_task_group() as tg:
            await pipeline.process_input_data("b")
            await second.entered()
            await pipeline.process_input_data("a")
            await first.entered()
            earlier, later = CancelScope(), CancelScope()
            tg.start_soon(interrupt, "second", earlier)
            await until(lambda: pipeline.statistics().dropped == 1)
            tg.start_soon(interrupt, "first", later)
            await until(lambda: pipeline.statistics().dropped == 2)
            earlier.cancel()
            await until(lambda: earlier.cancelled_caught)
            assert receipts == {}
            for gate in (first, second):
                gate.opened.set()
            await until(lambda: receipts)
            assert sorted(receipts["first"].idle_after) == ["first", "second"]
            await pipeline.process_input_data("new")
            assert await read(pipeline, 1) == ["new"]
