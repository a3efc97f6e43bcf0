"""Where 0.1.10 had the report in the log; for programs that import it from here."""

from .. import log_pipeline_performance_analysis

__all__ = ["log_pipeline_performance_analysis"]
