"""A source that is read ahead, by a thread of its own.

The rule: what was read and not accepted belongs to nobody yet; closing the input leaves it, says
so, and holds up nobody, even while the source itself is stuck. However much was read, no more
of it enters in one step than others can wait for.
"""

from __future__ import annotations

import threading

import pytest
from anyio import create_task_group, fail_after

from async_task_pipeline import AsyncTaskPipeline, PipelineStateError
from async_task_pipeline._links import ENTRIES_PER_STEP
from tests.cancelling import assert_law
from tests.interrupts.scenes import PATIENCE, Gate, until

pytestmark = pytest.mark.anyio


def read_ahead(pipeline) -> int:
    """How many items were read and not accepted; nothing public tells."""
    return sum(len(feed.read) for feed in pipeline._AsyncTaskPipeline__run.entrance.feeds._feeds)


async def test_input_closed_while_a_source_is_stuck_holds_up_nobody(caplog):
    caplog.set_level("INFO", "async_task_pipeline")
    asked, stuck, gate = threading.Event(), threading.Event(), Gate("first")

    def source():
        yield from ("first", "second", "third", "read ahead")
        asked.set()
        assert stuck.wait(PATIENCE / 2)

    async def feed():
        with pytest.raises(PipelineStateError, match="the input of this pipeline has been closed"):
            await pipeline.process_input_stream(source())

    pipeline = AsyncTaskPipeline(2).add_stage("gate", gate)
    with fail_after(PATIENCE):
        async with pipeline, create_task_group() as tg:
            tg.start_soon(feed)
            await gate.entered()
            await until(asked.is_set)
            assert read_ahead(pipeline) == 1
            pipeline.close_input()
            gate.opened.set()
            await until(pipeline.queues[0].empty)
            pipeline._AsyncTaskPipeline__run.pump()  # as any worker may ask for now: there is room, and something was read
            got = [each async for each in pipeline.generate_output_stream()]
            assert got == ["first", "second", "third"]
            stuck.set()
    assert_law(pipeline)
    assert pipeline.statistics().accepted == 3
    assert "1 items had been read from the source and were not accepted" in caplog.messages


async def test_what_was_read_ahead_enters_in_steps():
    bound, gate = 4 * ENTRIES_PER_STEP, Gate(0)
    pipeline = AsyncTaskPipeline(bound).add_stage("gate", gate)
    with fail_after(PATIENCE):
        async with pipeline, create_task_group() as tg:
            tg.start_soon(pipeline.process_input_stream, iter(range(2 * bound + 1)))
            await gate.entered()
            await until(lambda: read_ahead(pipeline) == bound)
            (link, _) = pipeline.queues
            pipeline.stages[0].clear_input_queue()  # makes room for all of it
            assert 0 < link.qsize() <= ENTRIES_PER_STEP
            await until(lambda: link.qsize() > bound // 2)  # the rest follows, though nobody reads
            gate.opened.set()
            assert await anext(pipeline.generate_output_stream()) == 0
    assert_law(pipeline)
