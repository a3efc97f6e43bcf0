"""How much an interrupt takes: from a stage on, and with a marker behind what it took.

The rule: what lies before ``from_stage`` is not touched, and the marker stands exactly
between what survived and what is newer.
"""

from __future__ import annotations

import pytest
from anyio import create_task_group, fail_after

from async_task_pipeline import AsyncTaskPipeline
from tests.interrupts.scenes import PATIENCE, AsyncGate, Gate, read, rest_of, until, waiting

pytestmark = pytest.mark.anyio


async def test_what_is_before_the_stage_goes_on():
    think, voice = AsyncGate("b"), Gate("a")
    pipeline = AsyncTaskPipeline(max_queue_size=2).add_stage("think", think).add_stage("voice", voice)
    with fail_after(PATIENCE):
        async with pipeline, create_task_group() as tg:
            for item in "ab":
                await pipeline.process_input_data(item)
            await voice.entered()
            await think.entered()
            for item in "cde":
                tg.start_soon(pipeline.process_input_data, item)
            await until(lambda: waiting(pipeline) == 1)
            receipt = await pipeline.interrupt(from_stage="voice")
            assert (list(receipt.dropped), receipt.busy, receipt.total) == (["voice"], ("voice",), 1)
            assert think.cancelled == 0
            think.opened.set()
            voice.opened.set()
            first, *rest = await read(pipeline, 4)
            assert (first, sorted(rest)) == ("b", ["c", "d", "e"])  # trio starts tasks in any order
            assert await rest_of(pipeline) == []


async def test_the_turn_is_not_over_when_only_later_stages_are_interrupted():
    pipeline = AsyncTaskPipeline().add_stage("think", str.upper).add_stage("voice", str.strip)
    with fail_after(PATIENCE):
        async with pipeline:
            async with pipeline.turn() as turn:
                await turn.put("a ")
                await until(lambda: pipeline.statistics().output_depth == 1)
                assert (await pipeline.interrupt(from_stage="voice")).total == 1
                await turn.put("b ")
                assert await read(pipeline, 1) == ["B"]
            assert not turn.interrupted
            assert await rest_of(pipeline) == []


@pytest.mark.parametrize("call", ["interrupt", "interrupt_from_thread"])
async def test_an_unknown_stage_is_named_running_or_not(call):
    pipeline = AsyncTaskPipeline().add_stage("think", str.upper)

    async def interrupt():
        result = getattr(pipeline, call)(from_stage="thnik")
        if call == "interrupt":
            await result

    with fail_after(PATIENCE):
        with pytest.raises(ValueError, match=r"from_stage must be one of .*'think'.*, not 'thnik'"):
            await interrupt()
        async with pipeline:
            with pytest.raises(ValueError, match="not 'thnik'"):
                await interrupt()


@pytest.mark.parametrize("marker", ["flush", None, 0])
async def test_the_marker_stands_between_old_and_new(marker):
    gate = Gate("stale")
    pipeline = AsyncTaskPipeline().add_stage("same", lambda item: item).add_stage("gate", gate)
    with fail_after(PATIENCE):
        async with pipeline:
            await pipeline.process_input_data("stale")
            await pipeline.process_input_sentinel("one")
            await pipeline.process_input_data("stale too")
            await pipeline.process_input_sentinel("two")
            await gate.entered()
            await pipeline.interrupt(sentinel=marker)
            assert await read(pipeline, 3) == ["one", "two", marker]
            await pipeline.process_input_data("new")
            gate.opened.set()
            assert await read(pipeline, 1) == ["new"]
            assert await rest_of(pipeline) == []


async def test_every_marker_comes_out_though_the_output_is_full():
    pipeline = AsyncTaskPipeline(max_queue_size=1).add_stage("same", lambda item: item)
    with fail_after(PATIENCE):
        async with pipeline:
            for item in range(3):  # one in each link, and one finished
                await pipeline.process_input_data(item)
            await until(lambda: pipeline.input_queue.full() and pipeline.output_queue.full())
            for number in range(3):
                await pipeline.interrupt(sentinel=f"marker {number}")
            await pipeline.process_input_data("new")
            assert await read(pipeline, 4) == ["marker 0", "marker 1", "marker 2", "new"]
            assert await rest_of(pipeline) == []


async def test_a_marker_behind_later_stages_does_not_overtake_what_survives():
    pipeline = AsyncTaskPipeline().add_stage("a", lambda item: item).add_stage("b", lambda item: item)
    with fail_after(PATIENCE):
        async with pipeline:
            await pipeline.process_input_data("old")
            await pipeline.process_input_sentinel("end")
            await until(lambda: pipeline.statistics().output_depth == 2)
            await pipeline.interrupt(from_stage="b", sentinel="flush")
            await pipeline.process_input_data("new")
            assert await read(pipeline, 3) == ["end", "flush", "new"]
