"""A program that uses every public name, to be read by type checkers and never run.

The rule: what is legal here stays legal for users, and every inferred type is pinned.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal, assert_type

import anyio
import anyio.lowlevel

from async_task_pipeline import (
    AsyncTaskPipeline,
    CompletedItems,
    DetailedTiming,
    DroppedItems,
    EfficiencyMetrics,
    Failure,
    InterruptReceipt,
    ItemTimingBreakdown,
    ItemTimingTotals,
    LatencySummary,
    Link,
    OutputStream,
    Percentiles,
    PipelineAnalysis,
    PipelineError,
    PipelineItem,
    PipelineStage,
    PipelineStateError,
    PipelineStatistics,
    PipelineStoppedError,
    StageFlow,
    StageProtocolError,
    StageStatistics,
    StageTimingDetail,
    TimingBreakdown,
    log_pipeline_performance_analysis,
    logger,
)


def plain(text: str) -> int:
    return len(text)


def maybe(number: int) -> int | None:
    return number or None


def fan_out(number: int) -> Iterator[int]:
    yield from range(number)


async def on_the_loop(number: int) -> str:
    await anyio.lowlevel.checkpoint()
    return str(number)


async def on_the_loop_fan_out(text: str) -> AsyncIterator[str]:
    for letter in text:
        yield letter


async def lines() -> AsyncIterator[str]:
    yield "line"


def decide(failure: Failure) -> Literal["drop", "return"]:
    assert_type(failure.stage, str)
    assert_type(failure.exception, BaseException)
    assert_type(failure.failed_at - failure.started_at, float)
    return "drop" if failure.item else "return"


async def decide_on_the_loop(failure: Failure) -> Literal["raise"]:
    return "raise"


def build() -> AsyncTaskPipeline[str, None]:
    pipeline: AsyncTaskPipeline[str, None] = AsyncTaskPipeline(10, True, False, timing_history=5, clock=lambda: 0.0)
    AsyncTaskPipeline[str, None](max_queue_size=1, enable_timing=True, return_exceptions=True)
    AsyncTaskPipeline[str, None](on_error="drop", show_items=False, warn_after=None)
    AsyncTaskPipeline[str, None](on_error=decide, warn_after=1)
    AsyncTaskPipeline[str, None]().add_stage("asks", plain, on_error=decide_on_the_loop)
    chained = pipeline.add_stage("plain", plain).add_stage("maybe", maybe, on_error="drop")
    assert_type(chained, AsyncTaskPipeline[str, None])
    return (
        chained.add_stage("fan out", fan_out, on_error="raise")
        .add_stage("async", on_the_loop, on_error="return")
        .add_stage("async fan out", on_the_loop_fan_out, on_error=None)
    )


async def lifetimes(pipeline: AsyncTaskPipeline[str, None]) -> None:
    async with pipeline as entered:
        assert_type(entered, AsyncTaskPipeline[str, None])
    async with anyio.create_task_group() as group:
        await group.start(pipeline.run)
    await pipeline.start()
    await pipeline.stop()
    async with pipeline.process(["a", "b"]) as results:
        assert_type(results, OutputStream[str | None])
        async for result in results:
            assert_type(result, str | None)
    async with pipeline.process(lines()) as results, contextlib.aclosing(results):
        await anext(results)
    assert_type(await pipeline.collect(["a", "b"]), list[str | None])
    assert_type(await pipeline.collect(lines(), in_thread=False), list[str | None])
    assert_type(await pipeline.collect(["a", None], sentinels=lambda each: each is None), list[str | None])


async def in_a_row(
    first: AsyncTaskPipeline[str, Exception | None], second: AsyncTaskPipeline[str, Exception | None]
) -> None:
    async with first.process(["a"]) as results, second.process(results, sentinels=is_control) as both:
        assert_type(both, OutputStream[str | Exception | None])
    async with first.process(["a"]) as results:
        second.process(results)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await second.process_input_stream(results, sentinels=lambda each: not isinstance(each, str))


def is_control(each: object) -> bool:
    return not isinstance(each, str)


async def first(pipeline: AsyncTaskPipeline[str, None]) -> str | None:
    """No block swallows an exception, so nothing is missing behind it."""
    async with pipeline.process(["a", "b"]) as results:
        return await anext(results)


def script(pipeline: AsyncTaskPipeline[str, None]) -> None:
    assert_type(pipeline.run_sync(["a"]), list[str | None])
    pipeline.run_sync(lines(), in_thread=True, backend="trio")
    pipeline.run_sync(["a", None], sentinels=lambda each: each is None)
    pipeline.run_sync(["a"], backend="asyncio", backend_options={"use_uvloop": True})


async def without_async_with(pipeline: AsyncTaskPipeline[str, None]) -> None:
    """Both checkers refuse what raises a TypeError."""
    await pipeline.process(["a"])  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    async for _ in pipeline.process(["a"]):  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        pass
    async for _ in pipeline:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        pass


async def feeding(pipeline: AsyncTaskPipeline[str, None]) -> None:
    await pipeline.process_input_stream(["a"])
    await pipeline.process_input_stream(lines(), close_input=True)
    await pipeline.process_input_data("a")
    await pipeline.process_input_data("a", created_at=1.0)
    await pipeline.process_input_data("a", None)
    await pipeline.process_input_sentinel(None)
    pipeline.put_input_data("a", 1.0)
    pipeline.put_input_sentinel(None)
    await pipeline.put("a")
    await pipeline.put("a", created_at=1.0)
    await pipeline.put_sentinel(None)
    pipeline.put_from_thread("a", 1.0)
    pipeline.put_sentinel_from_thread(None)
    assert_type(pipeline.output(), OutputStream[str | None])
    pipeline.close_input()
    async for output in pipeline.generate_output_stream():
        assert_type(output, str | None)


async def control(pipeline: AsyncTaskPipeline[str, None]) -> None:
    receipt = await pipeline.interrupt()
    assert_type(receipt, InterruptReceipt)
    assert_type(receipt.dropped, dict[str, DroppedItems])
    assert_type(receipt.busy, tuple[str, ...])
    assert_type(receipt.total, int)
    assert_type(pipeline.clear(), InterruptReceipt)
    pipeline.clear_input_queue()
    pipeline.clear_output_queue()
    for dropped in receipt.dropped.values():
        assert_type(dropped.queued + dropped.in_call + dropped.finished, int)


def watching(pipeline: AsyncTaskPipeline[str, None]) -> None:
    statistics = pipeline.statistics()
    assert_type(statistics, PipelineStatistics)
    assert_type(statistics.stages, dict[str, StageFlow])
    assert_type(statistics.inside, int)
    assert_type(pipeline.max_queue_size, int)
    assert_type(pipeline.enable_timing, bool)
    assert_type(pipeline.return_exceptions, bool)
    assert_type(pipeline.running, bool)
    assert_type(pipeline.counter, int)
    assert_type(pipeline.queues, list[Link])
    assert_type(pipeline.input_queue, Link | None)
    for link in pipeline.queues:
        assert_type((link.maxsize, link.qsize(), link.empty(), link.full()), tuple[int, int, bool, bool])
    for stage in pipeline.stages:
        assert_type(stage, PipelineStage)
        assert_type(stage.name, str)
        assert_type(stage.processed_count, int)
        assert_type(stage.get_average_processing_time(), float)
        stage.clear_input_queue()
    assert_type(pipeline.completed_items, CompletedItems)
    for item in pipeline.completed_items:
        assert_type(item, PipelineItem[Any])
        assert_type(item.get_timing_breakdown(), ItemTimingBreakdown | None)
        assert_type(item.get_detailed_timing("plain"), DetailedTiming | None)
        assert_type(item.get_stage_latencies(), dict[str, float] | None)
        assert_type(item.get_total_latency(), float | None)


def reading(pipeline: AsyncTaskPipeline[str, None]) -> None:
    log_pipeline_performance_analysis(pipeline)
    assert_type(logger, logging.Logger)
    report = pipeline.get_report(include_item_details=False)
    assert_type(report, PipelineAnalysis | None)
    if report is None:
        return
    assert_type(report.analysis_metadata, dict[str, Any])
    assert_type(report.summary, LatencySummary)
    assert_type(report.summary.bottleneck, str | None)
    assert_type(report.summary.total_latency, Percentiles)
    assert_type(report.summary.overall_efficiency, EfficiencyMetrics)
    for name, stage in report.summary.stage_statistics.items():
        assert_type(name, str)
        assert_type(stage, StageStatistics)
        assert_type(stage.timing_breakdown, TimingBreakdown)
        assert_type(stage.queue_wait.p99, float)
    for item in report.item_breakdowns:
        assert_type(item, ItemTimingBreakdown)
        assert_type(item.totals, ItemTimingTotals)
        assert_type(item.stages, dict[str, StageTimingDetail])


def failing(pipeline: AsyncTaskPipeline[str, None]) -> str:
    try:
        pipeline.put_input_data("a")
    except PipelineStoppedError as stopped:
        return str(stopped.__cause__)
    except PipelineStateError as state:
        error: RuntimeError = state
        return str(error)
    except StageProtocolError as protocol:
        error = protocol
        return str(error)
    except PipelineError:
        return "another"
    return "none"


def without_annotations() -> None:
    """As the first example of the README has it: anything goes in, anything comes out."""
    pipeline = AsyncTaskPipeline().add_stage("text", str)
    assert_type(pipeline, AsyncTaskPipeline[Any, Any, Any])
