"""Classes of the user's own, to be read by type checkers and never run.

The rule: what a program of 0.1.10 overrides may be overridden, with the types of this library.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import Any, Generic, TypeVar, assert_type

from async_task_pipeline import AsyncTaskPipeline, InterruptReceipt, LatencySummary, OutputStream, PipelineItem
from async_task_pipeline.base.models import ItemTimingBreakdown, PipelineAnalysis
from async_task_pipeline.base.pipeline import AsyncTaskPipeline as ByItsOldPlace
from async_task_pipeline.utils import log_pipeline_performance_analysis, logger

M = TypeVar("M")
S = TypeVar("S")


class Agent(AsyncTaskPipeline[M, S], Generic[M, S]):
    turns: int = 0

    async def process_input_data(self, data: M, created_at: float | None = None) -> None:
        await super().process_input_data(data, created_at)

    def put_input_data(self, data: M, created_at: float | None = None) -> None:
        super().put_input_data(data, created_at)

    async def process_input_stream(self, input_stream: AsyncIterable[Any] | Iterable[Any], **options: Any) -> None:
        await super().process_input_stream(input_stream, **options)

    async def interrupt(self, **options: Any) -> InterruptReceipt:
        self.turns += 1
        return await super().interrupt(**options)

    def clear(self) -> InterruptReceipt:
        return super().clear()


class Words(Agent[str, None]):
    _history: list[str]


async def use(stream: AsyncIterable[Any]) -> None:
    words = Words(enable_timing=True, on_error="drop")
    words.add_stage("upper", str.upper)
    assert_type(words.generate_output_stream(), OutputStream[str | None])
    await words.process_input_stream(stream)
    pipeline: AsyncTaskPipeline[str, None] = ByItsOldPlace[str, None](10, True, False)
    await pipeline.process_input_stream(stream)
    await pipeline.process_input_stream(stream, close_input=True)
    pipeline.counter = 0
    pipeline.enable_timing = True
    pipeline.return_exceptions = True
    pipeline.completed_items = []
    assert_type(pipeline.completed_items[-1], PipelineItem[Any])
    assert_type(pipeline.get_latency_summary(), LatencySummary | None)
    log_pipeline_performance_analysis(words)
    logger.info("done")


def look(item: PipelineItem[str], report: PipelineAnalysis) -> float:
    breakdown = item.get_timing_breakdown()
    assert_type(breakdown, ItemTimingBreakdown | None)
    assert_type(report.model_dump(), dict[str, Any])
    assert_type(report.model_dump_json(), str)
    total: float = 0.0
    if breakdown is not None and "totals" in breakdown:
        total = breakdown["totals"]["total_latency"]
        for name, detail in breakdown.items():
            assert_type(name, str)
            total += detail["computation_time"] if name != "totals" else 0.0
    return total
