"""Faults E10, E11 and E17 of 0.1.10: reading the output.

The rule: a read that is cancelled took nothing and can be repeated; there is one reader
at a time; what went wrong is raised, not logged. Cancelled by anyio's scopes on every
backend, and natively on asyncio, where cancellation respects neither shield nor scope.
"""

from __future__ import annotations

import asyncio
import itertools

import pytest
from anyio import BusyResourceError, CancelScope, create_task_group, fail_after, wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline

pytestmark = pytest.mark.anyio

PATIENCE = 60
ASYNCIO = pytest.mark.parametrize(
    "anyio_backend",
    [
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="asyncio+uvloop"),
    ],
)


async def until(condition) -> None:
    """Let other tasks run until the condition holds; the caller's timeout is the limit."""
    while not condition():
        await checkpoint()


async def test_e10_cancelled_reads_lose_nothing():
    """0.1.10: 38 of 3,000 items lost in 385 cancelled reads; then the stream was dead."""
    got, cancelled, scope = [], 0, None
    pipeline = AsyncTaskPipeline(max_queue_size=5).add_stage("a", lambda x: x).add_stage("b", lambda x: x)

    async def disturb() -> None:
        for wait in itertools.cycle(range(7)):
            for _ in range(wait):
                await checkpoint()
            if scope is not None:
                scope.cancel()
            await checkpoint()

    with fail_after(PATIENCE):
        async with pipeline.process(iter(range(1000))) as results, create_task_group() as tg:
            tg.start_soon(disturb)
            while len(got) < 1000:
                with CancelScope() as scope:
                    got.append(await anext(results))
                cancelled += scope.cancelled_caught
            tg.cancel_scope.cancel()
    assert got == list(range(1000))
    assert cancelled > 0


@ASYNCIO
async def test_e10_natively_cancelled_reads_lose_nothing():
    """0.1.10: the executor thread took the item, and nobody was there to get it."""
    got, cancelled = [], 0
    pipeline = AsyncTaskPipeline(max_queue_size=5).add_stage("a", lambda x: x)
    with fail_after(PATIENCE):
        async with pipeline.process(iter(range(3000))) as results:
            for turn in itertools.count():
                if len(got) == 3000:
                    break
                task = asyncio.create_task(results.__anext__())
                for _ in range(turn % 4):
                    await asyncio.sleep(0)
                task.cancel()
                try:
                    got.append(await task)
                except asyncio.CancelledError:
                    cancelled += 1
    assert got == list(range(3000))
    assert cancelled > 0


async def test_e10_the_output_can_be_read_after_a_timeout():
    """0.1.10: the generator was finished: StopAsyncIteration ever after."""
    pipeline = AsyncTaskPipeline().add_stage("same", lambda x: x)
    with fail_after(PATIENCE):
        async with pipeline:
            output = pipeline.generate_output_stream()
            for i in range(3):
                with pytest.raises(TimeoutError), fail_after(0.001):
                    await anext(output)
                await pipeline.process_input_data(i)
                assert await anext(output) == i


async def test_e11_a_second_consumer_is_told_and_the_first_gets_everything():
    """0.1.10: two of them split 5 and 15 of the items; one never saw the end."""
    pipeline = AsyncTaskPipeline().add_stage("same", lambda x: x)
    got, second = [], pipeline.generate_output_stream

    async def consume() -> None:
        async for x in pipeline.generate_output_stream():
            got.append(x)

    with fail_after(PATIENCE):
        async with pipeline, create_task_group() as tg:
            tg.start_soon(consume)
            for i in range(20):
                await until(lambda i=i: len(got) == i)
                await wait_all_tasks_blocked()
                with pytest.raises(BusyResourceError):
                    await anext(second())
                await pipeline.process_input_data(i)
            pipeline.close_input()
    assert got == list(range(20))


async def test_e17_the_output_swallows_nothing():
    """0.1.10: caught every exception in its loop, logged it, and went on for ever."""
    pipeline = AsyncTaskPipeline().add_stage("same", lambda x: x)
    with fail_after(PATIENCE), pytest.raises(LookupError, match="mine"):
        async with pipeline.process(range(3)) as results:
            async for _ in results:
                raise LookupError("mine")

    pipeline = AsyncTaskPipeline().add_stage("fails", lambda x: 1 / x)
    with fail_after(PATIENCE):
        await pipeline.start()
        await pipeline.process_input_data(0)
        output = pipeline.generate_output_stream()
        errors = []
        for _ in range(3):
            with pytest.raises(ZeroDivisionError) as caught:
                await anext(output)
            errors.append(caught.value)
        with pytest.raises(ZeroDivisionError):
            await pipeline.stop()
        with pytest.raises(ZeroDivisionError):
            await anext(output)
    assert errors[0] is errors[1] is errors[2]
