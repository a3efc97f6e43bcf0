"""A percentile read from the sketch is within 0.4 % of the real order statistic."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_task_pipeline._timing._sketch import RELATIVE_ACCURACY, Sketch

FRACTIONS = (0.0, 0.01, 0.5, 0.9, 0.99, 1.0)
NANOSECOND = 1e-9

durations = st.floats(min_value=NANOSECOND, max_value=1e13)


def order_statistic(values: list[float], fraction: float) -> float:
    return sorted(values)[max(1, math.ceil(fraction * len(values))) - 1]


def filled(*batches: list[float]) -> Sketch:
    sketch = Sketch()
    for batch in batches:
        sketch.extend(batch)
    return sketch


@given(st.lists(durations, min_size=1))
def test_percentiles_are_within_the_accuracy_stated(values: list[float]) -> None:
    found = filled(values).quantiles(FRACTIONS)
    for fraction, value in zip(FRACTIONS, found, strict=True):
        assert value == pytest.approx(order_statistic(values, fraction), rel=RELATIVE_ACCURACY * (1 + 1e-6))


@given(st.lists(st.floats(min_value=0, max_value=NANOSECOND), min_size=1))
def test_what_is_shorter_than_a_nanosecond_is_within_a_nanosecond(values: list[float]) -> None:
    for fraction, value in zip(FRACTIONS, filled(values).quantiles(FRACTIONS), strict=True):
        assert value == pytest.approx(order_statistic(values, fraction), abs=NANOSECOND)


@given(st.lists(st.floats(min_value=-1, max_value=1e13), min_size=1))
def test_percentiles_ascend_and_stay_between_the_extremes(values: list[float]) -> None:
    found = filled(values).quantiles(FRACTIONS)
    assert found == sorted(found)
    assert min(values) <= found[0]
    assert found[-1] <= max(values)


@given(st.lists(st.lists(durations)))
def test_batches_add_up_to_the_whole(batches: list[list[float]]) -> None:
    values = [value for batch in batches for value in batch]
    parts, whole = filled(*batches), filled(values)
    assert len(parts) == len(values)
    assert parts.quantiles(FRACTIONS) == whole.quantiles(FRACTIONS)
    assert (parts.minimum, parts.maximum) == (whole.minimum, whole.maximum)
    assert parts.mean == pytest.approx(whole.mean, rel=1e-12)


def test_mean_and_extremes_are_exact() -> None:
    sketch = filled([0.25, 4.0], [1.75])
    assert (len(sketch), sketch.mean, sketch.minimum, sketch.maximum) == (3, 2.0, 0.25, 4.0)


def test_a_negative_duration_is_seen_and_not_hidden() -> None:
    sketch = filled([-2.0, 4.0])
    assert (sketch.minimum, sketch.mean) == (-2.0, 1.0)


def test_one_value_is_every_percentile() -> None:
    # The middle of its bucket lies beside it; the extremes say what it was.
    assert filled([0.3]).quantiles(FRACTIONS) == [0.3] * len(FRACTIONS)


def test_an_empty_sketch_says_zero() -> None:
    sketch = filled([])
    assert (len(sketch), sketch.mean, sketch.minimum, sketch.maximum) == (0, 0.0, 0.0, 0.0)
    assert sketch.quantiles(FRACTIONS) == [0.0] * len(FRACTIONS)


def test_memory_is_bounded_by_the_range_and_not_by_the_count() -> None:
    sketch = Sketch()
    for exponent in range(-9, 13):
        sketch.extend([10.0**exponent * (1 + step / 1000) for step in range(0, 9000, 3)])
    assert len(sketch) == 22 * 3000
    assert len(sketch._buckets) < 128 * 74  # powers of two from a nanosecond to 10^13 seconds
