"""G15, attributes: what 0.1.10 lets a program read and set is there, when it was there, and means the same.

The rule: each test reads or sets what a program of 0.1.10 may; a docstring says what 0.1.10 did if that was
something else.
"""

from __future__ import annotations

import pytest

from async_task_pipeline import AsyncTaskPipeline, DetailedTiming, PipelineItem
from tests.support.functions import same
from tests.support.waiting import drain, read, until

pytestmark = pytest.mark.anyio


def test_queues_are_there_from_the_first_stage_on():
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


def timed_item(latency, **options):
    item = PipelineItem("by hand", start_timestamp=0.0, **options)
    item.record_completion_time("same", latency)
    item.record_detailed_timing("same", DetailedTiming(0.0, 1.0, 2.0, latency))
    return item


async def test_completed_items_look_like_a_list():
    """0.1.10: it was one."""
    pipeline = AsyncTaskPipeline(enable_timing=True, timing_history=5).add_stage("same", same)
    assert pipeline.completed_items == []
    assert not pipeline.completed_items
    assert await drain(pipeline, range(8)) == [*range(8)]
    items = pipeline.completed_items
    assert [each.data for each in items] == [3, 4, 5, 6, 7]
    assert [items[index].data for index in (0, 4, -1, -5)] == [3, 7, 7, 3]
    assert [each.data for each in items[-2:]] == [6, 7]
    assert [each.data for each in reversed(items)] == [7, 6, 5, 4, 3]
    assert len(items) == 5
    assert items[-1] == items[4]
    assert items[-1] in items
    assert items == [*items] == items.copy() == pipeline.completed_items
    assert repr(items) == repr([*items])
    for index in (5, -6):
        with pytest.raises(IndexError):
            items[index]


async def test_the_last_completed_item_is_cheap_to_look_at_after_each_delivery(monkeypatch):
    """0.1.10: the same; a version of this library made all of them for each look."""
    made, make = [], PipelineItem._from_timed
    monkeypatch.setattr(PipelineItem, "_from_timed", lambda *args: made.append(args) or make(*args))
    pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("same", same)
    async with pipeline.process(range(1500)) as results:
        async for result in results:
            assert pipeline.completed_items[-1].data == result
            assert len(pipeline.completed_items) == min(result + 1, 1000)
    assert len(made) == 1500


async def test_completed_items_may_be_set_to_a_list_which_then_is_the_history():
    """0.1.10: the same; a program starts a new report so."""
    pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("same", same)
    async with pipeline:
        output = pipeline.generate_output_stream()
        await pipeline.process_input_stream([1, 2, 3])
        assert await read(pipeline, 3) == [1, 2, 3]
        kept = pipeline.completed_items[-1:]
        pipeline.completed_items = []
        assert pipeline.completed_items == []
        assert pipeline.get_report().summary.total_items == 0
        pipeline.completed_items = [*kept, timed_item(5.0)]
        assert pipeline.completed_items == [*kept, timed_item(5.0)]
        await pipeline.process_input_data(4, 0.0)
        assert await anext(output) == 4
        assert [each.data for each in pipeline.completed_items] == [3, "by hand", 4]
        report = pipeline.get_report()
    assert report.summary.total_items == 3
    assert report.summary.max_total_latency >= 5.0
    assert report.summary.stage_statistics["same"].min_latency <= kept[0].get_total_latency()
    assert [each.totals.total_latency for each in report.item_breakdowns][1] == 5.0
    assert pipeline.statistics().delivered == 4


async def test_completed_items_may_be_added_to_and_cleared():
    pipeline = AsyncTaskPipeline(enable_timing=True, timing_history=2).add_stage("same", same)
    assert await drain(pipeline, [1]) == [1]
    for latency in (3.0, 4.0, 5.0):
        pipeline.completed_items.append(timed_item(latency))
    pipeline.completed_items.append(PipelineItem("never in a stage"))
    assert [each.data for each in pipeline.completed_items] == ["by hand", "never in a stage"]
    report = pipeline.get_report()
    assert report.summary.total_items == 4
    assert [each.totals.total_latency for each in report.item_breakdowns] == [5.0]
    pipeline.completed_items.clear()
    assert len(pipeline.completed_items) == 0


async def test_counter_may_be_set():
    """0.1.10: the same; a program counts the items of an utterance so."""
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    async with pipeline:
        await pipeline.process_input_stream([1, 2, 3])
        pipeline.counter = 0
        assert pipeline.counter == 0
        await pipeline.process_input_data(4, 0.0)
        assert (pipeline.counter, pipeline.statistics().accepted) == (1, 4)
        pipeline.counter += 10
        assert pipeline.counter == 11
        pipeline.clear()
        assert pipeline.counter == 0
        await pipeline.process_input_data(5, 0.0)
        assert pipeline.counter == 1


async def test_timing_may_be_switched_before_a_start():
    """0.1.10: what was added after it was timed; the rest was not."""
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    assert await drain(pipeline, [1]) == [1]
    assert (pipeline.get_report(), len(pipeline.completed_items)) == (None, 0)
    pipeline.enable_timing = True
    assert await drain(pipeline, [2, 3]) == [2, 3]
    assert pipeline.get_report().summary.total_items == 2
    assert [each.data for each in pipeline.completed_items] == [2, 3]
    assert pipeline.stages[0].total_processing_time > 0
    pipeline.enable_timing = False
    spent = pipeline.stages[0].total_processing_time
    assert await drain(pipeline, [4]) == [4]
    assert len(pipeline.completed_items) == 2
    assert pipeline.stages[0].total_processing_time == spent
    pipeline.enable_timing = "no"
    with pytest.raises(TypeError, match="enable_timing must be a bool"):
        await pipeline.start()
