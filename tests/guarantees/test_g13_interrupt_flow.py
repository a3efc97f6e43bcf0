"""G13: ``interrupt()`` does its work without waiting for user code, never raises for state, and the
next item accepted is the next item processed.

The rule: the interrupt has happened before anything is waited for; what is waited for is told by
the receipt, and whoever does not end is named there.
"""

from __future__ import annotations

import threading

import pytest
from anyio import CancelScope, create_task_group, from_thread, to_thread
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline, InterruptReceipt, PipelineStateError
from tests.support.functions import same
from tests.support.gates import KINDS, AsyncGate, Gate, put_held, put_turn, stubborn
from tests.support.waiting import PATIENCE, read, rest_of, until, until_waiting

pytestmark = pytest.mark.anyio


async def test_it_is_a_no_op_wherever_there_is_nothing_to_interrupt():
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    assert await pipeline.interrupt() == InterruptReceipt()
    async with pipeline:
        assert (await pipeline.interrupt()).total == 0
        receipts = []

        async def interrupt():
            receipts.append(await pipeline.interrupt())

        async with create_task_group() as tg:
            await pipeline.process_input_data(0)
            for _ in range(10):
                tg.start_soon(interrupt)
        assert sum(receipt.total for receipt in receipts) == 1
        pipeline.close_input()
        assert (await pipeline.interrupt()).total == 0
        assert [each async for each in pipeline.generate_output_stream()] == []
    assert await pipeline.interrupt() == InterruptReceipt()


@pytest.mark.parametrize("kind", KINDS)
async def test_it_does_not_wait_and_the_next_item_is_the_next_processed(kind):
    gate, stage = stubborn(kind, "stale")
    pipeline = AsyncTaskPipeline().add_stage("before", same).add_stage(kind, stage)
    steps_of_others = 0

    async def count():
        nonlocal steps_of_others
        while True:
            steps_of_others += 1
            await checkpoint()

    async with pipeline, create_task_group() as tg:
        await put_turn(pipeline, gate)
        tg.start_soon(count)
        before = steps_of_others
        await pipeline.interrupt()
        assert steps_of_others == before
        # How many were through before the interrupt is up to the machine.
        through = pipeline.statistics().stages["before"].delivered
        await pipeline.process_input_data("new")
        # The stages before flow, though this one is busy.
        await until(lambda: pipeline.statistics().stages["before"].delivered != through)
        gate.open()
        assert await read(pipeline, 3) == ["first marker", None, "new"]
        tg.cancel_scope.cancel()


async def test_grace_ends_as_soon_as_the_last_call_has():
    gate = AsyncGate("stale")
    pipeline = AsyncTaskPipeline().add_stage("think", gate)
    async with pipeline:
        await put_held(pipeline, gate, "stale")
        receipt = await pipeline.interrupt(grace=PATIENCE * 2)
        assert (receipt.busy, list(receipt.idle_after)) == ((), ["think"])
        assert receipt.idle_after["think"] >= 0
        assert await rest_of(pipeline) == []


async def test_whoever_is_stuck_is_named_and_the_others_have_their_time():
    stuck, think = Gate("stale"), AsyncGate("too")
    pipeline = AsyncTaskPipeline().add_stage("think", think).add_stage("stuck", stuck)
    async with pipeline:
        await put_held(pipeline, stuck, "stale")
        await put_held(pipeline, think, "too")
        receipt = await pipeline.interrupt(grace=0.001)
        while receipt.busy != ("stuck",):  # a machine that is busier than the grace
            assert receipt.busy == ("think", "stuck")
            receipt = await pipeline.interrupt(grace=0.001)
        stuck.open()
        await pipeline.process_input_data("new")
        assert await read(pipeline, 1) == ["new"]


async def test_cancelling_the_wait_does_not_undo_the_interrupt():
    gate, scope = Gate("stale"), CancelScope()
    pipeline = AsyncTaskPipeline().add_stage("stuck", gate)

    async def interrupt():
        with scope:
            await pipeline.interrupt(grace=PATIENCE * 2)

    async with pipeline, create_task_group() as tg:
        await put_held(pipeline, gate, "stale")
        tg.start_soon(interrupt)
        await until(lambda: pipeline.statistics().dropped == 1)
        scope.cancel()
        await pipeline.process_input_data("new")
        gate.open()
        assert await rest_of(pipeline) == ["new"]


@pytest.mark.parametrize(
    ("grace", "error"),
    [("1", TypeError), (True, TypeError), (-1, ValueError), (float("nan"), ValueError), (10**400, ValueError)],
)
async def test_a_wrong_grace_is_named(grace, error):
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    with pytest.raises(error, match="grace"):
        await pipeline.interrupt(grace=grace)
    with pytest.raises(error, match="grace"):
        pipeline.interrupt_from_thread(grace=grace)
    async with pipeline:
        with pytest.raises(error, match="grace"):
            await pipeline.interrupt(grace=grace)
        with pytest.raises(error, match="grace"):
            await to_thread.run_sync(lambda: pipeline.interrupt_from_thread(grace=grace))


async def test_the_receipt_counts_what_the_consumer_has_had():
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    async with pipeline:
        for number in range(5):
            await pipeline.process_input_data(number)
        assert await read(pipeline, 3) == [0, 1, 2]
        assert (await pipeline.interrupt()).last_delivered == 3
        await pipeline.process_input_data(5)
        await read(pipeline, 1)
        assert (await pipeline.interrupt()).last_delivered == 4


async def test_a_foreign_thread_interrupts_and_is_answered():
    gate = Gate("stale")
    pipeline = AsyncTaskPipeline().add_stage("gate", gate)
    async with pipeline:
        await put_held(pipeline, gate, "stale")
        receipt = await to_thread.run_sync(lambda: pipeline.interrupt_from_thread(sentinel="flush"))
        assert (receipt.total, receipt.busy) == (1, ("gate",))
        assert await read(pipeline, 1) == ["flush"]
        gate.open()
        await to_thread.run_sync(lambda: pipeline.interrupt_from_thread(grace=PATIENCE))
        await pipeline.process_input_data("new")
        assert await read(pipeline, 1) == ["new"]
        with pytest.raises(PipelineStateError, match="another thread"):
            pipeline.interrupt_from_thread()
    assert await to_thread.run_sync(pipeline.interrupt_from_thread) == InterruptReceipt()


@pytest.mark.parametrize("how", ["loop", "thread", "thread, short grace"])
async def test_a_stage_interrupts_its_own_pipeline(how):
    receipts = []

    async def listen(item):
        if item == "stop":
            receipts.append(await pipeline.interrupt())
        return item

    def listen_in_a_thread(item):
        if item == "stop":
            receipts.append(pipeline.interrupt_from_thread(grace=0.001 if how.endswith("grace") else 0))
        return item

    pipeline = AsyncTaskPipeline().add_stage("listen", listen if how == "loop" else listen_in_a_thread)
    async with pipeline:
        await pipeline.process_input_data("stop")
        await until(lambda: receipts)
        await pipeline.process_input_data("new")
        assert await read(pipeline, 1) == ["new"]  # its own result was stale
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
    async with pipeline:
        await pipeline.process_input_data("endless")
        await to_thread.run_sync(entered.wait)
        receipt = await pipeline.interrupt(grace=PATIENCE)
        assert receipt.busy == ()
        assert ended.is_set()
        await pipeline.process_input_data("new")
        assert await read(pipeline, 1) == ["new"]


async def test_a_thread_that_asks_while_the_pipeline_stops_is_released():
    gate = Gate("stale")
    pipeline = AsyncTaskPipeline().add_stage("gate", gate)
    async with create_task_group() as tg:
        await pipeline.start()
        await put_held(pipeline, gate, "stale")
        tg.start_soon(pipeline.stop)
        await until(lambda: not pipeline.running)
        assert await to_thread.run_sync(pipeline.interrupt_from_thread) == InterruptReceipt()
        gate.open()


async def test_what_is_before_the_stage_goes_on():
    think, voice = AsyncGate("b"), Gate("a")
    pipeline = AsyncTaskPipeline(max_queue_size=2).add_stage("think", think).add_stage("voice", voice)
    async with pipeline, create_task_group() as tg:
        for item in "ab":
            await pipeline.process_input_data(item)
        await voice.entered()
        await think.entered()
        for item in "cdef":  # one in the window, two in the link, one waits
            tg.start_soon(pipeline.process_input_data, item)
        await until_waiting(pipeline, 1)
        receipt = await pipeline.interrupt(from_stage="voice")
        assert (list(receipt.dropped), receipt.busy, receipt.total) == (["voice"], ("voice",), 1)
        assert think.cancelled == 0
        think.open()
        voice.open()
        first, *rest = await read(pipeline, 5)
        assert (first, sorted(rest)) == ("b", ["c", "d", "e", "f"])  # trio starts tasks in any order
        assert await rest_of(pipeline) == []


async def test_an_unknown_stage_is_named_running_or_not():
    pipeline = AsyncTaskPipeline().add_stage("think", str.upper)

    async def assert_named():
        for call in (pipeline.interrupt, pipeline.interrupt_from_thread):
            with pytest.raises(ValueError, match=r"from_stage must be one of .*'think'.*, not 'thnik'"):
                await call(from_stage="thnik")

    await assert_named()
    async with pipeline:
        await assert_named()


async def ask(pipeline, how):
    """Interrupt in the way that has this name."""
    grace = 1e-9 if how.endswith("grace") else 0
    if how.startswith("thread"):
        await to_thread.run_sync(lambda: pipeline.interrupt_from_thread(grace=grace))
    else:
        await pipeline.interrupt(grace=grace)


@pytest.mark.parametrize("how", ["loop", "loop, short grace", "thread", "thread, short grace"])
async def test_the_report_knows_of_every_interrupt_that_cut_a_call_short(how):
    gate = Gate("old")
    pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("gate", gate)
    async with pipeline:
        await put_held(pipeline, gate, "old")
        await ask(pipeline, how)
        await ask(pipeline, how)  # waits for the same call, and cuts none
        gate.open()
        await pipeline.process_input_data("new")
        assert await read(pipeline, 1) == ["new"]  # so the old call has ended
        interrupts = pipeline.get_report().interrupts
        assert (interrupts.total, interrupts.with_calls) == (2, 1)
        assert interrupts.max_time_to_idle > 0


async def test_a_thread_may_wait_longer_than_its_platform_can_count():
    gate, receipts = Gate("old"), []
    pipeline = AsyncTaskPipeline().add_stage("gate", gate)
    async with pipeline, create_task_group() as tg:
        await put_held(pipeline, gate, "old")
        tg.start_soon(to_thread.run_sync, lambda: receipts.append(pipeline.interrupt_from_thread(grace=1e10)))
        await until(lambda: pipeline.statistics().dropped == 1)
        gate.open()
    (receipt,) = receipts
    assert (receipt.busy, list(receipt.idle_after)) == ((), ["gate"])
