"""Faults B of 0.1.10, second half: the ways out.

The rule: whatever is full, blocked or endless, the way out is open. ``stop`` waits for
nothing but a stage function that has not returned, and the loop runs on meanwhile.
"""

from __future__ import annotations

import itertools
import threading

import anyio
import pytest
from anyio import create_task_group, fail_after, to_thread
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline, PipelineStoppedError

pytestmark = pytest.mark.anyio

PATIENCE = 60


class Gate:
    """A stage function that says when it is in a call, and returns when it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self, data):
        self.entered.set()
        assert self.opened.wait(PATIENCE / 2), "nobody opened the gate"
        return data

    async def wait_entered(self) -> None:
        assert await to_thread.run_sync(self.entered.wait, PATIENCE / 2)


async def until(condition) -> None:
    """Let other tasks run until the condition holds; the caller's timeout is the limit."""
    while not condition():
        await checkpoint()


async def test_b05_stop_lets_other_tasks_run_while_it_waits():
    """0.1.10: ``stop`` joined the thread on the loop; here it would wait for ever."""
    gate, stopped = Gate(), anyio.Event()
    pipeline = AsyncTaskPipeline().add_stage("gate", gate)

    async def stop() -> None:
        await pipeline.stop()
        stopped.set()

    with fail_after(PATIENCE):
        await pipeline.start()
        await pipeline.process_input_data(1)
        await gate.wait_entered()
        async with create_task_group() as tg:
            tg.start_soon(stop)
            for _ in range(1000):
                await checkpoint()
            assert not stopped.is_set()
            gate.opened.set()


async def test_b05_a_timeout_around_stop_is_honoured():
    """0.1.10: ``stop`` contained no await, so a timeout of 0.3 s never fired."""
    gate = Gate()
    pipeline = AsyncTaskPipeline().add_stage("gate", gate)
    with fail_after(PATIENCE):
        await pipeline.start()
        await pipeline.process_input_data(1)
        await gate.wait_entered()
        for _ in range(2):
            with pytest.raises(TimeoutError), fail_after(0.01):
                await pipeline.stop()
        gate.opened.set()
        await pipeline.stop()
        await pipeline.start()
        await pipeline.stop()


async def test_b06_stop_returns_with_a_full_output_queue():
    """0.1.10: the stage thread sat in ``put`` and ``stop`` in ``join``, for ever."""
    pipeline = AsyncTaskPipeline(max_queue_size=2).add_stage("a", lambda x: x).add_stage("b", lambda x: x)
    with fail_after(PATIENCE):
        await pipeline.start()
        async with create_task_group() as tg:
            tg.start_soon(pipeline.process_input_stream, itertools.count())
            await until(lambda: all(link.full() for link in pipeline.queues))
            tg.cancel_scope.cancel()
        await pipeline.stop()
    assert not pipeline.running
    assert pipeline.statistics().inside == 0


@pytest.mark.parametrize("consumer", [True, False])
async def test_b07_stop_returns_with_a_full_input_queue_and_wakes_the_producer(consumer):
    """0.1.10: ``stop`` put its end signal into the full queue, and waited for ever."""
    gate, ends = Gate(), []
    pipeline = AsyncTaskPipeline(max_queue_size=1).add_stage("gate", gate)

    async def produce() -> None:
        with pytest.raises(PipelineStoppedError):
            for i in itertools.count():
                await pipeline.process_input_data(i)
        ends.append("producer")

    async def consume() -> None:
        async for _ in pipeline.generate_output_stream():
            pass
        ends.append("consumer")

    with fail_after(PATIENCE):
        await pipeline.start()
        async with create_task_group() as tg:
            tg.start_soon(produce)
            if consumer:
                tg.start_soon(consume)
            await gate.wait_entered()
            await until(pipeline.input_queue.full)
            tg.start_soon(pipeline.stop)
            # Producer and consumer need not wait for the call that is still running.
            await until(lambda: len(ends) == 1 + consumer)
            gate.opened.set()
    assert sorted(ends) == ["consumer", "producer"][1 - consumer :]


@pytest.mark.parametrize("drained", [True, False])
async def test_b08_stop_ends_an_endless_generator_in_its_own_thread(drained):
    """0.1.10: never looked at between yields; ``stop`` hung in ``join``."""
    threads = []

    def endless(data):
        threads.append(threading.get_ident())
        try:
            while True:
                yield data
        finally:
            threads.append(threading.get_ident())

    pipeline = AsyncTaskPipeline(max_queue_size=2).add_stage("endless", endless)
    with fail_after(PATIENCE):
        await pipeline.start()
        await pipeline.process_input_data(7)
        output = pipeline.generate_output_stream()
        for _ in range(50 if drained else 1):
            assert await anext(output) == 7
        await pipeline.stop()
    assert len(threads) == 2
    assert threads[0] == threads[1] != threading.get_ident()


async def test_b08_stop_ends_an_endless_async_generator():
    """0.1.10: had no async stages; the generator object itself came out."""
    closed = []

    async def endless(data):
        try:
            while True:
                await checkpoint()
                yield data
        finally:
            closed.append(data)

    pipeline = AsyncTaskPipeline(max_queue_size=2).add_stage("endless", endless)
    with fail_after(PATIENCE):
        await pipeline.start()
        await pipeline.process_input_data(7)
        assert await anext(pipeline.generate_output_stream()) == 7
        await pipeline.stop()
    assert closed == [7]
