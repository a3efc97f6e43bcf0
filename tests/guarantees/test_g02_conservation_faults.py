"""G2, faults of the engine before this one: each failed there, by chance or always.

The rule: what is asserted here is the law and nothing stale, after the very step that broke them.
"""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import anyio
import pytest
from anyio import create_task_group, to_thread

from async_task_pipeline import AsyncTaskPipeline
from tests.support.gates import Gate
from tests.support.law import assert_law
from tests.support.waiting import PATIENCE, until_waiting

pytestmark = pytest.mark.anyio


async def test_a_generator_that_ends_in_the_step_of_an_interrupt_leaves_nothing_stale():
    """Its last value was found by the second of two looks at it, and came out after the interrupt."""
    held, interrupted = threading.Event(), threading.Event()

    def speak(turn):
        yield turn
        if turn == "old":
            held.set()
            assert interrupted.wait(PATIENCE / 2)
            yield "old, last"

    async with AsyncTaskPipeline().add_stage("speak", speak) as pipeline:
        for _ in range(50):
            held.clear()
            interrupted.clear()
            await pipeline.process_input_data("old")
            await to_thread.run_sync(held.wait, PATIENCE / 2)
            interrupted.set()  # it ends while the loop is in the step of the interrupt
            await pipeline.interrupt()
            assert_law(pipeline)
            await pipeline.process_input_data("new")
            assert await anext(pipeline.generate_output_stream()) == "new"
            assert_law(pipeline)


async def test_clearing_while_a_thread_puts_keeps_the_law():
    """``inside`` became negative, and a stale result came out later."""
    over = threading.Event()
    pipeline = AsyncTaskPipeline(8).add_stage("same", lambda x: x)

    def source():
        number = 0
        while not over.is_set():
            yield number
            number += 1

    async def read():
        async for _ in pipeline.generate_output_stream():
            pass

    async with pipeline, create_task_group() as tg:
        tg.start_soon(partial(pipeline.process_input_stream, source(), close_input=True))
        tg.start_soon(read)
        for _ in range(200):
            pipeline.clear()
            now = pipeline.statistics()
            assert now.inside >= 0
            assert_law(pipeline)
            await anyio.lowlevel.checkpoint()
        over.set()  # the source is exhausted, and with it the input
    assert_law(pipeline)


async def test_a_receipt_counts_no_put_that_raises(anyio_backend):
    """A put that was cancelled natively in the step of the interrupt was in the receipt, and raised."""
    if anyio_backend[0] != "asyncio":
        pytest.skip("only asyncio cancels natively")
    gate, cancelled = Gate(0), []
    pipeline = AsyncTaskPipeline(1).add_stage("gate", gate)

    async def put():
        try:
            await pipeline.process_input_data("raises")
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async with pipeline:
        await pipeline.process_input_data(0)
        await gate.entered()
        await pipeline.process_input_data(1)
        task = asyncio.ensure_future(put())
        await until_waiting(pipeline, 1)
        receipt = await pipeline.interrupt()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert cancelled == [True]
        now = pipeline.statistics()
        assert (receipt.total, now.accepted, now.dropped) == (2, 2, 2)
        assert_law(pipeline)
        gate.open()
