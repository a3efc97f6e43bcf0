"""G2, faults of the engine before this one: each fails there always, by a gate in the very step.

The rule: the gate stands where users' code runs within that step, in a note that is added or an item
that is released, and the loop does nothing else meanwhile; so what a thread does then comes neither
before the step nor after it. What is asserted is the law, and nothing stale.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import weakref

import attrs
import pytest
from anyio import create_task_group, to_thread

from async_task_pipeline import AsyncTaskPipeline
from tests.support.backends import ASYNCIO
from tests.support.gates import Gate
from tests.support.law import assert_law
from tests.support.waiting import PATIENCE, PUTS, rest_of, stands_in, until, until_waiting

pytestmark = pytest.mark.anyio


async def test_a_generator_that_ends_in_the_step_of_an_interrupt_leaves_nothing_stale():
    """Its last value was found by the second of two looks at it, and came out after the interrupt."""
    called, fail, yielded, go_on, gone = (threading.Event() for _ in range(5))

    class SpeakingError(Exception):
        """Is asked for its text when it is counted, which is in the interrupt: until then the loop stands still."""

        def __str__(self):
            go_on.set()
            gone.wait(PATIENCE / 2)
            return "text"

    def words(turn):
        yield turn
        if turn == "old":
            yielded.set()
            assert go_on.wait(PATIENCE / 2)
            yield "old, last"

    def speak(turn):
        if turn == "fails":
            called.set()
            assert fail.wait(PATIENCE / 2)
            raise SpeakingError
        generator = words(turn)
        weakref.finalize(generator, gone.set)  # when the worker is through with it
        return generator

    async with AsyncTaskPipeline().add_stage("speak", speak, on_error="drop") as pipeline:
        await pipeline.process_input_stream(["fails", "old"], close_input=False)
        await to_thread.run_sync(called.wait, PATIENCE / 2)
        fail.set()
        assert yielded.wait(PATIENCE / 2)  # blocks the loop
        assert not go_on.is_set()
        await pipeline.interrupt()
        assert go_on.is_set()
        assert_law(pipeline)
        await pipeline.process_input_data("new")
        assert await rest_of(pipeline) == ["new"]


async def test_what_a_source_puts_in_the_step_of_a_clear_is_counted():
    """It was let in between the drop and the reset of the counters: ``inside`` became negative."""
    gate, reading, read_on, read = Gate("held"), threading.Event(), threading.Event(), threading.Event()
    reader = []

    class Dropped:
        """Is released in the step of the clear, and has the source read on, as far as it gets."""

        def __del__(self):
            read_on.set()
            while not read.wait(0.001) and not stands_in(reader[0], PUTS):
                pass

    def source():
        reader.append(threading.get_ident())
        yield from range(3)  # as many as are accepted
        yield Dropped()
        yield "dropped, too"  # whoever reads may keep the last item
        reading.set()
        assert read_on.wait(PATIENCE / 2)
        yield "kept"
        read.set()

    async with AsyncTaskPipeline(3).add_stage("gate", gate) as pipeline:
        await pipeline.process_input_data("held")
        await gate.entered()
        async with create_task_group() as tg:
            tg.start_soon(pipeline.process_input_stream, source())
            await until(lambda: reading.is_set() and pipeline.statistics().accepted >= 4)
            assert not read_on.is_set()
            pipeline.clear()
            assert read_on.is_set()
            gate.open()
        assert await rest_of(pipeline) == ["kept"]


@ASYNCIO
async def test_a_receipt_counts_no_put_that_raises():
    """A put that was cancelled natively in the step of the interrupt was in the receipt, and raised."""
    gate = Gate(0)
    pipeline = AsyncTaskPipeline(1).add_stage("gate", gate)
    async with pipeline:
        await pipeline.process_input_data(0)
        await gate.entered()
        await pipeline.process_input_data(1)
        put = asyncio.ensure_future(pipeline.process_input_data("raises"))
        await until_waiting(pipeline, 1)
        receipt = await pipeline.interrupt()
        put.cancel()
        with pytest.raises(asyncio.CancelledError):
            await put
        gate.open()
    now = pipeline.statistics()
    assert (receipt.total, now.accepted, now.dropped) == (2, 2, 2)
    assert_law(pipeline)


class Freed:
    """Is freed with the context of a call, after its outcome was written: its worker then stands still."""

    def __init__(self, reached, go_on):
        self.reached, self.go_on = reached, go_on

    def __del__(self):
        self.reached.set()
        assert self.go_on.wait(PATIENCE / 2)


@pytest.mark.parametrize("per_call", [1, 2])
async def test_what_waits_in_the_next_stage_is_no_call_of_the_one_it_has_left(per_call):
    """A worker shows an item until after its outcome was written, and what has been passed on waits again."""
    reached, go_on = threading.Event(), threading.Event()
    held, local = Gate("in call"), contextvars.ContextVar("local")

    def stay(data):
        if data == "shown":
            local.set(Freed(reached, go_on))
        return data

    pipeline = AsyncTaskPipeline(10)
    if per_call == 1:
        pipeline.add_stage("stay", stay, workers=2)
    else:
        pipeline.add_batch_stage("stay", lambda items: [*map(stay, items)], max_size=2, max_wait=0, workers=2)
    pipeline.add_stage("held", held)
    async with pipeline:
        await pipeline.put("in call")
        await held.entered()
        await pipeline.put("shown")
        assert await to_thread.run_sync(reached.wait, PATIENCE / 2)
        await pipeline.put("wakes the loop")
        await until(lambda: pipeline.statistics().stages["held"].accepted == 3)
        receipt = await pipeline.interrupt()
        held.open()
        go_on.set()
        assert attrs.astuple(receipt.dropped["stay"]) == (0, 0, 0)
        assert receipt.total == 3
        assert_law(pipeline)
        await pipeline.put("new")
        assert await rest_of(pipeline) == ["new"]
    assert_law(pipeline)
