"""G15, attributes: what 0.1.10 lets a program read and set is there, when it was there, and means the same.

The rule: each test reads or sets what a program of 0.1.10 may; each docstring says what 0.1.10 did.
"""

from __future__ import annotations

import pytest

from async_task_pipeline import AsyncTaskPipeline
from tests.support.waiting import drain, read, until

pytestmark = pytest.mark.anyio


def same(x):
    return x


def test_queues_are_there_from_the_first_stage_on():
    """0.1.10: the same."""
    pipeline = AsyncTaskPipeline(7)
    assert (pipeline.queues, pipeline.input_queue, pipeline.output_queue) == ([], None, None)
    pipeline.add_stage("a", same)
    first, (after_a,) = pipeline.input_queue, pipeline.queues
    assert first is not after_a
    pipeline.add_stage("b", same)
    assert pipeline.input_queue is first
    assert pipeline.queues[0] is after_a
    assert len(pipeline.queues) == len(pipeline.stages) == 2
    assert pipeline.output_queue is pipeline.queues[-1]
    assert {(link.maxsize, link.qsize(), link.empty(), link.full()) for link in (first, *pipeline.queues)} == {
        (7, 0, True, False)
    }


async def test_queues_looked_at_before_the_start_are_those_of_the_run():
    """0.1.10: the same, in every run."""
    pipeline = AsyncTaskPipeline().add_stage("a", same).add_stage("b", same)
    output, last = pipeline.output_queue, pipeline.queues[-1]
    await pipeline.start()
    assert pipeline.output_queue is output is last is pipeline.queues[-1]
    await pipeline.process_input_stream([1, 2])
    await until(lambda: output.qsize() == 2)
    assert output.statistics().current_buffer_used >= 1  # bursts
    assert await read(pipeline, 2) == [1, 2]
    await pipeline.stop()


async def test_a_stage_may_be_added_between_two_runs():
    """0.1.10: the same, and the second run did not work."""
    pipeline = AsyncTaskPipeline().add_stage("a", same)
    assert await drain(pipeline, [1]) == [1]
    pipeline.add_stage("b", lambda x: -x)
    assert len(pipeline.queues) == 2
    assert pipeline.output_queue is pipeline.queues[-1]
    assert await drain(pipeline, [1]) == [-1]
    assert pipeline.output_queue is pipeline.queues[-1]
