"""Where 0.1.10 had the item; for programs that import it from here."""

from .. import PipelineItem

__all__ = ["PipelineItem"]
