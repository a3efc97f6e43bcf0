"""How many failures a stage may have: counted over a run, or a share of the last ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_task_pipeline import PipelineStage
from async_task_pipeline._failure_budget import FailureBudget


def budget(max_failures: float | None, window: int = 100) -> FailureBudget:
    options: dict[str, Any] = {"failure_window": window} if isinstance(max_failures, float) else {}
    return FailureBudget(PipelineStage("s", print, on_error="drop", max_failures=max_failures, **options))


def verdicts(outcomes: list[bool], max_failures: float | None, window: int = 100) -> list[bool]:
    """Whether each outcome overdraws the budget; ``True`` is a failure."""
    it, seen = budget(max_failures, window), []
    for failed in outcomes:
        if failed:
            seen.append(it.overdrawn(ValueError("mine")) is not None)
        else:
            it.succeeded(1)
            seen.append(False)
    return seen


def test_without_a_limit_there_is_none() -> None:
    assert not any(verdicts([True] * 1000, None))


@given(outcomes=st.lists(st.booleans(), max_size=50), allowed=st.integers(0, 10))
def test_a_number_is_of_the_whole_run_and_is_overdrawn_once(outcomes: list[bool], allowed: int) -> None:
    expected = [failed and sum(outcomes[: n + 1]) == allowed + 1 for n, failed in enumerate(outcomes)]
    assert verdicts(outcomes, allowed) == expected


@given(outcomes=st.lists(st.booleans(), max_size=60), window=st.integers(1, 10), percent=st.integers(1, 99))
def test_a_share_is_of_the_last_outcomes_once_there_are_so_many(outcomes, window, percent):
    over = [
        n + 1 >= window and failed and sum(outcomes[n + 1 - window : n + 1]) * 100 > percent * window
        for n, failed in enumerate(outcomes)
    ]
    expected = [each and not any(over[:n]) for n, each in enumerate(over)]
    assert verdicts(outcomes, percent / 100, window) == expected


def test_the_share_itself_is_allowed() -> None:
    for percent in range(1, 100):
        it = budget(percent / 100)
        it.succeeded(100 - percent)
        assert [it.overdrawn(ValueError("mine")) for _ in range(percent)] == [None] * percent
        assert it.overdrawn(ValueError("mine")) is not None


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (1, "stage 's': 2 calls have failed, and max_failures is 1"),
        (0.5, "stage 's': 2 of the last 2 outcomes are failures, and max_failures is 0.5 of them"),
    ],
)
def test_the_error_says_what_the_budget_was_and_what_was_one_too_many(limit: float, message: str) -> None:
    it, last = budget(limit, window=2), ValueError("last")
    assert it.overdrawn(ValueError("first")) is None
    error: Any = it.overdrawn(last)
    assert (str(error), error.__cause__) == (message, last)


def test_a_budget_of_nothing_is_told_in_the_singular() -> None:
    assert str(budget(0).overdrawn(ValueError())) == "stage 's': 1 call has failed, and max_failures is 0"


def test_many_successes_at_once_are_no_more_than_the_window() -> None:
    it = budget(0.5, window=4)
    it.succeeded(10**9)
    assert [it.overdrawn(ValueError()) is None for _ in range(3)] == [True, True, False]
