"""A source that raises asyncio's CancelledError though nobody has cancelled the pipeline.

The rule: whoever awaits a task that has been cancelled gets one. It is an error of the
source like any other, and must not pass for the end of the input, or for a cancellation
of ours that ends a task quietly.
"""

from __future__ import annotations

import asyncio

import pytest
from anyio import fail_after

from async_task_pipeline import AsyncTaskPipeline, StageProtocolError

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize(
        "anyio_backend",
        [
            pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
            pytest.param(("asyncio", {"use_uvloop": True}), id="asyncio+uvloop"),
        ],
    ),
]


async def in_a_task():
    yield 1
    task = asyncio.ensure_future(asyncio.sleep(60))
    task.cancel()
    await task


def in_a_thread():
    yield 1
    raise asyncio.CancelledError


def pipeline():
    return AsyncTaskPipeline().add_stage("same", lambda item: item)


@pytest.mark.parametrize("source", [in_a_task, in_a_thread])
async def test_it_ends_a_job(source):
    got = []
    with fail_after(60), pytest.raises(StageProtocolError) as caught:
        async with pipeline().process(source()) as results:
            async for result in results:
                got.append(result)
    assert got == [1]
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)


@pytest.mark.parametrize("source", [in_a_task, in_a_thread])
async def test_it_reaches_the_feeder_and_the_consumer(source):
    got = []
    with fail_after(60):
        async with pipeline() as running:
            with pytest.raises(StageProtocolError):
                await running.process_input_stream(source())
            with pytest.raises(StageProtocolError):
                async for result in running.generate_output_stream():
                    got.append(result)
    assert got == [1]
