"""Interrupts at their edges: protected ends, clear() in a failure, stuck calls, clocks that raise.

The rule: a sentinel of an interrupt comes out before the end; every interrupt that cut a call short is
in the report, whoever asked for it and however long it waited; no interrupt stays longer than it is of
use; whoever asks gets an answer, be it an error.
"""

from __future__ import annotations

import gc
from contextlib import suppress

import pytest
from anyio import create_task_group, fail_after, to_thread

from async_task_pipeline import AsyncTaskPipeline
from async_task_pipeline._interruption import Interruption
from tests.cancelling import assert_law
from tests.interrupts.scenes import PATIENCE, Gate, read, rest_of, until

pytestmark = pytest.mark.anyio


async def same(data):
    return data


@pytest.mark.parametrize("stages", [1, 2])
async def test_the_sentinel_of_an_interrupt_is_before_an_end_that_waits_in_the_output(stages):
    pipeline = AsyncTaskPipeline()
    for number in range(stages):
        pipeline.add_stage(f"stage {number}", same, interruptible=number < stages - 1)
    with fail_after(PATIENCE):
        async with pipeline:
            await pipeline.process_input_data(1)
            pipeline.close_input()
            await until(lambda: pipeline.statistics().output_depth == 2)
            await pipeline.interrupt(sentinel="flush")
            assert [each async for each in pipeline.generate_output_stream()] == [1, "flush"]
    assert_law(pipeline)


async def test_clear_between_a_failure_and_the_end_keeps_the_law():
    """A failure ends the run one step later; only a call in the very step is surely in between."""
    gate = Gate("held")
    pipeline = AsyncTaskPipeline(2).add_stage("one", same).add_stage("gate", gate)
    with fail_after(PATIENCE), pytest.raises(LookupError):
        async with pipeline:
            for data in (0, "held", 1, 2):
                await pipeline.process_input_data(data)
            await gate.entered()
            await until(lambda: pipeline.statistics().output_depth == 1)
            pipeline._AsyncTaskPipeline__run.fail(LookupError())
            assert pipeline.running
            gate.opened.set()
            pipeline.clear()
            assert_law(pipeline)
    assert_law(pipeline)
    assert pipeline.statistics().inside == 0


async def ask(pipeline, how: str) -> None:
    """Interrupt in the way that has this name."""
    grace = 1e-9 if how.endswith("grace") else 0
    if how.startswith("thread"):
        await to_thread.run_sync(lambda: pipeline.interrupt_from_thread(grace=grace))
    else:
        await pipeline.interrupt(grace=grace)


WAYS = ["loop", "loop, short grace", "thread", "thread, short grace"]


@pytest.mark.parametrize("how", WAYS)
async def test_the_report_knows_of_every_interrupt_that_cut_a_call_short(how):
    gate = Gate("old")
    pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("gate", gate)
    with fail_after(PATIENCE):
        async with pipeline:
            await pipeline.process_input_data("old")
            await gate.entered()
            await ask(pipeline, how)
            await ask(pipeline, how)  # waits for the same call, and cuts none
            gate.opened.set()
            await pipeline.process_input_data("new")
            assert await read(pipeline, 1) == ["new"]  # so the old call has ended
            interrupts = pipeline.get_report().interrupts
            assert (interrupts.total, interrupts.with_calls) == (2, 1)
            assert interrupts.max_time_to_idle > 0


def alive() -> int:
    """How many interrupts are kept by anybody."""
    gc.collect()
    return sum(type(each) is Interruption for each in gc.get_objects())


@pytest.mark.parametrize("timing", [False, True])
@pytest.mark.parametrize("how", WAYS)
async def test_a_stuck_call_keeps_no_interrupt_but_the_one_that_cut_it_short(how, timing):
    gate = Gate("stuck")
    pipeline = AsyncTaskPipeline(enable_timing=timing).add_stage("gate", gate)
    with fail_after(PATIENCE):
        async with pipeline:
            await pipeline.process_input_data("stuck")
            await gate.entered()
            before = alive()
            for _ in range(20):
                await ask(pipeline, how)
            await to_thread.run_sync(int)  # what other threads have asked for before has been heard by now
            kept = alive() - before
            gate.opened.set()
            assert kept <= 1
            assert await rest_of(pipeline) == []


class Clock:
    """A clock that can break."""

    broken = False
    now = 0.0

    def __call__(self) -> float:
        if self.broken:
            raise OSError("no clock")
        self.now += 1
        return self.now


@pytest.mark.parametrize(
    ("call", "timing"), [("interrupt_from_thread", False), ("interrupt_from_thread", True), ("put_input_data", True)]
)
async def test_a_thread_is_told_that_the_clock_is_broken(call, timing):
    clock, heard = Clock(), []
    pipeline = AsyncTaskPipeline(enable_timing=timing, clock=clock).add_stage("same", same)

    def in_thread():
        try:
            heard.append(getattr(pipeline, call)(*([1] if call == "put_input_data" else [])))
        except OSError as exc:
            heard.append(exc.args)

    with fail_after(PATIENCE), suppress(OSError):  # it may end the pipeline, too
        async with create_task_group() as tg, pipeline:
            clock.broken = True
            tg.start_soon(to_thread.run_sync, in_thread)
            await until(lambda: heard)
            clock.broken = False
    assert heard == [("no clock",)]
    assert pipeline.statistics().accepted == 0
    assert_law(pipeline)


async def test_a_grace_beyond_all_numbers_is_a_wrong_value():
    with fail_after(PATIENCE):
        async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
            with pytest.raises(ValueError, match="grace"):
                await pipeline.interrupt(grace=10**400)
            with pytest.raises(ValueError, match="grace"):
                await to_thread.run_sync(lambda: pipeline.interrupt_from_thread(grace=10**400))


async def test_a_thread_may_wait_longer_than_its_platform_can_count():
    gate, receipts = Gate("old"), []
    pipeline = AsyncTaskPipeline().add_stage("gate", gate)

    def interrupt():
        receipts.append(pipeline.interrupt_from_thread(grace=1e10))

    with fail_after(PATIENCE):
        async with pipeline, create_task_group() as tg:
            await pipeline.process_input_data("old")
            await gate.entered()
            tg.start_soon(to_thread.run_sync, interrupt)
            await until(lambda: pipeline.statistics().dropped == 1)
            gate.opened.set()
    (receipt,) = receipts
    assert receipt.busy == ()
    assert list(receipt.idle_after) == ["gate"]
