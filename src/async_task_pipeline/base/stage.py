"""Where 0.1.10 had the stage; for programs that import it from here."""

from .. import PipelineStage

__all__ = ["PipelineStage"]
