"""G13, protected stages.

The rule: ``interruptible=False`` covers an item from the step in which the stage accepts it until
the step in which it passes the results on: queued, in call, half-way through a generator, or
finished and waiting for room. Before and behind, it is an item like any other; ``clear`` and
``stop`` know no protection.
"""

from __future__ import annotations

import pytest
from anyio import create_task_group

from async_task_pipeline import AsyncTaskPipeline, DroppedItems
from tests.support.functions import same
from tests.support.gates import AsyncGate, Gate, put_held
from tests.support.law import assert_law
from tests.support.waiting import read, rest_of, until, until_waiting

pytestmark = pytest.mark.anyio


def as_generator(gate):
    """A generator of three results, with the gate before the second."""

    def generate(data):
        yield f"{data}1"
        yield f"{gate(data)}2"
        yield f"{data}3"

    return generate


def as_async_generator(gate):
    """The same on the loop."""

    async def generate(data):
        yield f"{data}1"
        yield f"{await gate(data)}2"
        yield f"{data}3"

    return generate


KINDS = {
    "thread": (Gate, lambda gate: gate, [""]),
    "async": (AsyncGate, lambda gate: gate, [""]),
    "generator": (Gate, as_generator, ["1", "2", "3"]),
    "async generator": (AsyncGate, as_async_generator, ["1", "2", "3"]),
}
kinds = pytest.mark.parametrize("kind", KINDS)


def scene(kind, place):
    """A pipeline with a protected gate in this place; the gate, and the ends of results."""
    make_gate, make_stage, suffixes = KINDS[kind]
    gate = make_gate("a")
    pipeline = AsyncTaskPipeline()
    if place != "first":
        pipeline.add_stage("before", same)
    pipeline.add_stage("kept", make_stage(gate), interruptible=False)
    if place != "last":
        pipeline.add_stage("after", same)
    return pipeline, gate, suffixes


@kinds
@pytest.mark.parametrize("place", ["first", "middle", "last"])
async def test_several_interrupts_touch_nothing_of_it(kind, place):
    pipeline, gate, suffixes = scene(kind, place)
    async with pipeline:
        for data in "abc":
            await pipeline.process_input_data(data)
            await pipeline.process_input_sentinel(f"end {data}")
        await gate.entered()
        await until(lambda: pipeline.statistics().stages["kept"].accepted == 3)
        # What a generator yielded before the gate is the next stage's, or delivered.
        passed = await read(pipeline, len(suffixes) // 2)
        for _ in range(3):
            receipt = await pipeline.interrupt()
            assert (receipt.total, receipt.busy) == (0, ())
            assert receipt.dropped["kept"] == DroppedItems()
            assert_law(pipeline)
        gate.open()
        await pipeline.process_input_data("new")
        of_abc = [
            data + suffix if suffix != "end" else f"end {data}" for data in "abc" for suffix in [*suffixes, "end"]
        ]
        assert passed + await rest_of(pipeline) == [*of_abc, *(f"new{suffix}" for suffix in suffixes)]
    assert gate.calls == ["a", "b", "c", "new"]
    assert gate.most == 1
    assert getattr(gate, "cancelled", 0) == 0
    assert pipeline.statistics().dropped == 0


@kinds
async def test_what_it_has_finished_waits_for_room_and_is_delivered(kind):
    """Nobody reads, so the output, the window and the link are full when the interrupt comes."""
    make_gate, make_stage, suffixes = KINDS[kind]
    pipeline = AsyncTaskPipeline(1).add_stage("kept", make_stage(make_gate("nobody")), interruptible=False)
    accepted = "ab" if len(suffixes) > 1 else "abc"
    async with pipeline, create_task_group() as tg:
        for data in accepted:
            await pipeline.process_input_data(data)
        await until(pipeline.output_queue.full)
        tg.start_soon(pipeline.process_input_data, "not accepted")
        await until_waiting(pipeline, 1)
        receipt = await pipeline.interrupt()
        assert receipt.dropped["kept"] == DroppedItems()
        await until(lambda: pipeline.statistics().dropped == 1)  # the one that waited, as its put returns
        assert await rest_of(pipeline) == [data + suffix for data in accepted for suffix in suffixes]


async def test_in_order_from_every_place_it_can_be_in():
    """At once: delivered, waiting for the consumer, finished, in call, queued; sentinels between."""
    gate = Gate("c")
    pipeline = AsyncTaskPipeline(1).add_stage("kept", gate, interruptible=False)
    async with pipeline:
        for data in "abc":
            await pipeline.process_input_data(data)
            await until(pipeline.input_queue.empty)
            if data == "a":
                assert await read(pipeline, 1) == ["a"]
        await gate.entered()
        await pipeline.process_input_sentinel("end")
        assert pipeline.statistics().stages["kept"].queue_depth == 1
        receipt = await pipeline.interrupt(sentinel="marker")
        assert receipt.total == 0
        gate.open()
        assert await rest_of(pipeline) == ["b", "marker", "c", "end"]


async def test_only_what_it_has_accepted_is_kept():
    before, kept, after = Gate("before"), Gate("kept"), Gate("after")
    pipeline = AsyncTaskPipeline(2).add_stage("before", before).add_stage("kept", kept, interruptible=False)
    pipeline.add_stage("after", after)
    async with pipeline, create_task_group() as tg:
        for data, gate in (("after", after), ("kept", kept), ("before", before)):
            await pipeline.process_input_data(data)
            await pipeline.process_input_sentinel(f"behind {data}")
            await gate.entered()
        for data in ("queued before", "queued behind"):
            await pipeline.process_input_data(data)
        tg.start_soon(pipeline.process_input_data, "waiting")
        await until_waiting(pipeline, 1)
        receipt = await pipeline.interrupt()
        assert receipt.busy == ("before", "after")
        assert receipt.dropped == {
            "before": DroppedItems(queued=2, in_call=1),
            "kept": DroppedItems(),
            "after": DroppedItems(in_call=1),
        }
        for gate in (before, kept, after):
            gate.open()
        await pipeline.process_input_data("new")
        assert await rest_of(pipeline) == ["behind after", "kept", "behind kept", "behind before", "new"]


async def test_what_it_has_handed_on_is_dropped_in_the_next_stage():
    kept, after = Gate("b"), Gate("a")
    pipeline = AsyncTaskPipeline().add_stage("kept", kept, interruptible=False).add_stage("after", after)
    async with pipeline:
        await put_held(pipeline, after, "a")
        await put_held(pipeline, kept, "b")
        assert (await pipeline.interrupt()).dropped["after"] == DroppedItems(in_call=1)
        kept.open()  # now it hands on, to a stage that is still in its stale call
        await until(lambda: pipeline.statistics().stages["after"].queue_depth == 1)
        assert (await pipeline.interrupt()).dropped["after"] == DroppedItems(queued=1)
        after.open()
        assert await rest_of(pipeline) == []


async def test_two_protected_stages_keep_the_order_of_all_sentinels():
    first, second = Gate("y"), Gate("x")
    pipeline = AsyncTaskPipeline().add_stage("one", same).add_stage("first", first, interruptible=False)
    pipeline.add_stage("two", same).add_stage("second", second, interruptible=False).add_stage("three", same)
    async with pipeline:
        for number, (data, gate) in enumerate((("x", second), ("y", first))):
            await pipeline.process_input_sentinel(number)
            await put_held(pipeline, gate, data)
        await pipeline.process_input_sentinel(2)
        for _ in range(2):
            assert (await pipeline.interrupt()).total == 0
        first.open()
        await until(lambda: first.calls and pipeline.statistics().stages["second"].accepted == 2)
        second.open()
        assert await rest_of(pipeline) == [0, "x", 1, "y", 2]


@kinds
@pytest.mark.parametrize("end", ["clear", "stop"])
async def test_clear_and_stop_drop_all_the_same(kind, end):
    pipeline, gate, suffixes = scene(kind, "middle")
    async with pipeline, create_task_group() as tg:
        for data in "abc":
            await pipeline.process_input_data(data)
        await gate.entered()
        await until(lambda: pipeline.statistics().stages["kept"].accepted == 3)
        await until(lambda: pipeline.statistics().output_depth == len(suffixes) // 2)
        if end == "clear":
            assert pipeline.clear().total == 3 + len(suffixes) // 2
        else:
            tg.start_soon(pipeline.stop)
            await until(lambda: not pipeline.running)
        assert_law(pipeline)
        now = pipeline.statistics()
        assert now.inside == now.output_depth == (0 if end == "clear" else len(suffixes) // 2)
        gate.open()
        if end == "clear":
            await pipeline.process_input_data("new")
            assert await rest_of(pipeline) == [f"new{suffix}" for suffix in suffixes]
        else:
            left = [each async for each in pipeline.generate_output_stream()]
            assert left == [f"a{suffix}" for suffix in suffixes[: len(suffixes) // 2]]
    assert_law(pipeline)


async def test_the_stage_to_interrupt_from_may_be_protected_itself():
    kept, after = Gate("kept"), Gate("after")
    pipeline = AsyncTaskPipeline().add_stage("kept", kept, interruptible=False).add_stage("after", after)
    async with pipeline:
        await put_held(pipeline, after, "after")
        await put_held(pipeline, kept, "kept")
        receipt = await pipeline.interrupt(from_stage="kept")
        assert (receipt.total, receipt.busy, list(receipt.dropped)) == (1, ("after",), ["kept", "after"])
        kept.open()
        after.open()
        assert await rest_of(pipeline) == ["kept"]


async def test_protection_does_not_spread_and_holds_nobody_up():
    write, voice = Gate("a"), AsyncGate("z")
    pipeline = AsyncTaskPipeline().add_stage("think", same)
    pipeline.add_stage("write", write, interruptible=False).add_stage("voice", voice)
    async with pipeline:
        await put_held(pipeline, voice, "z")
        await put_held(pipeline, write, "a")
        receipt = await pipeline.interrupt()
        assert {name: part.in_call for name, part in receipt.dropped.items()} == {"think": 0, "write": 0, "voice": 1}
        await until(lambda: voice.inside == 0)  # cancelled, though the protected call goes on
        write.open()
        assert await rest_of(pipeline) == ["a"]
