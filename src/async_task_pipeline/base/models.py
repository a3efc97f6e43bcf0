"""Where 0.1.10 had the records of the report; for programs that import them from here."""

from .. import (
    EfficiencyMetrics,
    ItemTimingBreakdown,
    ItemTimingTotals,
    LatencySummary,
    PipelineAnalysis,
    StageStatistics,
    StageTimingDetail,
    TimingBreakdown,
)

__all__ = [
    "EfficiencyMetrics",
    "ItemTimingBreakdown",
    "ItemTimingTotals",
    "LatencySummary",
    "PipelineAnalysis",
    "StageStatistics",
    "StageTimingDetail",
    "TimingBreakdown",
]
