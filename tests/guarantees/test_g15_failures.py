"""G15, failures: a service of 0.1.10, where a bad item was logged and dropped, is one argument away.

The rule: the pipeline's ``on_error`` is that of each stage that has none; ``return_exceptions=True`` means
``"return"``. A docstring says what 0.1.10 did if that was something else.
"""

from __future__ import annotations

import pytest

from async_task_pipeline import AsyncTaskPipeline, Chain
from tests.support.law import assert_law
from tests.support.waiting import drain

pytestmark = pytest.mark.anyio


def reciprocal(x):
    return 1 / x


async def test_a_bad_item_is_dropped_counted_and_logged(caplog):
    """0.1.10: dropped, neither counted nor logged."""
    pipeline = AsyncTaskPipeline(on_error="drop").add_stage("first", reciprocal).add_stage("second", reciprocal)
    assert await drain(pipeline, [1, 0, 2]) == [1, 2]
    assert pipeline.statistics().failed == 1
    (message,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert message == "stage 'first' dropped item 0: ZeroDivisionError: division by zero"
    assert_law(pipeline)


@pytest.mark.parametrize("options", [{"return_exceptions": True}, {"on_error": "return"}])
async def test_a_returned_exception_takes_the_place_of_its_item(options):
    """0.1.10: the same, with ``return_exceptions``."""
    for both in (options, {"return_exceptions": True, "on_error": "return"}):
        pipeline = AsyncTaskPipeline(**both).add_stage("same", reciprocal)
        one, error, half = await drain(pipeline, [1, 0, 2])
        assert (one, half) == (1, 0.5)
        assert isinstance(error, ZeroDivisionError)
        assert (pipeline.return_exceptions, pipeline.on_error) == (True, "return")


@pytest.mark.parametrize("options", [{}, {"on_error": None}, {"on_error": "raise"}])
async def test_a_failure_is_raised_by_default(options):
    """0.1.10: dropped; an error that vanishes is a fault."""
    pipeline = AsyncTaskPipeline(**options).add_stage("same", reciprocal)
    assert (pipeline.return_exceptions, pipeline.on_error) == (False, "raise")
    with pytest.raises(ZeroDivisionError):
        await drain(pipeline, [1, 0, 2])


async def test_a_stage_may_say_otherwise():
    pipeline = AsyncTaskPipeline(on_error="drop")
    pipeline.add_stage("first", reciprocal, on_error="return").add_stage("second", reciprocal)
    assert [stage.on_error for stage in pipeline.stages] == ["return", "drop"]
    error, one = await drain(pipeline, [0, 1])
    assert isinstance(error, ZeroDivisionError)
    assert one == 1


def test_the_attribute_of_0_1_10_may_be_set():
    """0.1.10: the same: it is that of the stages added from then on."""
    pipeline = AsyncTaskPipeline(on_error="drop").add_stage("first", str)
    pipeline.return_exceptions = False  # which it is
    pipeline.add_stage("second", str)
    pipeline.return_exceptions = True
    pipeline.add_stage("third", str)
    pipeline.return_exceptions = False
    pipeline.add_stage("fourth", str)
    assert [stage.on_error for stage in pipeline.stages] == ["drop", "drop", "return", "raise"]


@pytest.mark.parametrize("meaning", ["drop", "raise"])
def test_two_arguments_that_contradict_each_other_are_both_named(meaning):
    with pytest.raises(ValueError, match=f"return_exceptions=True means .* on_error is '{meaning}'"):
        AsyncTaskPipeline(return_exceptions=True, on_error=meaning)
    with pytest.raises(ValueError, match=r"on_error must be a function or one of .* not 'ignore'"):
        AsyncTaskPipeline(on_error="ignore")


def test_a_chain_takes_it_too():
    (stage,) = Chain().then("same", reciprocal).pipeline(on_error="drop").stages
    assert stage.on_error == "drop"
