"""Where 0.1.10 had the pipeline; for programs that import it from here."""

from .. import AsyncTaskPipeline

__all__ = ["AsyncTaskPipeline"]
