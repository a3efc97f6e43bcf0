"""A clock moved by hand.

The rule: it stands still unless somebody spends time, so every interval is a whole number that can be
worked out by hand, and is compared exactly. It knows which functions have asked it.
"""

from __future__ import annotations

import sys
from collections import Counter


class Ticks:
    """A clock for ``AsyncTaskPipeline(clock=)``."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now
        self.asked_by: Counter[str] = Counter()

    def __call__(self) -> float:
        now = self.now  # first: whoever waits for the count may spend some
        self.asked_by[sys._getframe(1).f_code.co_name] += 1
        return now

    def spend(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
