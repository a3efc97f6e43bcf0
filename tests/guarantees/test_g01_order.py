"""G1: Items and sentinels leave in the order in which they were accepted, whatever the number of
workers, unless a stage says ``ordered=False``; nothing overtakes a sentinel, and no sentinel
overtakes anything.

The rule: who puts writes down the call, and what comes out is compared with that list; workers that
would be forgotten show as a hang, since some tests need all of them.
"""

from __future__ import annotations

import threading

import anyio
import pytest
from anyio import WouldBlock, create_task_group, to_thread

from async_task_pipeline import AsyncTaskPipeline
from tests.support.gates import Gate
from tests.support.waiting import drain, read, rest_of, until, until_waiting

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_concurrent_puts_leave_in_the_order_of_the_calls(size):
    """0.1.10: out of order in 22 to 37 of 60 runs; a sentinel came up to 3 items early."""
    called, got = [], []
    pipeline = AsyncTaskPipeline(max_queue_size=size).add_stage("same", lambda x: x)

    async def put(i) -> None:
        called.append(i)
        if i % 10 == 9:
            await pipeline.process_input_sentinel(i)
        else:
            await pipeline.process_input_data(i)

    async with pipeline:
        for turn in range(5):
            async with create_task_group() as tg:
                for i in range(200 * turn, 200 * turn + 200):
                    tg.start_soon(put, i)
                got += await read(pipeline, 200)
        assert await rest_of(pipeline) == []
    assert got == called


async def test_puts_of_every_kind_wait_in_one_line():
    """0.1.10: each waited in a thread of its own, and any of them was woken."""
    gate, got = Gate("first"), []
    pipeline = AsyncTaskPipeline(max_queue_size=1).add_stage("gate", gate)

    async with pipeline, create_task_group() as tg:
        pipeline.put_input_data("first")
        await until(pipeline.input_queue.empty)
        pipeline.put_input_data("second")
        expected = ["first", "second"]
        for i in range(4):
            for call in (pipeline.process_input_data, pipeline.process_input_sentinel):
                expected.append((i, call.__name__))
                tg.start_soon(call, expected[-1])
                await until_waiting(pipeline, len(expected) - 2)
            for call in (pipeline.put_input_data, pipeline.put_input_sentinel):
                expected.append((i, call.__name__))
                tg.start_soon(to_thread.run_sync, call, expected[-1])
                await until_waiting(pipeline, len(expected) - 2)
        with pytest.raises(WouldBlock):
            pipeline.put_input_data("pushes in")
        gate.open()
        output = pipeline.generate_output_stream()
        got = [await anext(output) for _ in expected]
    assert got == expected


WORKERS = 3


class Meeting:
    """Where calls meet: none returns before there are as many as workers."""

    def __init__(self):
        self.barrier = threading.Barrier(WORKERS, timeout=10)
        self.waiting = 0
        self.all_here = anyio.Event()

    def in_threads(self, value):
        self.barrier.wait()
        return value

    async def on_loop(self, value):
        self.waiting += 1
        if self.waiting == WORKERS:
            self.waiting = 0
            self.all_here.set()
            self.all_here = anyio.Event()
        else:
            with anyio.fail_after(10):
                await self.all_here.wait()
        return value


@pytest.mark.parametrize("options", [{}, {"ordered": False}, {"on_interrupt": lambda: None}], ids=lambda each: [*each])
@pytest.mark.parametrize("kind", ["in_threads", "on_loop"])
async def test_as_many_workers_are_told_as_there_are_items(kind, options):
    """None is counted twice: with on_interrupt every worker, waiting or not, begins a new shift."""
    pipeline = AsyncTaskPipeline().add_stage("meet", getattr(Meeting(), kind), workers=WORKERS, **options)
    async with pipeline:
        for start in range(0, 30 * WORKERS, WORKERS):
            values = list(range(start, start + WORKERS))
            for value in values:
                await pipeline.process_input_data(value, 0.0)
            assert sorted(await read(pipeline, WORKERS)) == values
            if "on_interrupt" in options:
                await pipeline.interrupt()


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_a_bound_of_one_moves_on(kind, ordered):
    async def double_on_loop(value):
        for _ in range(2):
            await anyio.lowlevel.checkpoint()
            yield value

    def double(value):  # there is room for one outcome
        yield from (value, value)

    function = double if kind == "def" else double_on_loop
    pipeline = AsyncTaskPipeline(max_queue_size=1)
    pipeline.add_stage("double", function, workers=WORKERS, ordered=ordered)
    received = await drain(pipeline, range(100))
    expected = [value for value in range(100) for _ in range(2)]
    assert (received if ordered else sorted(received)) == expected
