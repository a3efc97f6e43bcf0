"""G10, native cancellation on asyncio: a stage never ends the pipeline quietly.

The rule: what a stage leaves of ``Task.cancel`` in its task is taken back after the call, and a
cancellation that nobody meant for the shift or the run is the failure of its call. Nothing is lost.
"""

from __future__ import annotations

import asyncio

import pytest

from async_task_pipeline import AsyncTaskPipeline, StageProtocolError
from tests.support.backends import ASYNCIO
from tests.support.gates import Gate
from tests.support.law import assert_law
from tests.support.waiting import drain, read

pytestmark = [pytest.mark.anyio, ASYNCIO]  # trio has no native cancellation of a task


async def swallow(item):
    asyncio.current_task().cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(0)
    return item


async def swallow_in_steps(item):
    yield await swallow(item)


async def deal_with_a_failed_child(item):
    async def fail():
        raise LookupError(item)

    with pytest.raises(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            await asyncio.sleep(60)
    return item


@pytest.mark.parametrize("stage", [swallow, swallow_in_steps, deal_with_a_failed_child])
async def test_a_cancellation_that_a_stage_leaves_behind_is_taken_back(stage):
    async def count(item):
        return item, asyncio.current_task().cancelling()

    pipeline = AsyncTaskPipeline().add_stage("leaves", stage).add_stage("count", count)
    assert await drain(pipeline, range(5)) == [(number, 0) for number in range(5)]


async def test_a_stage_that_cancels_what_it_awaits_fails_its_call():
    async def cancel(item):
        if item == 1:
            task = asyncio.ensure_future(asyncio.sleep(60))
            asyncio.get_running_loop().call_soon(task.cancel)
            await task
        return item

    pipeline = AsyncTaskPipeline(return_exceptions=True).add_stage("cancels", cancel)
    first, error, last = await drain(pipeline, range(3))
    assert (first, last) == (0, 2)
    assert isinstance(error, StageProtocolError)


@pytest.mark.parametrize("in_call", [False, True])
async def test_a_worker_task_that_somebody_cancels_goes_on(in_call):
    tasks, entered = [], asyncio.Event()

    async def stage(item):
        tasks.append(asyncio.current_task())
        if item == "long":
            entered.set()
            await asyncio.sleep(60)
        return item

    async with AsyncTaskPipeline(return_exceptions=True).add_stage("stage", stage) as pipeline:
        await pipeline.process_input_data("first")
        assert await read(pipeline, 1) == ["first"]
        if in_call:
            await pipeline.process_input_data("long")
            await entered.wait()
        tasks[-1].cancel()
        if in_call:
            (error,) = await read(pipeline, 1)
            assert isinstance(error, StageProtocolError)
        await pipeline.process_input_data("last")
        assert await read(pipeline, 1) == ["last"]
        assert_law(pipeline)


async def test_the_thread_of_a_worker_task_that_somebody_cancels_goes_on():
    gate = Gate("held")
    async with AsyncTaskPipeline().add_stage("gate", gate) as pipeline:
        await pipeline.process_input_data("held")
        await gate.entered()
        (host,) = [task for task in asyncio.all_tasks() if task.get_name() == "stage gate"]
        host.cancel()
        await pipeline.process_input_data("next")
        gate.open()
        assert await read(pipeline, 2) == ["held", "next"]
        await pipeline.interrupt()
        await pipeline.process_input_data("last")
        assert await read(pipeline, 1) == ["last"]
        assert_law(pipeline)
