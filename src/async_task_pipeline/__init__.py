"""Structured-concurrency pipelines on asyncio and trio.

``AsyncTaskPipeline`` streams items through an ordered chain of stages; plain functions
run in worker threads, async functions on the event loop. Interrupts are exact, the
timing report is true, and memory is bounded from source to sink.
"""

from __future__ import annotations

import typing

from ._chain import Chain
from ._engine._link import Link
from ._engine._output import OutputStream
from ._engine._turn import Turn
from ._exceptions import (
    FailureBudgetError,
    PipelineError,
    PipelineStateError,
    PipelineStoppedError,
    RemoteCallError,
    StageProtocolError,
    TurnOverError,
    WorkerDiedError,
)
from ._failure import Failure
from ._log import logger
from ._pipeline import AsyncTaskPipeline
from ._stage import PipelineStage
from ._statistics import DroppedItems, InterruptReceipt, PipelineStatistics, StageFlow
from ._timing._clock import DetailedTiming
from ._timing._history import CompletedItems
from ._timing._item import PipelineItem

if typing.TYPE_CHECKING:
    from ._timing._analysis import PipelineAnalysis, log_pipeline_performance_analysis
    from ._timing._report import (
        Bottleneck,
        EfficiencyMetrics,
        InterruptStatistics,
        ItemTimingBreakdown,
        ItemTimingTotals,
        LatencySummary,
        Percentiles,
        StageStatistics,
        StageTimingDetail,
        TimingBreakdown,
        TurnStatistics,
    )

__version__ = "1.0.0"

__all__ = [
    "AsyncTaskPipeline",
    "Bottleneck",
    "Chain",
    "CompletedItems",
    "DetailedTiming",
    "DroppedItems",
    "EfficiencyMetrics",
    "Failure",
    "FailureBudgetError",
    "InterruptReceipt",
    "InterruptStatistics",
    "ItemTimingBreakdown",
    "ItemTimingTotals",
    "LatencySummary",
    "Link",
    "OutputStream",
    "Percentiles",
    "PipelineAnalysis",
    "PipelineError",
    "PipelineItem",
    "PipelineStage",
    "PipelineStateError",
    "PipelineStatistics",
    "PipelineStoppedError",
    "RemoteCallError",
    "StageFlow",
    "StageProtocolError",
    "StageStatistics",
    "StageTimingDetail",
    "TimingBreakdown",
    "Turn",
    "TurnOverError",
    "TurnStatistics",
    "WorkerDiedError",
    "log_pipeline_performance_analysis",
    "logger",
]

_IN_REPORTS = [name for name in __all__ if name not in globals()]

# Tracebacks, pickles and the documentation name the public place, not the private file.
for _public in [globals()[name] for name in __all__ if name not in _IN_REPORTS]:
    if callable(_public):
        _public.__module__ = __name__

if not typing.TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load what a report is made of: a third of the time to import all, and few programs name any of it."""
        if name not in _IN_REPORTS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from ._timing import _analysis, _report  # noqa: PLC0415

        found = {**vars(_report), **vars(_analysis)}
        for each in _IN_REPORTS:
            globals()[each] = found[each]
            found[each].__module__ = __name__
        return found[name]

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
