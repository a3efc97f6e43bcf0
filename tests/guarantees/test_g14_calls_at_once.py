"""G14: A stage never runs more calls at once than it has workers, not even while an interrupted
call that cannot be stopped is still running, unless it says that it is re-entrant.

The rule: a gate counts who is inside. A reset is called by the stage's own worker between the
interrupted call and the next; only a re-entrant stage is ever in two calls at once.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from anyio import fail_after, to_thread
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline
from tests.support.gates import AsyncGate, Gate
from tests.support.waiting import PATIENCE, read, rest_of, until

pytestmark = pytest.mark.anyio


Pipeline = AsyncTaskPipeline[Any, Any]


KINDS = ["thread", "thread generator", "async", "async generator"]


class Stage:
    """A stage function of any kind that stays in its first call until released."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.running = self.most = 0
        self.function = {
            "thread": self.plain,
            "thread generator": self.generator,
            "async": self.coroutine,
            "async generator": self.async_generator,
        }[kind]

    def _begin(self) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        self.entered.set()

    def plain(self, value: object) -> object:
        self._begin()
        try:
            assert value != "stale" or self.gate.wait(PATIENCE)
        finally:
            self.running -= 1
        return value

    def generator(self, value: object) -> Iterator[object]:
        self._begin()
        try:
            assert value != "stale" or self.gate.wait(PATIENCE)
            yield value
        finally:
            self.running -= 1

    async def _wait(self, value: object) -> None:
        # It swallows its cancellation, so that it is as stubborn as a thread.
        with anyio.CancelScope(shield=True):
            while value == "stale" and not self.gate.is_set():
                await checkpoint()

    async def coroutine(self, value: object) -> object:
        self._begin()
        try:
            await self._wait(value)
        finally:
            self.running -= 1
        return value

    async def async_generator(self, value: object) -> AsyncIterator[object]:
        self._begin()
        try:
            await self._wait(value)
            yield value
        finally:
            self.running -= 1


async def in_call(pipeline: Pipeline, stage: Stage) -> None:
    await pipeline.process_input_data("stale")
    await pipeline.process_input_sentinel("first marker")
    await pipeline.process_input_data("stale too")
    await pipeline.process_input_sentinel(None)
    assert await to_thread.run_sync(stage.entered.wait, PATIENCE)


@pytest.mark.parametrize("kind", KINDS)
async def test_one_call_at_a_time_though_an_interrupted_one_goes_on(kind: str) -> None:
    stage = Stage(kind)
    pipeline = Pipeline().add_stage(kind, stage.function)
    with anyio.fail_after(PATIENCE):
        async with pipeline:
            await in_call(pipeline, stage)
            for number in range(20):
                assert (await pipeline.interrupt()).busy == (kind,)
                await pipeline.process_input_data(number)
                await checkpoint()
            assert stage.running == 1
            stage.gate.set()
            output = pipeline.generate_output_stream()
            assert [await anext(output) for _ in range(3)] == ["first marker", None, 19]
            assert stage.most == 1


GATES = {"thread": Gate, "async": AsyncGate}


async def test_a_thread_is_reset_after_its_call_and_before_the_next():
    gate, seen = Gate("stale"), []

    def decode(item):
        result = gate(item)
        seen.append((item, threading.get_ident() == threading.main_thread().ident))
        return result

    def reset():
        seen.append(("reset", threading.get_ident() == threading.main_thread().ident))

    pipeline = AsyncTaskPipeline().add_stage("decode", decode, on_interrupt=reset)
    with fail_after(PATIENCE):
        async with pipeline:
            await pipeline.process_input_data("stale")
            await gate.entered()
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
    with fail_after(PATIENCE):
        async with pipeline:
            await pipeline.process_input_data("stale")
            await gate.entered()
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
    with fail_after(PATIENCE):
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
        pipeline.add_stage(name, lambda item: item, on_interrupt=lambda name=name: seen.append(name))
    with fail_after(PATIENCE):
        async with pipeline:
            await pipeline.interrupt(from_stage="b")
            await pipeline.process_input_data(0)
            assert await read(pipeline, 1) == [0]
    assert seen == ["b"]


async def test_a_reset_that_fails_ends_the_pipeline_with_its_error():
    error = LookupError("no decoder")

    def reset():
        raise error

    pipeline = AsyncTaskPipeline(return_exceptions=True).add_stage("decode", lambda item: item, on_interrupt=reset)
    with fail_after(PATIENCE):
        with pytest.raises(LookupError) as caught:
            async with pipeline:
                await pipeline.interrupt()
                await anext(pipeline.generate_output_stream())
    assert caught.value is error
    assert any("'decode'" in note for note in error.__notes__)


@pytest.mark.parametrize("kind", GATES)
async def test_the_next_turn_starts_beside_a_call_that_does_not_end(kind):
    gate = Gate("stale") if kind == "thread" else AsyncGate("stale", stubborn=True)
    pipeline = AsyncTaskPipeline().add_stage("decode", gate, reentrant=True)
    with fail_after(PATIENCE):
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
