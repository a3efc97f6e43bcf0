"""Faults C1, C2 and C4 of 0.1.10: what an interrupt let through, and what it lost.

The rule: from the moment ``interrupt`` is called, nothing older comes out, whoever still
holds it; the next item accepted is the next one out; sentinels stay. A function that
blocks on old data and not on new shows it without a clock.
"""

from __future__ import annotations

import threading

import anyio
import pytest
from anyio import create_task_group, fail_after, to_thread
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline

pytestmark = pytest.mark.anyio

PATIENCE = 60


class Gate:
    """A stage function that blocks on the data it was told to block on, until opened."""

    def __init__(self, *blocked) -> None:
        self.blocked = blocked
        self.entered = threading.Event()
        self.opened = threading.Event()
        self.calls = []

    def __call__(self, data):
        self.calls.append(data)
        if data in self.blocked:
            self.entered.set()
            assert self.opened.wait(PATIENCE / 2), "nobody opened the gate"
        return data

    async def wait_entered(self) -> None:
        assert await to_thread.run_sync(self.entered.wait, PATIENCE / 2)


async def until(condition) -> None:
    """Let other tasks run until the condition holds; the caller's timeout is the limit."""
    while not condition():
        await checkpoint()


def assert_conserved(pipeline) -> None:
    now = pipeline.statistics()
    came = now.accepted + now.fanned_out
    assert came == now.delivered + now.filtered + now.failed + now.dropped + now.inside


async def rest_of(pipeline) -> list:
    """Close the input and collect everything that still comes out."""
    pipeline.close_input()
    return [x async for x in pipeline.generate_output_stream()]


async def test_c01_nothing_stale_from_a_plain_stage():
    """0.1.10: the call that was running was delivered, 19 to 25 ms after the interrupt."""
    gate = Gate(0)
    pipeline = AsyncTaskPipeline().add_stage("gate", gate)
    with fail_after(PATIENCE):
        async with pipeline:
            for i in range(20):
                await pipeline.process_input_data(i)
            await gate.wait_entered()
            receipt = await pipeline.interrupt()
            dropped = receipt.dropped["gate"]
            assert (dropped.queued, dropped.in_call, dropped.finished, receipt.total) == (19, 1, 0, 20)
            assert receipt.busy == ("gate",)
            await pipeline.process_input_data("new")
            gate.opened.set()
            assert await anext(pipeline.generate_output_stream()) == "new"
            assert await rest_of(pipeline) == []
    assert gate.calls == [0, "new"]
    assert_conserved(pipeline)


async def test_c01_nothing_stale_from_three_busy_stages():
    """0.1.10: three stale results, the last 124 to 128 ms after the interrupt."""
    gates = [Gate(2), Gate(1), Gate(0)]
    pipeline = AsyncTaskPipeline()
    for name, gate in zip("abc", gates, strict=True):
        pipeline.add_stage(name, gate)
    with fail_after(PATIENCE):
        async with pipeline:
            for i in range(20):
                await pipeline.process_input_data(i)
            for gate in gates:
                await gate.wait_entered()
            receipt = await pipeline.interrupt()
            assert receipt.total == 20
            assert receipt.busy == ("a", "b", "c")
            for new in ("new 0", "new 1"):
                await pipeline.process_input_data(new)
            for gate in gates:
                gate.opened.set()
            assert await rest_of(pipeline) == ["new 0", "new 1"]
    assert [gate.calls for gate in gates] == [
        [0, 1, 2, "new 0", "new 1"],
        [0, 1, "new 0", "new 1"],
        [0, "new 0", "new 1"],
    ]
    assert_conserved(pipeline)


async def test_c01_nothing_stale_from_finished_results():
    """0.1.10: what a stage blocked in ``put`` held came out after the queue was emptied."""
    pipeline = AsyncTaskPipeline(max_queue_size=2).add_stage("a", lambda x: x).add_stage("b", lambda x: x)
    with fail_after(PATIENCE):
        async with pipeline:
            async with create_task_group() as tg:
                tg.start_soon(pipeline.process_input_stream, range(1000))
                await until(lambda: all(link.full() for link in pipeline.queues))
                tg.cancel_scope.cancel()
            inside = pipeline.statistics().inside
            receipt = await pipeline.interrupt()
            assert receipt.total == inside >= 6
            await pipeline.process_input_data("new")
            assert await rest_of(pipeline) == ["new"]
    assert_conserved(pipeline)


async def test_c01_nothing_stale_from_a_generator_which_goes_one_step_at_most():
    """0.1.10: the whole rest of it came out: 15 items over 725 ms."""
    gate, steps, closed = Gate(2), [], threading.Event()

    def generate(data):
        if data == "new":
            yield data
            return
        try:
            for i in range(20):
                steps.append(gate(i))
                yield i
        finally:
            closed.set()

    pipeline = AsyncTaskPipeline().add_stage("generate", generate).add_stage("same", lambda x: x)
    with fail_after(PATIENCE):
        async with pipeline:
            await pipeline.process_input_data("old")
            await gate.wait_entered()
            receipt = await pipeline.interrupt()
            assert receipt.busy == ("generate",)
            await pipeline.process_input_data("new")
            gate.opened.set()
            assert await rest_of(pipeline) == ["new"]
    assert closed.is_set()
    assert steps == [0, 1, 2]
    assert_conserved(pipeline)


async def test_c01_nothing_stale_from_async_stages():
    """0.1.10: had none. What has been awaiting is cancelled, and a generator closed."""
    entered, never, ended = anyio.Event(), anyio.Event(), []

    async def generate(data):
        try:
            yield data
            if data != "new":
                entered.set()
                await never.wait()
        finally:
            ended.append(data)

    async def hold(data):
        if data != "new":
            await never.wait()
        return data

    pipeline = AsyncTaskPipeline().add_stage("generate", generate).add_stage("hold", hold)
    with fail_after(PATIENCE):
        async with pipeline:
            await pipeline.process_input_data("old")
            await entered.wait()
            receipt = await pipeline.interrupt()
            assert receipt.total >= 1
            await pipeline.process_input_data("new")
            assert await rest_of(pipeline) == ["new"]
    assert ended == ["old", "new"]
    assert_conserved(pipeline)


async def test_c02_sentinels_survive_an_interrupt_in_order():
    """0.1.10: dropped them; a consumer waiting for the end of the turn hung."""
    gates = [Gate(3), Gate(0)]
    pipeline = AsyncTaskPipeline().add_stage("a", gates[0]).add_stage("b", gates[1])
    with fail_after(PATIENCE):
        async with pipeline:
            output = pipeline.generate_output_stream()
            for i in range(6):
                await pipeline.process_input_data(i)
                await pipeline.process_input_sentinel(f"end {i}")
            for gate in gates:
                await gate.wait_entered()
            receipt = await pipeline.interrupt()
            assert receipt.total == 6
            # At once: neither stage has returned from its stale call.
            assert [await anext(output) for _ in range(6)] == [f"end {i}" for i in range(6)]
            await pipeline.process_input_data("new")
            await pipeline.process_input_sentinel("end")
            for gate in gates:
                gate.opened.set()
            assert await rest_of(pipeline) == ["new", "end"]


async def test_c04_what_a_producer_was_blocked_with_is_stale():
    """0.1.10: 20 old items in the second after the interrupt."""
    gate, returned = Gate("old 0"), []
    pipeline = AsyncTaskPipeline(max_queue_size=2).add_stage("gate", gate)

    async def put(data) -> None:
        await pipeline.process_input_data(data)
        returned.append(data)

    with fail_after(PATIENCE):
        async with pipeline:
            await put("old 0")
            await gate.wait_entered()
            await put("old 1")
            await put("old 2")
            async with create_task_group() as tg:
                for i in range(3, 8):
                    tg.start_soon(put, f"old {i}")
                for _ in range(10):
                    await checkpoint()
                assert len(returned) == 3
                receipt = await pipeline.interrupt()
                assert receipt.total == 8
            assert len(returned) == 8
            await pipeline.process_input_data("new")
            gate.opened.set()
            assert await rest_of(pipeline) == ["new"]
    assert gate.calls == ["old 0", "new"]
    assert_conserved(pipeline)


async def test_c04_a_thread_blocked_in_a_put_and_a_stream_read_ahead_are_stale():
    """0.1.10: both went on as if nothing had happened."""
    gate, ended, waiting = Gate(0), threading.Event(), threading.Event()
    pipeline = AsyncTaskPipeline(max_queue_size=1).add_stage("gate", gate)

    def source():
        yield from ("read 0", "read 1")
        waiting.set()
        assert ended.wait(PATIENCE / 2)
        yield "new"

    with fail_after(PATIENCE):
        async with pipeline, create_task_group() as tg:
            pipeline.put_input_data(0)
            await gate.wait_entered()
            pipeline.put_input_data(1)
            tg.start_soon(to_thread.run_sync, pipeline.put_input_data, "thread")
            await until(lambda: pipeline._AsyncTaskPipeline__run.entrance._line)
            tg.start_soon(pipeline.process_input_stream, source())
            await until(lambda: pipeline._AsyncTaskPipeline__run.entrance.feeds.waiting)
            await pipeline.interrupt()
            gate.opened.set()
            assert await to_thread.run_sync(waiting.wait, PATIENCE / 2)
            await pipeline.interrupt()
            ended.set()
            assert [x async for x in pipeline.generate_output_stream()] == ["new"]
    assert "thread" not in gate.calls
    assert_conserved(pipeline)
