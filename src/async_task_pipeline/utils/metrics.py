"""Where 0.1.10 had the timing of one visit to a stage; for programs that import it from here."""

from .. import DetailedTiming

__all__ = ["DetailedTiming"]
