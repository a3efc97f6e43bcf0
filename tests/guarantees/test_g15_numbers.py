"""G15, numbers: whatever Python takes for a number is one, wherever a number is taken.

The rule: numpy's numbers are tried where numpy is installed, and two classes of our own, which have what
numpy's have, everywhere. What is kept is a number of Python's own. A docstring says what 0.1.10 did if that
was something else.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction

import pytest
from anyio import to_thread

from async_task_pipeline import AsyncTaskPipeline
from tests.support.functions import same
from tests.support.waiting import read

pytestmark = pytest.mark.anyio


class Whole:
    """As ``numpy.int64``: a whole number, and no int."""

    def __init__(self, number):
        self.number = number

    def __index__(self):
        return self.number


class Real:
    """As ``numpy.float32``: a number, and no float."""

    def __init__(self, number):
        self.number = number

    def __float__(self):
        return float(self.number)


class Truth:
    """As ``numpy.bool_``: equal to a bool, and no bool."""

    def __init__(self, truth):
        self.truth = truth

    def __eq__(self, other):
        return self.truth == other

    def __hash__(self):
        return hash(self.truth)


def of(kind):
    """What makes a whole number, a number and a truth value of a kind."""
    if kind == "numpy":
        numpy = pytest.importorskip("numpy")
        return numpy.int64, numpy.float32, numpy.bool_
    return Whole, Real, Truth


kinds = pytest.mark.parametrize("kind", ["numpy", "by hand"])


@kinds
def test_any_number_may_be_an_argument(kind):
    """0.1.10: the same; it looked at none."""
    whole, real, truth = of(kind)
    pipeline = AsyncTaskPipeline(whole(3), truth(True), truth(False), timing_history=whole(5))
    assert (type(pipeline.max_queue_size), pipeline.max_queue_size) == (int, 3)
    assert (pipeline.enable_timing, pipeline.return_exceptions) == (True, False)
    pipeline.add_stage(
        "stage", str, workers=whole(2), timeout=real(1.5), ordered=truth(True), on_error="drop", max_failures=whole(1)
    )
    pipeline.add_stage("share", str, on_error="drop", max_failures=real(0.5), failure_window=whole(10))
    pipeline.add_batch_stage("batch", list, max_size=whole(2), max_wait=real(0.25), per_item=truth(False))
    stage, share, batch = pipeline.stages
    kept = [stage.workers, stage.timeout, stage.max_failures, share.max_failures, share.failure_window]
    assert kept == [2, 1.5, 1, 0.5, 10]
    assert [type(each) for each in kept] == [int, float, int, float, int]
    assert stage.ordered is True
    assert (batch.batch.max_size, batch.batch.max_wait, batch.batch.per_item) == (2, 0.25, False)


def test_a_flag_may_be_a_number_that_equals_one():
    pipeline = AsyncTaskPipeline(100, 1, 0)
    assert pipeline.enable_timing is True
    assert pipeline.return_exceptions is False


@kinds
def test_an_array_is_no_number_and_a_real_number_is_not_whole(kind):
    """0.1.10: failed somewhere later."""
    array = pytest.importorskip("numpy").array([1, 2]) if kind == "numpy" else [1, 2]
    for name in ("max_queue_size", "enable_timing"):
        with pytest.raises(TypeError, match=f"{name} must be"):
            AsyncTaskPipeline(**{name: array})
    with pytest.raises(TypeError, match="max_queue_size must be an int"):
        AsyncTaskPipeline(of(kind)[1](2))


@kinds
async def test_grace_may_be_any_number(kind):
    _, real, _ = of(kind)
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        assert (await pipeline.interrupt(grace=real(0.5))).total == 0
        assert (await to_thread.run_sync(lambda: pipeline.interrupt_from_thread(grace=real(0.5)))).total == 0


@kinds
@pytest.mark.parametrize("timing", [False, True])
async def test_created_at_may_be_any_number(kind, timing):
    whole, real, _ = of(kind)
    instants = [whole(40), real(40.0), Decimal(40), Fraction(40), 40, True]
    pipeline = AsyncTaskPipeline(enable_timing=timing, clock=lambda: 50.0).add_stage("same", same)
    async with pipeline:
        for number, each in enumerate(instants):
            await pipeline.process_input_data(number, each)
        assert await read(pipeline, 6) == [*range(6)]
    assert [each.get_total_latency() for each in pipeline.completed_items] == ([10.0] * 5 + [49.0] if timing else [])


async def test_without_timing_created_at_is_not_looked_at(caplog):

    def clock():
        raise AssertionError

    async with AsyncTaskPipeline(clock=clock).add_stage("same", same) as pipeline:
        with ThreadPoolExecutor(1) as pool:
            for each in (1e300, float("nan"), -(10**400)):
                await pipeline.process_input_data(each, each)
                pool.submit(pipeline.put_input_data, each, each).result()
        assert len(await read(pipeline, 6)) == 6
    assert [each for each in caplog.messages if "created_at" in each] == []
