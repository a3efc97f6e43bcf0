"""What state a turn is in, and what can be done with it in that state.

The rule: a turn is entered once, in order, while the input takes something; its number
is its own for the life of the pipeline; and each refusal says which state was the reason.
"""

from __future__ import annotations

import contextlib

import anyio
import pytest
from anyio import fail_after
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline, PipelineStateError, PipelineStoppedError, TurnOverError
from tests.interrupts.scenes import PATIENCE, Gate, rest_of

pytestmark = pytest.mark.anyio


class BrokenError(Exception):
    """What a stage of these tests raises."""


def same(data):
    return data


def broken(data):
    raise BrokenError(data)


async def test_numbers_count_from_one_and_never_go_back():
    pipeline, numbers = AsyncTaskPipeline().add_stage("same", same), []

    async def begin() -> None:
        async with pipeline.turn() as turn:
            numbers.append(turn.number)

    for _ in range(2):  # over a restart too
        async with pipeline:
            await begin()
            await pipeline.interrupt()
            await begin()
            pipeline.clear()
            await begin()
    assert numbers == [1, 2, 3, 4, 5, 6]


async def test_a_number_is_given_when_the_turn_is_entered_not_when_it_is_made():
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        first, second = pipeline.turn(), pipeline.turn()
        assert (first.number, second.number) == (0, 0)
        async with second, first:
            assert (second.number, first.number) == (1, 2)


@pytest.mark.parametrize("left", [False, True])
async def test_a_turn_is_entered_once(left):
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        turn = pipeline.turn()
        with fail_after(PATIENCE):
            async with turn:
                if not left:
                    with pytest.raises(PipelineStateError, match=r"cannot enter <Turn 1 open> again"):
                        await turn.__aenter__()
                    await turn.put("still open")
            if left:
                with pytest.raises(PipelineStateError, match=r"cannot enter <Turn 1 over> again"):
                    await turn.__aenter__()
            assert turn.number == 1
            assert await rest_of(pipeline) == ([] if left else ["still open"])


async def test_nothing_can_be_put_before_it_is_entered():
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        turn = pipeline.turn()
        with pytest.raises(PipelineStateError, match="has not begun"):
            await turn.put(1)
        with pytest.raises(PipelineStateError, match="has not begun"):
            await turn.put_sentinel(1)
        with pytest.raises(PipelineStateError, match="has not begun"):
            await anyio.to_thread.run_sync(turn.put_from_thread, 1)
        with pytest.raises(PipelineStateError, match="has not begun"):
            await anyio.to_thread.run_sync(turn.put_sentinel_from_thread, 1)
        with fail_after(PATIENCE):
            async with turn:
                await turn.put(2)
            assert await rest_of(pipeline) == [2]


async def test_an_interrupt_before_it_is_entered_does_not_end_it():
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        turn = pipeline.turn()
        await pipeline.interrupt()
        with fail_after(PATIENCE):
            async with turn:
                await turn.put("new")
                await checkpoint()
            assert not turn.interrupted
            assert await rest_of(pipeline) == ["new"]


async def test_repr_tells_the_number_and_the_state():
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        turn = pipeline.turn()
        assert repr(turn) == "<Turn 0 not begun>"
        async with turn:
            assert repr(turn) == "<Turn 1 open>"
        assert repr(turn) == "<Turn 1 over>"
        async with pipeline.turn() as turn:
            await pipeline.interrupt()
            assert repr(turn) == "<Turn 2 interrupted>"
        assert repr(turn) == "<Turn 2 interrupted>"


async def test_an_interrupt_after_the_block_was_left_changes_nothing():
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        async with pipeline.turn() as turn:
            pass
        await pipeline.interrupt()
        assert (turn.interrupted, turn.over) == (False, True)
        with pytest.raises(TurnOverError, match="turn 1 is over: its block has been left"):
            await turn.put(1)


async def test_plain_data_belongs_to_the_turn_begun_last():
    pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("same", same)
    with fail_after(PATIENCE):
        async with pipeline:
            async with pipeline.turn() as first:
                await pipeline.process_input_data("a")
                async with pipeline.turn() as second:
                    await pipeline.process_input_data("b")
                    await first.put("c")
                    await second.put("d")
                await pipeline.process_input_data("e")
            await pipeline.process_input_data("f")
            assert await rest_of(pipeline) == ["a", "b", "c", "d", "e", "f"]
    assert [item.turn for item in pipeline.completed_items] == [1, 2, 1, 2, 2, 2]


async def test_plain_data_after_an_interrupt_belongs_to_a_turn_of_its_own():
    pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("same", same)
    with fail_after(PATIENCE):
        async with pipeline:
            async with pipeline.turn() as first:
                await pipeline.interrupt()
                for new in ("a", "b"):
                    pipeline.put_input_data(new)
            async with pipeline.turn() as last:
                await last.put("c")
            assert await rest_of(pipeline) == ["a", "b", "c"]
    turns = [item.turn for item in pipeline.completed_items]
    assert first.number < turns[0] == turns[1] < turns[2] == last.number


async def test_a_pipeline_that_never_ran_has_no_turns():
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    with pytest.raises(PipelineStateError, match="not running"):
        pipeline.turn()


async def test_after_close_input_a_turn_can_neither_be_entered_nor_used():
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        early = pipeline.turn()
        with fail_after(PATIENCE):
            async with pipeline.turn() as turn:
                await turn.put("in time")
                pipeline.close_input()
                with pytest.raises(PipelineStateError, match="closed"):
                    await turn.put("late")
                with pytest.raises(PipelineStateError, match="closed"):
                    await turn.put_sentinel("late")
                with pytest.raises(PipelineStateError, match="closed"):
                    await anyio.to_thread.run_sync(turn.put_from_thread, "late")
                assert not turn.over
            for late in (early, pipeline.turn()):
                with pytest.raises(PipelineStateError, match="closed"):
                    await late.__aenter__()
                assert repr(late) == "<Turn 0 not begun>"
            assert await rest_of(pipeline) == ["in time"]


async def test_a_put_that_waits_when_the_input_is_closed_says_so():
    gate = Gate(0)
    async with AsyncTaskPipeline(1).add_stage("gate", gate) as pipeline:
        with fail_after(PATIENCE):
            async with pipeline.turn() as turn, anyio.create_task_group() as tg:
                await turn.put(0)
                await gate.entered()
                await turn.put(1)

                async def put_late() -> None:
                    with pytest.raises(PipelineStateError, match="closed"):
                        await turn.put(2)

                tg.start_soon(put_late)
                await anyio.wait_all_tasks_blocked()
                pipeline.close_input()
            gate.opened.set()
            assert await rest_of(pipeline) == [0, 1]


async def test_after_stop_a_turn_refuses_everything():
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    async with pipeline:
        early, turn = pipeline.turn(), pipeline.turn()
        await turn.__aenter__()
        try:
            await pipeline.stop()
        finally:
            await turn.__aexit__(None, None, None)
    with pytest.raises(PipelineStoppedError):
        pipeline.turn()
    with pytest.raises(PipelineStoppedError):
        await early.__aenter__()
    with pytest.raises(PipelineStateError):
        await turn.put(1)
    with pytest.raises(PipelineStateError):
        await anyio.to_thread.run_sync(turn.put_from_thread, 2)
    async with pipeline:  # a turn belongs to one run
        with pytest.raises(PipelineStoppedError):
            await early.__aenter__()
        assert await rest_of(pipeline) == []
    assert pipeline.statistics().accepted == 0


async def test_a_block_in_which_the_pipeline_is_stopped_does_not_hang():
    gate = Gate(0)
    pipeline = AsyncTaskPipeline(1).add_stage("gate", gate)

    async def produce() -> None:
        async with pipeline.turn() as turn:
            while True:
                await turn.put(0)

    async def produce_to_the_end() -> None:
        # It ends as by an interrupt or by the error of its put; what it may not do is wait.
        with contextlib.suppress(PipelineStoppedError):
            await produce()

    with fail_after(PATIENCE):
        async with pipeline, anyio.create_task_group() as tg:
            tg.start_soon(produce_to_the_end)
            await gate.entered()
            await anyio.wait_all_tasks_blocked()
            gate.opened.set()
            await pipeline.stop()


async def test_after_a_failure_no_turn_can_be_entered_and_the_reason_is_told():
    pipeline = AsyncTaskPipeline().add_stage("broken", broken)
    with fail_after(PATIENCE):
        await pipeline.start()
        await pipeline.process_input_data(1)
        with pytest.raises(BrokenError):
            await anext(pipeline.generate_output_stream())
        with pytest.raises(PipelineStoppedError) as caught:
            async with pipeline.turn():
                pytest.fail("entered")
        assert isinstance(caught.value.__cause__, BrokenError)
        with pytest.raises(BrokenError):
            await pipeline.stop()
