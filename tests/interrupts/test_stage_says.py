"""What a stage says about interrupts: protected, reset afterwards, or reentrant.

The rule: protection is the item's in that stage alone; a reset is called by the stage's
own worker between the interrupted call and the next; only a reentrant stage is ever in
two calls at once.
"""

from __future__ import annotations

import threading

import pytest
from anyio import fail_after
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline
from tests.interrupts.scenes import PATIENCE, AsyncGate, Gate, read, rest_of, until

pytestmark = pytest.mark.anyio

GATES = {"thread": Gate, "async": AsyncGate}


# -- interruptible=False ----------------------------------------------------------------


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("kind", GATES)
async def test_what_a_protected_stage_has_accepted_is_finished(kind, place):
    gate = GATES[kind]("a")
    pipeline = AsyncTaskPipeline()
    if place != "first":
        pipeline.add_stage("before", lambda item: item)
    pipeline.add_stage("write", gate, interruptible=False)
    if place != "last":
        pipeline.add_stage("after", lambda item: item)
    with fail_after(PATIENCE):
        async with pipeline:
            for item in "abc":
                await pipeline.process_input_data(item)
            await pipeline.process_input_sentinel("end")
            await gate.entered()
            await until(lambda: pipeline.statistics().stages["write"].accepted == 3)
            await until(lambda: pipeline.statistics().stages["write"].queue_depth == 3)
            receipt = await pipeline.interrupt()
            assert (receipt.total, receipt.busy) == (0, ())
            await pipeline.process_input_data("new")
            gate.opened.set()
            assert await read(pipeline, 5) == ["a", "b", "c", "end", "new"]
            assert await rest_of(pipeline) == []


async def test_protection_does_not_spread_and_holds_nobody_up():
    write, voice = Gate("a"), AsyncGate("z")
    pipeline = AsyncTaskPipeline().add_stage("think", lambda item: item)
    pipeline.add_stage("write", write, interruptible=False).add_stage("voice", voice)
    with fail_after(PATIENCE):
        async with pipeline:
            await pipeline.process_input_data("z")
            await voice.entered()
            await pipeline.process_input_data("a")
            await write.entered()
            receipt = await pipeline.interrupt()
            assert {name: part.in_call for name, part in receipt.dropped.items()} == {
                "think": 0,
                "write": 0,
                "voice": 1,
            }
            await until(lambda: voice.inside == 0)  # cancelled, though the protected call goes on
            write.opened.set()
            assert await read(pipeline, 1) == ["a"]
            assert await rest_of(pipeline) == []


async def test_a_protected_generator_is_not_cut_short():
    gate = Gate(1)

    def words(count):
        for number in range(count):
            yield gate(number)

    pipeline = AsyncTaskPipeline().add_stage("words", words, interruptible=False)
    with fail_after(PATIENCE):
        async with pipeline:
            await pipeline.process_input_data(3)
            await gate.entered()
            await pipeline.interrupt()
            gate.opened.set()
            assert await read(pipeline, 3) == [0, 1, 2]
            assert await rest_of(pipeline) == []


async def test_clear_drops_what_is_protected_too():
    gate = Gate("a")
    pipeline = AsyncTaskPipeline().add_stage("write", gate, interruptible=False)
    with fail_after(PATIENCE):
        async with pipeline:
            await pipeline.process_input_data("a")
            await gate.entered()
            assert pipeline.clear().total == 1
            gate.opened.set()
            await pipeline.process_input_data("new")
            assert await read(pipeline, 1) == ["new"]


# -- on_interrupt -----------------------------------------------------------------------


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
            gate.opened.set()
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


# -- reentrant ---------------------------------------------------------------------------


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
            gate.opened.set()
            await until(lambda: gate.inside == 0)
            assert await rest_of(pipeline) == []  # none of the late results


# -- what cannot be had together -----------------------------------------------------------


async def a_reset():
    pass


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        ({"interruptible": False, "on_interrupt": print}, ValueError, "interruptible=False"),
        ({"interruptible": False, "reentrant": True}, ValueError, "interruptible=False"),
        ({"reentrant": True, "on_interrupt": print}, ValueError, "reentrant"),
        ({"on_interrupt": 3}, TypeError, "on_interrupt of stage 'a' must be callable or None, not 3"),
        ({"on_interrupt": a_reset}, TypeError, "on_interrupt of stage 'a' must not be async"),
    ],
)
async def test_what_contradicts_itself_is_refused(said, error, words):
    pipeline = AsyncTaskPipeline()
    with pytest.raises(error, match=words):
        pipeline.add_stage("a", lambda item: item, **said)
    assert pipeline.stages == []
