"""What a user gets wrong is said, wherever the stage runs, and ends or fails what it has to.

The rule: the message names the stage and what was wrong with it; no warning of Python's stands
in for it.
"""

from __future__ import annotations

import re
from functools import partial

import pytest

from async_task_pipeline import StageProtocolError
from tests.kinds import functions, mistakes
from tests.kinds.kinds import INTERPRETER, POOLS, some
from tests.support.waiting import drain

pytestmark = pytest.mark.anyio

OFF_THE_LOOP = ("thread", "process", INTERPRETER, *POOLS)


async def failures_of(pipeline, source):
    failures = await drain(pipeline, source)
    assert pipeline.statistics().failed == len(failures)
    return failures


@some(OFF_THE_LOOP)
async def test_a_plain_function_that_returns_a_coroutine_is_told_to_be_async(kind):
    pipeline = kind.pipeline(mistakes.unawaited, on_error="return")
    (failure,) = await failures_of(pipeline, [1])
    assert isinstance(failure, StageProtocolError)
    assert re.search("<function unawaited at .*> returned a coroutine; declare it 'async def'", str(failure))
    assert failure.__notes__[-1] == "raised in stage 'stage' of the pipeline"


@some(["loop"])
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("unawaited_on_loop", "returned a coroutine; await that in it"),
        ("generator_on_loop", "returned a generator; yield in it instead"),
        ("async_generator_on_loop", "returned an async_generator; yield in it instead"),
    ],
)
async def test_an_async_function_that_returns_what_is_still_to_run_is_told_so(kind, name, told):
    (failure,) = await failures_of(kind.pipeline(getattr(mistakes, name), on_error="return"), [1])
    assert isinstance(failure, StageProtocolError)
    assert str(failure).endswith(told)


@some(OFF_THE_LOOP)
async def test_so_is_one_that_takes_batches(kind):
    pipeline = kind.pipeline(mistakes.unawaited_batch, on_error="return", max_size=2, max_wait=0)
    for failure in await failures_of(pipeline, [1, 2]):
        assert isinstance(failure, StageProtocolError)
        assert "returned" in str(failure)
        assert "coroutine" in str(failure)


@some(POOLS)
async def test_a_generator_that_does_not_end_on_a_pool_fails_behind_what_it_yielded(kind):
    pipeline = kind.pipeline(mistakes.endless, on_error="return")
    *values, failure = await drain(pipeline, [1])
    assert (len(values), pipeline.statistics().failed) == (65_536, 1)
    assert isinstance(failure, StageProtocolError)
    assert "yielded more than 65536 values in one call on an executor" in str(failure)


@some(["thread", "process", INTERPRETER])
async def test_a_state_that_only_the_loop_can_enter_fails_the_start(kind, gate):
    pipeline = kind.pipeline(functions.count, setup=partial(functions.resource_on_loop, gate.address))
    with pytest.raises(TypeError, match="setup returned an async context manager") as caught:
        async with pipeline:
            pytest.fail("it was entered")
    assert caught.value.__notes__[-1] == "raised in stage 'stage' of the pipeline"
    assert gate.arrivals == []
