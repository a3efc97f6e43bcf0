"""G11 to G14: what an interrupt does in the step in which it is made.

The rule: a stage of every kind is in the middle of a call when the interrupt comes, and
nobody runs between the interrupt and the look at what it did.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from anyio import to_thread
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline, InterruptReceipt

pytestmark = pytest.mark.anyio

Pipeline = AsyncTaskPipeline[Any, Any]
PATIENCE = 60
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
async def test_g11_g12_sentinels_come_out_in_order_and_nothing_else(kind: str) -> None:
    stage = Stage(kind)
    pipeline = Pipeline().add_stage("before", lambda value: value).add_stage(kind, stage.function)
    pipeline.add_stage("after", lambda value: value)
    with anyio.fail_after(PATIENCE):
        async with pipeline:
            output = pipeline.generate_output_stream()
            await in_call(pipeline, stage)
            receipt = await pipeline.interrupt()
            assert receipt.busy == (kind,)
            # The call is still running, and they need not wait for it.
            assert [await anext(output), await anext(output)] == ["first marker", None]
            stage.gate.set()
            await pipeline.process_input_data("new")
            await pipeline.process_input_sentinel("last marker")
            assert [await anext(output), await anext(output)] == ["new", "last marker"]
            assert receipt.total == 2
            assert pipeline.statistics().dropped == 2


async def test_g12_clear_drops_the_sentinels_too() -> None:
    stage = Stage("thread")
    pipeline = Pipeline().add_stage("stage", stage.function)
    with anyio.fail_after(PATIENCE):
        async with pipeline:
            await in_call(pipeline, stage)
            pipeline.clear()
            stage.gate.set()
            await pipeline.process_input_sentinel("new marker")
            assert await anext(pipeline.generate_output_stream()) == "new marker"


async def test_g13_it_is_a_no_op_wherever_there_is_nothing_to_interrupt() -> None:
    pipeline = Pipeline().add_stage("same", lambda value: value)
    with anyio.fail_after(PATIENCE):
        assert await pipeline.interrupt() == InterruptReceipt()
        async with pipeline:
            assert (await pipeline.interrupt()).total == 0
            receipts = []

            async def interrupt() -> None:
                receipts.append(await pipeline.interrupt())

            async with anyio.create_task_group() as tg:
                await pipeline.process_input_data(0)
                for _ in range(10):
                    tg.start_soon(interrupt)
            assert sum(receipt.total for receipt in receipts) == 1
            pipeline.close_input()
            assert (await pipeline.interrupt()).total == 0
            assert [each async for each in pipeline.generate_output_stream()] == []
        assert await pipeline.interrupt() == InterruptReceipt()


@pytest.mark.parametrize("kind", KINDS)
async def test_g13_it_does_not_wait_and_the_next_item_is_the_next_processed(kind: str) -> None:
    stage = Stage(kind)
    pipeline = Pipeline().add_stage("before", lambda value: value).add_stage(kind, stage.function)
    with anyio.fail_after(PATIENCE):
        async with pipeline:
            await in_call(pipeline, stage)
            turns_of_the_loop = 0

            async def count() -> None:
                nonlocal turns_of_the_loop
                while True:
                    turns_of_the_loop += 1
                    await checkpoint()

            async with anyio.create_task_group() as tg:
                tg.start_soon(count)
                before = turns_of_the_loop
                await pipeline.interrupt()
                assert turns_of_the_loop == before
                tg.cancel_scope.cancel()
            # How many were through before the interrupt is up to the machine.
            through = pipeline.statistics().stages["before"].delivered
            await pipeline.process_input_data("new")
            while pipeline.statistics().stages["before"].delivered == through:
                await checkpoint()  # the stages before flow, though this one is busy
            stage.gate.set()
            output = pipeline.generate_output_stream()
            assert [await anext(output) for _ in range(3)] == ["first marker", None, "new"]


@pytest.mark.parametrize("kind", KINDS)
async def test_g14_one_call_at_a_time_though_an_interrupted_one_goes_on(kind: str) -> None:
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
