"""Waiting for quiet, receipts, and interrupts from threads and from stages.

The rule: the interrupt has happened before anything is waited for; what is waited for
is told by the receipt, and whoever does not end is named there.
"""

from __future__ import annotations

import threading

import pytest
from anyio import CancelScope, create_task_group, fail_after, from_thread, to_thread
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline, InterruptReceipt, PipelineStateError
from tests.interrupts.scenes import PATIENCE, AsyncGate, Gate, read, rest_of, until

pytestmark = pytest.mark.anyio


async def test_grace_ends_as_soon_as_the_last_call_has():
    gate = AsyncGate("stale")
    pipeline = AsyncTaskPipeline().add_stage("think", gate)
    with fail_after(PATIENCE):
        async with pipeline:
            await pipeline.process_input_data("stale")
            await gate.entered()
            receipt = await pipeline.interrupt(grace=PATIENCE * 2)
            assert (receipt.busy, list(receipt.idle_after)) == ((), ["think"])
            assert receipt.idle_after["think"] >= 0
            assert await rest_of(pipeline) == []


async def test_whoever_is_stuck_is_named_and_the_others_have_their_time():
    stuck, think = Gate("stale"), AsyncGate("too")
    pipeline = AsyncTaskPipeline().add_stage("think", think).add_stage("stuck", stuck)
    with fail_after(PATIENCE):
        async with pipeline:
            await pipeline.process_input_data("stale")
            await stuck.entered()
            await pipeline.process_input_data("too")
            await think.entered()
            receipt = await pipeline.interrupt(grace=0.001)
            while receipt.busy != ("stuck",):  # a machine that is busier than the grace
                assert receipt.busy == ("think", "stuck")
                receipt = await pipeline.interrupt(grace=0.001)
            stuck.opened.set()
            await pipeline.process_input_data("new")
            assert await read(pipeline, 1) == ["new"]


async def test_cancelling_the_wait_does_not_undo_the_interrupt():
    gate = Gate("stale")
    pipeline = AsyncTaskPipeline().add_stage("stuck", gate)
    with fail_after(PATIENCE):
        async with pipeline, create_task_group() as tg:
            await pipeline.process_input_data("stale")
            await gate.entered()
            scopes = []

            async def interrupt():
                with CancelScope() as scope:
                    scopes.append(scope)
                    await pipeline.interrupt(grace=PATIENCE * 2)

            tg.start_soon(interrupt)
            await until(lambda: pipeline.statistics().dropped == 1)
            scopes[0].cancel()
            await pipeline.process_input_data("new")
            gate.opened.set()
            assert await read(pipeline, 1) == ["new"]
            assert await rest_of(pipeline) == []


@pytest.mark.parametrize(
    ("grace", "error"), [("1", TypeError), (True, TypeError), (-1, ValueError), (float("nan"), ValueError)]
)
async def test_a_wrong_grace_is_named(grace, error):
    pipeline = AsyncTaskPipeline().add_stage("same", lambda item: item)
    with pytest.raises(error, match="grace"):
        await pipeline.interrupt(grace=grace)
    with pytest.raises(error, match="grace"):
        pipeline.interrupt_from_thread(grace=grace)


async def test_the_receipt_counts_what_the_consumer_has_had():
    pipeline = AsyncTaskPipeline().add_stage("same", lambda item: item)
    with fail_after(PATIENCE):
        async with pipeline:
            for number in range(5):
                await pipeline.process_input_data(number)
            assert await read(pipeline, 3) == [0, 1, 2]
            assert (await pipeline.interrupt()).last_delivered == 3
            await pipeline.process_input_data(5)
            await read(pipeline, 1)
            assert (await pipeline.interrupt()).last_delivered == 4


# -- from other threads ------------------------------------------------------------------


async def test_a_foreign_thread_interrupts_and_is_answered():
    gate = Gate("stale")
    pipeline = AsyncTaskPipeline().add_stage("gate", gate)
    with fail_after(PATIENCE):
        async with pipeline:
            await pipeline.process_input_data("stale")
            await gate.entered()
            receipt = await to_thread.run_sync(lambda: pipeline.interrupt_from_thread(sentinel="flush"))
            assert (receipt.total, receipt.busy) == (1, ("gate",))
            assert await read(pipeline, 1) == ["flush"]
            gate.opened.set()
            await to_thread.run_sync(lambda: pipeline.interrupt_from_thread(grace=PATIENCE))
            await pipeline.process_input_data("new")
            assert await read(pipeline, 1) == ["new"]
            with pytest.raises(PipelineStateError, match="another thread"):
                pipeline.interrupt_from_thread()
        assert await to_thread.run_sync(pipeline.interrupt_from_thread) == InterruptReceipt()


@pytest.mark.parametrize("grace", [0, 0.001])
async def test_a_thread_stage_interrupts_its_own_pipeline(grace):
    receipts = []

    def listen(item):
        if item == "stop":
            receipts.append(pipeline.interrupt_from_thread(grace=grace))
        return item

    pipeline = AsyncTaskPipeline().add_stage("listen", listen)
    with fail_after(PATIENCE):
        async with pipeline:
            await pipeline.process_input_data("stop")
            await until(lambda: receipts)
            await pipeline.process_input_data("new")
            assert await read(pipeline, 1) == ["new"]  # its own result was stale
            assert receipts[0].busy == ("listen",)


async def test_an_async_stage_interrupts_its_own_pipeline():
    receipts = []

    async def listen(item):
        if item == "stop":
            receipts.append(await pipeline.interrupt())
        return item

    pipeline = AsyncTaskPipeline().add_stage("listen", listen)
    with fail_after(PATIENCE):
        async with pipeline:
            await pipeline.process_input_data("stop")
            await until(lambda: receipts)
            await pipeline.process_input_data("new")
            assert await read(pipeline, 1) == ["new"]
            assert receipts[0].busy == ("listen",)


async def test_a_thread_that_asks_whether_it_is_cancelled_is():
    entered, ended = threading.Event(), threading.Event()

    def render(item):
        if item == "endless":
            entered.set()
            try:
                while True:
                    from_thread.check_cancelled()
            finally:
                ended.set()
        return item

    pipeline = AsyncTaskPipeline().add_stage("render", render)
    with fail_after(PATIENCE):
        async with pipeline:
            await pipeline.process_input_data("endless")
            await to_thread.run_sync(entered.wait)
            receipt = await pipeline.interrupt(grace=PATIENCE)
            assert receipt.busy == ()
            assert ended.is_set()
            await pipeline.process_input_data("new")
            assert await read(pipeline, 1) == ["new"]


async def test_a_thread_that_asks_while_the_pipeline_stops_is_released():
    gate, stopping = Gate("stale"), []
    pipeline = AsyncTaskPipeline().add_stage("gate", gate)
    with fail_after(PATIENCE):
        async with create_task_group() as tg:
            await pipeline.start()
            await pipeline.process_input_data("stale")
            await gate.entered()
            tg.start_soon(pipeline.stop)
            while pipeline.running:
                await checkpoint()
            receipt = await to_thread.run_sync(pipeline.interrupt_from_thread)
            stopping.append(receipt)
            gate.opened.set()
    assert stopping == [InterruptReceipt()]
