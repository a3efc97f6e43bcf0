"""How many failures a stage may have before the pipeline fails.

The rule: a number counts the failures of a run; a share counts those among the last
``failure_window`` outcomes, once there have been that many. The first failure beyond
the budget ends the pipeline, and the error names the budget.
"""

from __future__ import annotations

from collections import deque

from ._exceptions import FailureBudgetError
from ._stage import PipelineStage


class FailureBudget:
    """The failures of one stage in one run."""

    def __init__(self, stage: PipelineStage) -> None:
        self._stage = stage
        self._failures = 0
        self._spent = False
        self._recent: deque[bool] | None = (
            deque(maxlen=stage.failure_window) if isinstance(stage.max_failures, float) else None
        )

    def succeeded(self, outcomes: int) -> None:
        """Note outcomes that were no failures."""
        if self._recent is not None and outcomes:
            self._recent.extend([False] * min(outcomes, self._stage.failure_window))

    def overdrawn(self, exc: BaseException) -> FailureBudgetError | None:
        """Note a failure; return the error that ends the pipeline, if it was one too many."""
        allowed = self._stage.max_failures
        self._failures += 1
        if allowed is None or self._spent:
            return None
        if self._recent is None:
            if self._failures <= allowed:
                return None
            calls = "1 call has" if self._failures == 1 else f"{self._failures} calls have"
            budget = f"{calls} failed, and max_failures is {allowed!r}"
        else:
            self._recent.append(True)
            failed = sum(self._recent)
            # Divided, not multiplied: 0.29 * 100 is less than 29.
            if len(self._recent) < self._stage.failure_window or failed / self._stage.failure_window <= allowed:
                return None
            budget = (
                f"{failed} of the last {self._stage.failure_window} outcomes are failures, "
                f"and max_failures is {allowed!r} of them"
            )
        self._spent = True
        error = FailureBudgetError(f"stage {self._stage.name!r}: {budget}")
        error.__cause__ = exc
        return error
