"""Faults B of 0.1.10, first half: starting, starting again, and what is refused.

The rule: a call that does not fit the state is an error at once and changes nothing; a
pipeline that was stopped is as good as new. How stopping goes while something is
blocked is in ``test_stop.py``.
"""

from __future__ import annotations

import logging
import threading

import pytest
from anyio import create_task_group, fail_after, to_thread
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline, PipelineStateError

pytestmark = pytest.mark.anyio

PATIENCE = 60


class Gate:
    """A stage function that says when it is in a call, and returns when it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self, data):
        self.entered.set()
        assert self.opened.wait(PATIENCE / 2), "nobody opened the gate"
        return data

    async def wait_entered(self) -> None:
        assert await to_thread.run_sync(self.entered.wait, PATIENCE / 2)


async def until(condition) -> None:
    """Let other tasks run until the condition holds; the caller's timeout is the limit."""
    while not condition():
        await checkpoint()


async def results_of(pipeline, items) -> list:
    """Put the items, close the input, and collect what comes out."""
    async with create_task_group() as tg:
        tg.start_soon(pipeline.process_input_stream, items)
        return [x async for x in pipeline.generate_output_stream()]


async def test_b01_start_without_stages_is_an_error():
    """0.1.10: no error; ``running`` was true and the first put raised."""
    pipeline = AsyncTaskPipeline()
    with pytest.raises(RuntimeError, match="stage"):
        await pipeline.start()
    with pytest.raises(RuntimeError, match="stage"):
        await pipeline.run()
    with pytest.raises(RuntimeError, match="stage"):
        async with pipeline:
            pass
    with pytest.raises(RuntimeError, match="stage"):
        async with pipeline.process([1]):
            pass
    assert not pipeline.running
    await pipeline.stop()


async def test_b02_start_twice_is_an_error_and_the_first_run_goes_on_in_order():
    """0.1.10: no error, two threads per stage, 19 inversions in 40 items."""
    pipeline = AsyncTaskPipeline(max_queue_size=4).add_stage("same", lambda x: x)
    with fail_after(PATIENCE):
        await pipeline.start()
        with pytest.raises(RuntimeError, match="running"):
            await pipeline.start()
        with pytest.raises(RuntimeError, match="running"):
            await pipeline.run()
        with pytest.raises(RuntimeError, match="running"):
            async with pipeline:
                pass
        assert pipeline.running
        assert await results_of(pipeline, range(40)) == list(range(40))
        await pipeline.stop()


async def test_b02_a_second_start_does_not_run_a_stage_twice_at_once():
    """0.1.10: the second start gave every stage a second thread, so two calls at once."""
    gate, calls = Gate(), []

    def stage(data):
        calls.append(data)
        return gate(data)

    pipeline = AsyncTaskPipeline().add_stage("gate", stage)
    with fail_after(PATIENCE):
        await pipeline.start()
        with pytest.raises(RuntimeError):
            await pipeline.start()
        for i in range(3):
            await pipeline.process_input_data(i)
        await gate.wait_entered()
        for _ in range(200):
            await checkpoint()
        assert calls == [0]
        gate.opened.set()
        await pipeline.stop()


@pytest.mark.parametrize("before", ["stop", "start stop stop", "stop start stop", "start stop stop stop"])
async def test_b03_stop_at_any_time_leaves_no_residue(before):
    """0.1.10: a stop without a start left an end signal behind: the next start was dead."""
    pipeline = AsyncTaskPipeline().add_stage("a", lambda x: x).add_stage("b", lambda x: x)
    with fail_after(PATIENCE):
        for call in before.split():
            await getattr(pipeline, call)()
        assert not pipeline.running
        for _ in range(2):
            await pipeline.start()
            assert pipeline.running
            assert await results_of(pipeline, range(3)) == [0, 1, 2]
            await pipeline.stop()


async def test_b04_a_restart_after_a_busy_stop_begins_empty():
    """0.1.10: delivered old items 0 to 4, none of the 8 new ones; the thread was dead."""
    gate = Gate()
    pipeline = AsyncTaskPipeline(max_queue_size=10)
    pipeline.add_stage("gate", gate).add_stage("same", lambda x: x)
    with fail_after(PATIENCE):
        await pipeline.start()
        for i in range(10):
            await pipeline.process_input_data(("old", i))
        await pipeline.process_input_sentinel("old sentinel")
        await gate.wait_entered()
        async with create_task_group() as tg:
            tg.start_soon(pipeline.stop)
            await until(lambda: not pipeline.running)
            gate.opened.set()

        await pipeline.start()
        assert pipeline.statistics().inside == 0
        assert [link.qsize() for link in pipeline.queues] == [0, 0, 0]
        new = [("new", i) for i in range(8)]
        assert await results_of(pipeline, new) == new
        await pipeline.stop()


async def test_b09_stop_drops_and_says_how_much(caplog):
    """0.1.10: 50 accepted, none delivered, nothing logged and nothing counted."""
    gate = Gate()
    pipeline = AsyncTaskPipeline().add_stage("gate", gate)
    with fail_after(PATIENCE), caplog.at_level(logging.INFO, "async_task_pipeline"):
        await pipeline.start()
        for i in range(50):
            await pipeline.process_input_data(i)
        await gate.wait_entered()
        async with create_task_group() as tg:
            tg.start_soon(pipeline.stop)
            await until(lambda: not pipeline.running)
            gate.opened.set()
        assert [x async for x in pipeline.generate_output_stream()] == []
    now = pipeline.statistics()
    assert (now.accepted, now.delivered, now.dropped, now.inside) == (50, 0, 50, 0)
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    assert any("50" in message for message in said), said


async def test_b09_close_input_delivers_everything_accepted():
    """0.1.10: had nothing of the kind; its "graceful" stop dropped all 50."""
    pipeline = AsyncTaskPipeline().add_stage("a", lambda x: x).add_stage("b", lambda x: x)
    with fail_after(PATIENCE):
        await pipeline.start()
        for i in range(50):
            await pipeline.process_input_data(i)
        pipeline.close_input()
        assert [x async for x in pipeline.generate_output_stream()] == list(range(50))
        await pipeline.stop()
    now = pipeline.statistics()
    assert (now.accepted, now.delivered, now.dropped) == (50, 50, 0)


async def test_b13_add_stage_while_running_is_an_error():
    """0.1.10: accepted; the stage was never started and every item got stuck in it."""
    pipeline = AsyncTaskPipeline().add_stage("a", lambda x: x)
    with fail_after(PATIENCE):
        await pipeline.start()
        with pytest.raises(RuntimeError, match="late"):
            pipeline.add_stage("late", lambda x: x)
        assert [stage.name for stage in pipeline.stages] == ["a"]
        assert await results_of(pipeline, range(3)) == [0, 1, 2]
        await pipeline.stop()
        pipeline.add_stage("now", lambda x: -x)
        await pipeline.start()
        assert await results_of(pipeline, range(3)) == [0, -1, -2]
        await pipeline.stop()


@pytest.mark.parametrize(
    ("value", "error"),
    [(0, ValueError), (-5, ValueError), ("10", TypeError), (None, TypeError), (2.5, TypeError), (True, TypeError)],
)
def test_b14_what_is_no_queue_size_is_refused_at_once(value, error):
    """0.1.10: 0 and -5 meant unbounded; "10" and None failed at the first put."""
    with pytest.raises(error, match=f"max_queue_size.*{value!r}"):
        AsyncTaskPipeline(max_queue_size=value)


def test_b14_what_is_no_stage_is_refused_at_once():
    """0.1.10: ``add_stage("s", 5)`` was accepted, and then every item vanished."""
    pipeline = AsyncTaskPipeline()
    with pytest.raises(TypeError, match=r"process_fn.*5"):
        pipeline.add_stage("s", 5)
    with pytest.raises(TypeError, match=r"name.*7"):
        pipeline.add_stage(7, str)
    with pytest.raises(ValueError, match=r"name.*''"):
        pipeline.add_stage("", str)
    assert pipeline.stages == []


async def test_b14_calls_on_a_pipeline_that_does_not_run_are_errors():
    """0.1.10: raised for puts; the output just ended, whatever had happened."""
    pipeline = AsyncTaskPipeline().add_stage("a", lambda x: x)
    with pytest.raises(PipelineStateError):
        await pipeline.process_input_data(1)
    with pytest.raises(PipelineStateError):
        await pipeline.process_input_sentinel(1)
    with pytest.raises(PipelineStateError):
        await pipeline.process_input_stream([1])
    with pytest.raises(PipelineStateError):
        pipeline.put_input_data(1)
    with pytest.raises(PipelineStateError):
        pipeline.put_input_sentinel(1)
    with pytest.raises(PipelineStateError):
        pipeline.generate_output_stream()
