"""What comes of a call is the same wherever it runs: a value, nothing, many, a failure.

The rule: one list of data says it all, and each kind answers with the same results, in
the same order, counted in the same way.
"""

from __future__ import annotations

import time
from functools import partial

import pytest
from anyio.lowlevel import checkpoint

from async_task_pipeline import PipelineStoppedError, StageProtocolError
from tests.kinds.functions import MineError
from tests.kinds.kinds import ALL, INTERPRETER, some
from tests.support.law import assert_law
from tests.support.waiting import drain, rest_of

pytestmark = pytest.mark.anyio


def told(result):
    """A result, or what an exception says of itself."""
    return (type(result), result.args) if isinstance(result, BaseException) else result


@some(ALL)
async def test_values_nothing_and_failures_in_order(kind):
    pipeline = kind.pipeline(kind.function("outcome"), on_error="return", timing=True, show_items=True)
    got = await drain(pipeline, [1, None, "filtered", "fails", "no file", 0, "", "stops", 2])
    *others, stopped, last = got
    assert [told(each) for each in others] == [
        (1, 1),
        "got None",
        (MineError, ("fails",)),
        (FileNotFoundError, (2, "no such file")),
        (0, 0),
        ("", ""),
    ]
    assert last == (2, 2)
    # Python itself turns a StopIteration out of a coroutine into a RuntimeError.
    assert type(stopped) in {"loop": (RuntimeError,)}.get(kind.name, (StopIteration, StageProtocolError))
    assert others[3].filename == "no file"
    assert [each.__notes__[-1] for each in (others[2], others[3], stopped)] == [
        f"raised in stage 'stage' of the pipeline, for item {item!r}" for item in ("fails", "no file", "stops")
    ]
    now = pipeline.statistics()
    assert (now.accepted, now.delivered, now.filtered, now.failed, now.fanned_out) == (9, 5, 1, 3, 0)


async def test_the_intervals_of_each_item_add_up(kind):
    pipeline = kind.pipeline(kind.function("each_in"), workers=3, timing=True, size=2)
    got = await drain(pipeline, [[n, None, n + 1] for n in range(20)])
    items = pipeline.completed_items
    assert [each.data for each in items] == got
    for each in items:
        breakdown = each.get_timing_breakdown()
        detail = breakdown.stages["stage"]
        parts = [detail.queue_wait_time, detail.computation_time, detail.transmission_time]
        assert min(parts) >= 0, detail
        assert sum(parts) == pytest.approx(detail.total_stage_time, abs=1e-9)
    stage = pipeline.get_report().summary.stage_statistics["stage"]
    assert (stage.processed_count, stage.filtered_count) == (60, 20)
    # What was spent on the end of a generator is no item's.
    assert pipeline.stages[0].total_processing_time > 0


@some(["thread", "process", INTERPRETER])
async def test_the_last_step_of_a_generator_is_computation_too(kind, gate):
    gate.hold("closed")
    pipeline = kind.pipeline(partial(kind.function("fan"), gate.address), timing=True)
    async with pipeline:
        await pipeline.process_input_data(0)  # yields nothing, and stands at the gate
        await gate.entered("closed")
        begin = time.perf_counter()
        for _ in range(500):
            await checkpoint()
        inside = time.perf_counter() - begin
        gate.open()
        assert await rest_of(pipeline) == []
    assert pipeline.stages[0].total_processing_time >= inside
    assert pipeline.statistics().filtered == 1


async def test_a_failure_ends_the_pipeline_with_the_functions_own_exception(kind):
    pipeline = kind.pipeline(kind.function("outcome"))
    with pytest.raises(FileNotFoundError) as caught:  # which a pipe might raise too
        async with pipeline:
            await pipeline.process_input_data("no file")
            async for _ in pipeline.generate_output_stream():
                pytest.fail("there was a result")
    assert caught.value.__notes__[-1] == "raised in stage 'stage' of the pipeline"
    assert_law(pipeline)
    now = pipeline.statistics()
    assert (now.accepted, now.failed) == (1, 1)
    with pytest.raises(PipelineStoppedError):
        await pipeline.process_input_data(1)


async def test_a_stop_iteration_ends_the_pipeline_as_any_failure(kind):
    expected = RuntimeError if kind.name == "loop" else StageProtocolError
    with pytest.raises(expected, match="StopIteration"):
        await drain(kind.pipeline(kind.function("outcome")), ["stops"])


async def test_dropped_failures_are_logged_and_counted(kind, caplog):
    pipeline = kind.pipeline(kind.function("outcome"), on_error="drop")
    assert await drain(pipeline, ["fails", 1, "fails"]) == [(1, 1)]
    assert pipeline.statistics().failed == 2
    assert [each.message for each in caplog.records if each.levelname == "WARNING"] == [
        "stage 'stage' dropped an item: MineError: fails"
    ] * 2


@some(ALL)
async def test_a_fan_out_in_place_of_its_item(kind):
    pipeline = kind.pipeline(kind.function("each_in"), workers=3, on_error="return", size=2)
    source = [[1, None, 2], [], [3], [4, 5, "fails", 6], [None], list(range(10, 20))]
    got = await drain(pipeline, source)
    expected = [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (MineError, ("fails",)), *((n, n) for n in range(10, 20))]
    assert [told(each) for each in got] == expected
    now = pipeline.statistics()
    assert (now.accepted, now.delivered, now.failed) == (6, len(expected) - 1, 1)
    assert now.accepted + now.fanned_out == now.delivered + now.filtered + now.failed
