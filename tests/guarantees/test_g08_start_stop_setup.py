"""G8, workers with something to make first.

The rule: a pipeline has started when every worker is ready; if one cannot be, whoever starts it is
told, at once and by the stage's name, and no item is ever called for. Starting can be cancelled,
and stopped, like anything else.
"""

from __future__ import annotations

import pytest
from anyio import Event, create_task_group, fail_after, sleep_forever

from async_task_pipeline import AsyncTaskPipeline
from tests.support.waiting import PATIENCE, drain

pytestmark = pytest.mark.anyio


class NoModelError(Exception):
    """What a failing setup raises."""


def fails():
    raise NoModelError


def stateful(state, item):
    return state, item


async def stateful_on_loop(state, item):
    return state, item


def starts():
    """Every way to start a pipeline, up to the moment at which it has."""

    async def scope(pipeline, started):
        async with pipeline:
            started()

    async def job(pipeline, started):
        async with pipeline.process([1]):
            started()

    async def start(pipeline, started):
        await pipeline.start()
        started()

    async def in_a_group(pipeline, started):
        async with create_task_group() as tg:
            await tg.start(pipeline.run)
            started()

    return pytest.mark.parametrize("start", [scope, job, start, in_a_group])


def never():
    pytest.fail("it has started")


def lone(group):
    """The one exception in a group, or a bare one."""
    while isinstance(group, BaseExceptionGroup):
        (group,) = group.exceptions
    return group


@starts()
async def test_a_setup_that_fails_does_not_wait_for_one_that_takes_long(start):
    pipeline = AsyncTaskPipeline().add_stage("voice", stateful, setup=fails)
    pipeline.add_stage("model", stateful_on_loop, setup=sleep_forever)
    with pytest.raises((NoModelError, BaseExceptionGroup)) as caught:
        await start(pipeline, never)
    assert isinstance(lone(caught.value), NoModelError)


@starts()
@pytest.mark.parametrize("end", ["cancel", "stop"])
async def test_a_start_that_takes_long_can_be_cancelled_and_stopped(start, end):
    begun, told = Event(), []

    async def takes_long():
        begun.set()
        await sleep_forever()

    pipeline = AsyncTaskPipeline().add_stage("model", stateful_on_loop, setup=takes_long)
    with fail_after(PATIENCE):
        async with create_task_group() as tg:
            tg.start_soon(start, pipeline, lambda: told.append("started"))
            await begun.wait()
            if end == "cancel":
                tg.cancel_scope.cancel()
            else:
                await pipeline.stop()
    await pipeline.stop()
    assert told == (["started"] if end == "stop" else [])
    assert not pipeline.running


async def test_a_pipeline_that_did_not_start_starts_again():
    attempts = []

    def fails_once():
        attempts.append("model")
        return attempts[0] if attempts[1:] else fails()

    pipeline = AsyncTaskPipeline().add_stage("voice", stateful, setup=fails_once)
    with pytest.raises(NoModelError):
        await pipeline.start()
    assert await drain(pipeline, [1]) == [("model", 1)]
