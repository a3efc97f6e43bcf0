"""G13, with stages that do not end.

The rule: whatever stages and producers do that do not end when they are told to, the interrupt
returns when its grace is over and names who is stuck; nothing of the old turn is heard from then
on; and when they have ended at last, or at once where they never were in the way, the next turn
works.
"""

from __future__ import annotations

import threading

import anyio
import pytest
from anyio import CancelScope, create_task_group, to_thread
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline, TurnOverError
from tests.support.functions import same
from tests.support.gates import Gate
from tests.support.listening import listening
from tests.support.waiting import PATIENCE, until, until_waiting

pytestmark = pytest.mark.anyio


class Hostile:
    """A stage that is in a call of the old turn, and ends it only when it is released."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.release = threading.Event()
        self.ended = threading.Event()

    def hold(self) -> None:
        """Stay in the call, in a thread."""
        self.entered.set()
        assert self.release.wait(PATIENCE / 2), "nobody released it"

    async def hold_async(self) -> None:
        """Stay in the call, cancelled or not."""
        self.entered.set()
        with CancelScope(shield=True):
            await until(self.release.is_set)


class ChildGoesOn(Hostile):
    """Its child task emits after the parent was cancelled."""

    async def call(self, item):
        sound, ear = anyio.create_memory_object_stream(10)

        async def speak() -> None:
            with sound:
                if item == "old":
                    await self.hold_async()
                    self.ended.set()
                for _ in range(3):
                    sound.send_nowait(item)

        # The ear stays open as long as the child talks, so that it can be heard.
        with ear:
            async with create_task_group() as tg:
                tg.start_soon(speak)
                async for each in ear:
                    yield each


class LongFinally(Hostile):
    """A generator that has much to tidy up."""

    def call(self, item):
        try:
            yield item
            while item == "old":
                yield item
        finally:
            if item == "old":
                self.hold()
                self.ended.set()


class LongAsyncFinally(Hostile):
    """The same as a task."""

    async def call(self, item):
        try:
            yield item
            while item == "old":
                yield item
        finally:
            if item == "old":
                await self.hold_async()
                self.ended.set()


@pytest.mark.parametrize("kind", Hostile.__subclasses__())
async def test_it_is_named_nothing_stale_is_heard_and_the_next_turn_works(kind):
    stage = kind()
    pipeline = AsyncTaskPipeline(2).add_stage("hostile", stage.call).add_stage("last", same)
    async with listening(pipeline) as listener:
        await pipeline.process_input_data("old")
        await pipeline.process_input_sentinel("end of old")
        if kind in (LongFinally, LongAsyncFinally):  # they are entered by the interrupt itself
            await until(lambda: "old" in listener.heard)
        else:
            await until(stage.entered.is_set)
        listener.from_now()
        receipt = await pipeline.interrupt(sentinel="flush", grace=0.001)
        assert receipt.busy == ("hostile",)
        await until(lambda: listener.since == ["end of old", "flush"])  # though it is still stuck
        await until(stage.entered.is_set)
        assert (await pipeline.interrupt(grace=0.001)).busy == ("hostile",)
        await pipeline.process_input_data("new")
        await pipeline.process_input_sentinel("end of new")
        assert not stage.ended.is_set()
        stage.release.set()
    assert stage.ended.is_set()
    heard = ["new"] * (3 if kind is ChildGoesOn else 1)
    assert listener.since == ["end of old", "flush", *heard, "end of new"]


@pytest.mark.parametrize("bound", [True, False])
async def test_a_child_that_outlives_its_stage_cannot_put_what_is_stale(bound):
    """The stage of one pipeline feeds another by a task that the interrupt does not reach."""
    gate, outcome = Gate("busy"), []
    voice = AsyncTaskPipeline(1).add_stage("voice", gate)

    async def child(turn) -> None:
        put = turn.put if bound else voice.process_input_data
        try:
            await put("old")  # waits for room, and the interrupt finds it waiting
            outcome.append("returned")
            if bound:
                await put("older")
        except TurnOverError:
            outcome.append("refused")

    async def think(prompt):
        async with voice.turn() as turn:
            children.start_soon(child, turn)
            await anyio.sleep_forever()

    async with listening(voice) as listener, create_task_group() as children:
        await voice.process_input_data("busy")
        await gate.entered()
        await voice.process_input_data("queued")
        async with AsyncTaskPipeline().add_stage("think", think) as model:
            await model.process_input_data("prompt")
            await until_waiting(voice, 1)
            listener.from_now()
            assert (await model.interrupt(grace=PATIENCE)).busy == ()  # the child is none of its stage's
            assert (await voice.interrupt(sentinel="flush")).busy == ("voice",)
        await until(lambda: outcome)
        await voice.process_input_data("new")
        gate.open()
    assert outcome == (["refused"] if bound else ["returned"])
    assert listener.since == ["flush", "new"]


async def test_a_producer_thread_that_keeps_putting_is_refused_each_time():
    refused, enough = [], threading.Event()
    pipeline = AsyncTaskPipeline(2).add_stage("thread", same).add_stage("last", same)

    def keep_putting(turn) -> None:
        while not enough.is_set():
            try:
                turn.put_from_thread("old")
            except TurnOverError as error:
                refused.append(str(error))

    async with listening(pipeline) as listener, create_task_group() as tg:
        async with pipeline.turn() as turn:
            tg.start_soon(to_thread.run_sync, keep_putting, turn)
            await until(lambda: "old" in listener.heard)
            listener.from_now()
            await pipeline.interrupt(sentinel="flush", grace=PATIENCE)
        async with pipeline.turn() as new:
            for number in range(20):
                await new.put(number)
                await checkpoint()
            await until(lambda: len(refused) > 3)
        enough.set()
    assert listener.since == ["flush", *range(20)]
    assert set(refused) == {"turn 1 is over: it has been interrupted"}
