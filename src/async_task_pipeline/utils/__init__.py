"""The helpers of 0.1.10 by the place they had there.

The rule: as in `base`.
"""

from .. import DetailedTiming, log_pipeline_performance_analysis, logger

__all__ = ["DetailedTiming", "log_pipeline_performance_analysis", "logger"]
