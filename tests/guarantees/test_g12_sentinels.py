"""G12: Sentinels accepted before an interrupt survive it, in order; ``clear()`` drops them too.

The rule: ``interrupt(sentinel=x)`` puts ``x`` into the output in the same step, full or not, busy
or not: behind what survives, and before all that is newer.
"""

from __future__ import annotations

import contextlib
from functools import partial

import anyio
import pytest
from anyio import CancelScope, create_task_group, fail_after, to_thread
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from async_task_pipeline import AsyncTaskPipeline
from tests.support.functions import same, same_on_loop
from tests.support.gates import AsyncGate, Gate, put_held, put_turn, stubborn
from tests.support.law import assert_law
from tests.support.listening import listening
from tests.support.waiting import PATIENCE, read, rest_of, until, until_waiting

pytestmark = pytest.mark.anyio


async def test_clear_drops_the_sentinels_too():
    gate, stage = stubborn("thread", "stale")
    pipeline = AsyncTaskPipeline().add_stage("stage", stage)
    async with pipeline:
        await put_turn(pipeline, gate)
        await pipeline.interrupt(sentinel="x")
        assert pipeline.output_queue.qsize() == 3
        pipeline.clear()
        gate.open()
        await pipeline.process_input_sentinel("new marker")
        assert await rest_of(pipeline) == ["new marker"]


async def test_several_interrupts_of_one_busy_call_each_have_their_marker_in_order():
    gate = Gate("old")
    pipeline = AsyncTaskPipeline().add_stage("gate", gate)
    async with pipeline:
        await put_held(pipeline, gate, "old")
        for number in range(5):
            await pipeline.process_input_sentinel(f"sentinel {number}")
            await pipeline.process_input_data("never called")
            await pipeline.interrupt(sentinel=f"marker {number}")
        await pipeline.process_input_data("new")
        expected = [f"{kind} {number}" for number in range(5) for kind in ("sentinel", "marker")]
        # At once: the call of the first of these turns has not returned.
        assert await read(pipeline, 10) == expected
        gate.open()
        assert await rest_of(pipeline) == ["new"]
    assert gate.calls == ["old", "new"]


async def test_a_consumer_that_waits_gets_it_first():
    pipeline = AsyncTaskPipeline().add_stage("gate", AsyncGate("old"))
    async with listening(pipeline) as listener:
        await pipeline.process_input_data("old")
        await anyio.wait_all_tasks_blocked()
        await pipeline.interrupt(sentinel="x")
        await pipeline.process_input_data("new")
    assert listener.heard == ["x", "new"]


async def test_without_a_sentinel_there_is_no_marker_and_none_is_one():
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        await pipeline.interrupt()
        await pipeline.interrupt(sentinel=None)
        await pipeline.interrupt(sentinel=...)
        await pipeline.interrupt()
        assert await rest_of(pipeline) == [None, ...]


async def test_it_is_there_at_once_counts_as_no_item_and_survives_later_interrupts():
    async with AsyncTaskPipeline(1).add_stage("same", same) as pipeline:
        assert pipeline.output_queue.empty()
        await pipeline.interrupt(sentinel="x")
        now = pipeline.statistics()
        assert (now.accepted, now.delivered, now.inside, now.output_depth) == (0, 0, 0, 1)
        assert (await pipeline.interrupt()).total == (await pipeline.interrupt(sentinel="y")).total == 0
        await pipeline.process_input_data("new")
        assert await rest_of(pipeline) == ["x", "y", "new"]
        assert pipeline.statistics().delivered == 1


@pytest.mark.parametrize("where", ["in the stage", "in the output", "in the output, protected"])
async def test_the_end_of_a_closed_input_comes_behind_it(where):
    """The end survives an interrupt, and a sink is told to flush before it hears of it."""
    gate, kept = Gate("old" if where == "in the stage" else "none"), where.endswith("protected")
    pipeline = AsyncTaskPipeline().add_stage("same", same).add_stage("gate", gate, interruptible=not kept)
    async with pipeline:
        await pipeline.process_input_data("old")
        if where == "in the stage":
            await gate.entered()
        pipeline.close_input()
        if where != "in the stage":
            await until(lambda: pipeline.statistics().output_depth == 2)
        await pipeline.interrupt(sentinel="x")
        gate.open()
        assert [each async for each in pipeline.generate_output_stream()] == [*["old"] * kept, "x"]
    assert_law(pipeline)


async def test_sentinels_that_wait_for_room_were_not_accepted_and_come_behind_it():
    gate = Gate("old")
    pipeline = AsyncTaskPipeline(1).add_stage("gate", gate)
    async with pipeline, create_task_group() as tg:
        await put_held(pipeline, gate, "old")
        await pipeline.process_input_sentinel("accepted")
        tg.start_soon(pipeline.process_input_sentinel, "waiting")
        await until_waiting(pipeline, 1)
        await pipeline.interrupt(sentinel="x")
        gate.open()
        assert await read(pipeline, 3) == ["accepted", "x", "waiting"]


async def test_a_protected_item_comes_behind_the_marker_and_keeps_its_sentinels_behind_it():
    gate = Gate("kept")
    pipeline = AsyncTaskPipeline().add_stage("first", same).add_stage("gate", gate, interruptible=False)
    pipeline.add_stage("last", same)
    async with pipeline:
        await pipeline.process_input_sentinel("before")
        await put_held(pipeline, gate, "kept")
        await pipeline.process_input_sentinel("behind")
        await pipeline.interrupt(sentinel="x")
        assert await read(pipeline, 2) == ["before", "x"]
        gate.open()
        assert await read(pipeline, 2) == ["kept", "behind"]
        assert await rest_of(pipeline) == []


@pytest.mark.parametrize("first", ["a", "b", "c"])
async def test_from_a_stage_on_it_stands_before_what_comes_from_upstream(first):
    """What upstream holds is not stale; it follows the marker, sentinels too."""
    gates = {name: Gate(f"in {name}") for name in "abc"}
    pipeline = AsyncTaskPipeline()
    for name, gate in gates.items():
        pipeline.add_stage(name, gate)
    async with pipeline:
        for name in "cba":
            await pipeline.process_input_data(f"in {name}")
            await pipeline.process_input_sentinel(f"behind {name}")
            await gates[name].entered()
        await pipeline.interrupt(from_stage=first, sentinel="x")
        for gate in gates.values():
            gate.open()
        taken = [f"behind {name}" for name in "cba" if name >= first]
        left = [f"{where} {name}" for name in "cba" if name < first for where in ("in", "behind")]
        assert await rest_of(pipeline) == [*taken, "x", *left]


# -- too late for a marker -----------------------------------------------------------------------


async def on_the_loop(pipeline, sentinel):
    return await pipeline.interrupt(sentinel=sentinel)


async def from_a_thread(pipeline, sentinel):
    return await to_thread.run_sync(partial(pipeline.interrupt_from_thread, sentinel=sentinel))


INTERRUPTING = pytest.mark.parametrize("interrupt", [on_the_loop, from_a_thread], ids=lambda way: way.__name__)


@INTERRUPTING
@pytest.mark.parametrize("output", [[], [1, 2]])
async def test_a_marker_behind_an_end_that_was_read_does_not_enter_and_the_receipt_says_so(interrupt, output):
    """Two of them were put where nobody reads any more, and vanished."""
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    async with pipeline.process(output) as results:
        assert [each async for each in results] == output
        for number in range(2):
            receipt = await interrupt(pipeline, f"marker {number}")
            assert (receipt.total, receipt.sentinel_placed) == (0, False)
        assert pipeline.output_queue.empty()
        assert [each async for each in results] == []


@INTERRUPTING
@pytest.mark.parametrize("closed", [False, True])
async def test_a_marker_that_enters_is_said_to_and_comes_out(interrupt, closed):
    async with AsyncTaskPipeline().add_stage("same", same, interruptible=False) as pipeline:
        await pipeline.process_input_data(1)
        if closed:
            pipeline.close_input()
        for number in range(2):
            assert (await interrupt(pipeline, number)).sentinel_placed
        assert not (await pipeline.interrupt()).sentinel_placed  # there is none
        got = [each async for each in pipeline.generate_output_stream()] if closed else await rest_of(pipeline)
        assert sorted(got) == [0, 1, 1]


@INTERRUPTING
async def test_nor_does_one_enter_a_pipeline_that_is_not_running_or_has_failed(interrupt):
    pipeline = AsyncTaskPipeline().add_stage("fails", int)
    assert not (await interrupt(pipeline, "before")).sentinel_placed
    with pytest.raises(ValueError, match="invalid"):
        async with pipeline:
            with CancelScope(shield=True):
                await pipeline.process_input_data("x")
                with pytest.raises(ValueError, match="invalid"):
                    await anext(pipeline.generate_output_stream())
                assert not (await interrupt(pipeline, "failed")).sentinel_placed
    assert not (await interrupt(pipeline, "after")).sentinel_placed


@pytest.mark.parametrize("end", ["left", "stopped"])
async def test_while_a_pipeline_ends_a_marker_enters_only_what_is_kept(end):
    leaving, receipts = anyio.Event(), []
    pipeline = AsyncTaskPipeline().add_stage("same", same)

    async def interrupt() -> None:
        await leaving.wait()
        receipts.append(await pipeline.interrupt(sentinel="x"))

    async with create_task_group() as tg:
        tg.start_soon(interrupt)
        await anyio.wait_all_tasks_blocked()
        if end == "left":
            async with pipeline:
                leaving.set()
        else:
            await pipeline.start()
            leaving.set()
            await pipeline.stop()
    got = [each async for each in pipeline.generate_output_stream()]
    assert got == ["x"] * receipts[0].sentinel_placed
    assert end == "stopped" or got == []


STEPS = st.lists(
    st.sampled_from(["item", "sentinel", "interrupt", "marker", "from_thread", "quiet"]), min_size=1, max_size=25
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    steps=STEPS,
    size=st.integers(1, 3),
    functions=st.lists(st.sampled_from([same, same_on_loop]), min_size=1, max_size=3),
)
async def test_whatever_happens_markers_and_sentinels_are_where_a_list_says(steps, size, functions):
    pipeline, inside = AsyncTaskPipeline(size), []
    for number, function in enumerate(functions):
        pipeline.add_stage(str(number), function)
    with fail_after(PATIENCE):
        async with pipeline:
            for number, step in enumerate(steps):
                if step in ("item", "sentinel"):
                    put = pipeline.put_input_data if step == "item" else pipeline.put_input_sentinel
                    with contextlib.suppress(anyio.WouldBlock):
                        put((step, number))
                        inside.append((step, number))
                elif step == "quiet":
                    await anyio.wait_all_tasks_blocked()
                else:
                    inside = [entry for entry in inside if entry[0] != "item"]
                    if step == "interrupt":
                        await pipeline.interrupt()
                        continue
                    interrupt = on_the_loop if step == "marker" else from_a_thread
                    assert (await interrupt(pipeline, (step, number))).sentinel_placed
                    inside.append((step, number))
            assert await rest_of(pipeline) == inside
