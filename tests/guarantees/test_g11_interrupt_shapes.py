"""G11, the shapes in which others leak.

The rule: every turn ends with a marker, and a listener hears all that comes out. From the interrupt
on it hears every marker that was accepted, in order, then the next turn whole, and nothing else.
``nox -s bench -- --only barge-in`` runs the same shapes on a well-known voice framework (pipecat-ai
1.14), which leaks in each.
"""

from __future__ import annotations

import itertools
import threading

import anyio
import pytest
from anyio import create_task_group, get_cancelled_exc_class, to_thread
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline, TurnOverError
from tests.support.functions import same, same_on_loop
from tests.support.gates import stubborn
from tests.support.listening import listening
from tests.support.waiting import PATIENCE, until, waiting

pytestmark = pytest.mark.anyio

SAME = {"thread": same, "async": same_on_loop}


async def put_turn(pipeline, name) -> None:
    """Put one item, and the marker that ends its turn."""
    await pipeline.process_input_data(name)
    await pipeline.process_input_sentinel(f"end of {name}")


async def endless(prompt):
    """A model that yields without waiting for anything: ``sleep(0)`` in between."""
    for number in itertools.count():
        yield prompt if prompt == "new" else f"{prompt} {number}"
        if prompt == "new":
            return
        await checkpoint()


@pytest.mark.parametrize("between", [0, 1, 3])
@pytest.mark.parametrize("kind", SAME)
async def test_an_interruption_raised_downstream_of_a_producer_that_never_pauses(kind, between):
    """There, with three stages between: 18 stale frames, because the producer hears of it last."""
    receipts = []

    async def notice(sound):
        if sound == "old 5":
            listener.from_now()
            receipts.append(await pipeline.interrupt(sentinel="flush"))
        return sound

    pipeline = AsyncTaskPipeline(8).add_stage("model", endless)
    for number in range(between):
        pipeline.add_stage(f"{number}", SAME[kind])
    pipeline.add_stage("notice", notice).add_stage("last", SAME[kind])
    async with listening(pipeline) as listener:
        await put_turn(pipeline, "old")
        await until(lambda: receipts)
        await put_turn(pipeline, "new")
    assert listener.since == ["end of old", "flush", "new", "end of new"]
    assert set(listener.heard[: listener.before]) <= {f"old {number}" for number in range(5)}


@pytest.mark.parametrize("kind", SAME)
async def test_a_producer_that_pushes_from_a_task_or_thread_of_its_own(kind):
    """There: all of the frames that it had not pushed yet, however many."""
    refused, put = [], anyio.Event()
    pipeline = AsyncTaskPipeline(4).add_stage("first", same_on_loop).add_stage("last", SAME[kind])

    async def push(turn) -> None:
        with pytest.raises(TurnOverError):
            while True:
                if kind == "thread":
                    await to_thread.run_sync(turn.put_from_thread, "old")
                else:
                    await turn.put("old")
                put.set()
        refused.append(turn.number)

    async with listening(pipeline) as listener, create_task_group() as tg:
        async with pipeline.turn() as turn:
            tg.start_soon(push, turn)  # not of the block: nobody cancels it
            await turn.put_sentinel("begin")
            await put.wait()
            await turn.put_sentinel("end of old")
            await until(lambda: "end of old" in listener.heard)
            await until(lambda: waiting(pipeline) or pipeline.statistics().inside)
            listener.from_now()
            await pipeline.interrupt(sentinel="flush")
        await put_turn(pipeline, "new")
        await until(lambda: refused)
    assert listener.since == ["flush", "new", "end of new"]
    assert refused == [turn.number]


async def test_a_stage_that_hands_on_what_its_own_task_receives():
    """A voice at the end of a connection: the task that reads it is not the one that is cancelled."""
    sent = []
    pipeline = AsyncTaskPipeline(4)

    async def connection(text, sound) -> None:
        with sound:
            for number in range(1 if text == "new" else 40):
                try:
                    sound.send_nowait(f"{text} {number}")
                except anyio.BrokenResourceError:
                    sent.append("after its end")
                await checkpoint()

    async def voice(text):
        sound, ear = anyio.create_memory_object_stream(100)
        tg.start_soon(connection, text, sound)
        with ear:
            async for each in ear:
                yield each

    pipeline.add_stage("voice", voice).add_stage("last", same_on_loop)
    async with listening(pipeline) as listener, create_task_group() as tg:
        await put_turn(pipeline, "old")
        await until(lambda: "old 3" in listener.heard)
        listener.from_now()
        await pipeline.interrupt(sentinel="flush")
        await put_turn(pipeline, "new")
        await until(lambda: len(sent) > 3)  # it goes on to speak
    assert listener.since == ["end of old", "flush", "new 0", "end of new"]


@pytest.mark.parametrize("kind", SAME)
async def test_data_waiting_before_a_stage_that_is_busy_with_something_urgent(kind):
    """There: 10 frames of 10, because the interruption overtakes the queue that they wait in."""
    urgent, _ = stubborn(kind, "urgent")
    pipeline = AsyncTaskPipeline(20).add_stage("before", SAME[kind])
    pipeline.add_stage("busy", urgent).add_stage("last", same_on_loop)
    async with listening(pipeline) as listener:
        await pipeline.process_input_data("urgent")
        await urgent.entered()
        for number in range(10):
            await pipeline.process_input_data(number)
        await pipeline.process_input_sentinel("end of old")
        await until(lambda: pipeline.statistics().stages["busy"].queue_depth == 11)
        listener.from_now()
        receipt = await pipeline.interrupt(sentinel="flush")
        assert (receipt.total, receipt.busy) == (11, ("busy",))
        await until(lambda: listener.since == ["end of old", "flush"])  # though it is still busy
        await put_turn(pipeline, "new")
        urgent.open()
    assert listener.since == ["end of old", "flush", "new", "end of new"]
    assert urgent.calls == ["urgent", "new"]


def twice(item):
    yield item
    yield item


async def twice_async(item):
    yield item
    await checkpoint()
    yield item


@pytest.mark.parametrize("size", [1, 8])
async def test_no_end_of_turn_marker_is_lost_wherever_it_is(size):
    """There: lost, if it still was in the queue of a processor."""
    turns, accepted, interrupts = 60, [], []
    pipeline = AsyncTaskPipeline(size).add_stage("thread", same).add_stage("generator", twice)
    pipeline.add_stage("task", same_on_loop).add_stage("async generator", twice_async)

    async def talk() -> None:
        for number in range(turns):
            await pipeline.process_input_data(number)
            await pipeline.process_input_sentinel(f"end of {number}")
            accepted.append(number)

    async with listening(pipeline) as listener:
        async with create_task_group() as tg:
            tg.start_soon(talk)
            while len(accepted) < turns:
                for _ in range(len(interrupts) % 23):  # so that it is met in every place
                    await checkpoint()
                interrupts.append((len(listener.heard), len(accepted)))
                await pipeline.interrupt()
        listener.from_now()
        await pipeline.interrupt()
        await put_turn(pipeline, "new")
    markers = [each for each in listener.heard if str(each).startswith("end")]
    assert markers == [*(f"end of {number}" for number in range(turns)), "end of new"]
    assert [each for each in listener.since if each not in markers] == ["new"] * 4
    for heard, over in interrupts:
        assert not {*range(over)}.intersection(listener.heard[heard:])


class Swallowing:
    """Catches its cancellation the first time, as some libraries do, and goes on."""

    def __init__(self, then) -> None:
        self.then = then
        self.entered = anyio.Event()
        self.swallowed = 0
        self.ended = threading.Event()

    async def wait(self, item) -> None:
        if item != "old":
            return
        self.entered.set()
        try:
            await anyio.sleep(PATIENCE * 2)
        except get_cancelled_exc_class():
            self.swallowed += 1
        try:
            if self.then == "waits on":
                await anyio.sleep(PATIENCE * 2)  # cancelled again: a scope's cancellation stays
        finally:
            self.ended.set()

    async def call(self, item):
        await self.wait(item)
        return item

    async def generate(self, item):
        await self.wait(item)
        yield item
        if item == "old":
            yield "old too"


@pytest.mark.parametrize("then", ["waits on", "goes on"])
@pytest.mark.parametrize("form", ["call", "generate"])
async def test_a_cancel_swallowed_once(form, then):
    """There: the old turn goes on for a second, 19 frames of 20."""
    stage = Swallowing(then)
    pipeline = AsyncTaskPipeline(20).add_stage("swallowing", getattr(stage, form)).add_stage("last", same)
    async with listening(pipeline) as listener:
        for _ in range(10):
            await put_turn(pipeline, "old")
        await stage.entered.wait()
        listener.from_now()
        receipt = await pipeline.interrupt(sentinel="flush", grace=PATIENCE)
        assert (receipt.total, receipt.busy, list(receipt.idle_after)) == (10, (), ["swallowing"])
        assert stage.ended.is_set()
        await put_turn(pipeline, "new")
    assert stage.swallowed == 1
    assert listener.since == [*["end of old"] * 10, "flush", "new", "end of new"]
