"""G5: No call of the library blocks the event loop, plain stage functions never run on it, and idle
costs nothing.

The rule: a gate holds a stage function, and while it is held other things must happen; no clock is
needed to tell that they did.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Executor, Future
from typing import Any

import anyio
import anyio.to_thread
import pytest
from anyio import WouldBlock, create_task_group, from_thread, to_thread
from anyio.from_thread import start_blocking_portal
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline
from tests.support.functions import of_kind, same
from tests.support.gates import KINDS, Gate
from tests.support.switching import switching_every
from tests.support.waiting import drain, read, rest_of, until

pytestmark = pytest.mark.anyio


async def test_a_stage_function_never_runs_on_the_loop():
    """A plain function and a plain generator run in a thread, an async one on the loop."""
    here, seen = threading.get_ident(), {}

    pipeline = AsyncTaskPipeline()
    for kind in KINDS:
        pipeline.add_stage(
            kind, of_kind(kind, lambda value, kind=kind: seen.setdefault(kind, threading.get_ident()) and value)
        )
    assert await drain(pipeline, [1]) == [1]
    assert {kind for kind in KINDS if seen[kind] == here} == {"async", "async generator"}


@pytest.mark.parametrize("call", ["stop", "interrupt", "clear"])
async def test_no_call_blocks_the_loop_while_a_stage_is_stuck(anyio_backend: object, call: str) -> None:
    """The gate is opened by a task that only runs if the loop does."""
    gate, released = Gate(), []
    pipeline: AsyncTaskPipeline[int, str] = AsyncTaskPipeline(2).add_stage("stuck", gate)
    try:
        await pipeline.start()
        for value in range(3):
            await pipeline.process_input_data(value)
        await gate.entered()
        with pytest.raises(anyio.WouldBlock):
            while True:
                pipeline.put_input_data(0)
        async with anyio.create_task_group() as tg:

            async def release() -> None:
                for _ in range(50):
                    await checkpoint()
                released.append(call)
                gate.open()

            if call == "stop":
                tg.start_soon(release)
                await pipeline.stop()
            elif call == "interrupt":
                assert "stuck" in (await pipeline.interrupt()).busy
            else:
                assert "stuck" in pipeline.clear().busy
        assert released or call != "stop"
    finally:
        gate.open()
        await pipeline.stop()


@pytest.mark.skipif(not hasattr(time, "pthread_getcpuclockid"), reason="no clocks of single threads here")
def test_idle_costs_nothing(anyio_backend: tuple[str, dict[str, Any]]) -> None:
    """Neither the loop nor a worker of an idle pipeline runs: their processor time stands still.

    A poll of any use moves it between every two looks.
    """
    backend, options = anyio_backend
    threads: set[int] = set()

    def here(value: int) -> int:
        threads.add(threading.get_ident())
        return value

    async def one_item() -> None:
        here(0)
        await pipeline.start()
        await pipeline.process_input_data(1)
        assert await anext(pipeline.generate_output_stream()) == 1

    def spent() -> list[float]:
        return [time.clock_gettime_ns(time.pthread_getcpuclockid(ident)) for ident in threads]

    pipeline: AsyncTaskPipeline[int, str] = AsyncTaskPipeline().add_stage("one", here).add_stage("two", here)
    with start_blocking_portal(backend, options) as portal:
        portal.call(one_item)
        assert len(threads) == 3
        looks = [spent()]
        while len(looks) < 50:
            time.sleep(0.05)
            looks.append(spent())
            if looks[-1] == looks[-2]:
                break
        else:
            pytest.fail(f"they never came to rest: {looks[-2:]}")
        portal.call(pipeline.stop)


@pytest.mark.parametrize("size", [1, 2])
async def test_a_put_on_the_loop_never_blocks_it(size):
    """0.1.10: ``Queue.put`` on the loop, as its example does it: hung after 7 items."""
    gate = Gate()
    pipeline = AsyncTaskPipeline(size).add_stage("gate", gate)
    async with pipeline:
        accepted = []
        with pytest.raises(WouldBlock):
            for i in range(100):
                pipeline.put_input_data(i)
                accepted.append(i)
        with pytest.raises(WouldBlock):
            pipeline.put_input_sentinel("end")
        assert len(accepted) == 2 * size  # in the window and in the link
        gate.open()
        assert await rest_of(pipeline) == accepted
    assert pipeline.statistics().accepted == len(accepted)


async def test_a_put_in_another_thread_waits_for_room():
    """0.1.10: did; here it also comes from a thread the loop knows nothing of."""
    pipeline = AsyncTaskPipeline(max_queue_size=1).add_stage("same", same)

    def produce() -> None:
        for i in range(100):
            pipeline.put_input_data(i)
        pipeline.put_input_sentinel("end")
        finish()

    finished = anyio.Event()
    async with pipeline, from_thread.BlockingPortal() as portal:

        def finish() -> None:
            portal.start_task_soon(finished.set)

        thread = threading.Thread(target=produce)
        thread.start()
        assert await read(pipeline, 101) == [*range(100), "end"]
        await finished.wait()
        await to_thread.run_sync(thread.join)


async def test_a_source_that_never_waits_lets_other_tasks_run():
    """0.1.10: did, for it used a thread for each item; here a put with room is no checkpoint."""
    ran_before_the_end = []

    async def source():
        for number in range(100_000):  # which takes far longer than the loop may be kept
            if ran:
                break
            yield number
        ran_before_the_end.extend(ran)

    ran, pipeline = [], AsyncTaskPipeline(max_queue_size=200_000).add_stage("same", same)

    async def other() -> None:
        ran.append("other")

    async with pipeline, create_task_group() as tg:
        tg.start_soon(other)
        await pipeline.process_input_stream(source())
    assert ran_before_the_end == ["other"]


class Remote(Executor):
    """Runs nothing by itself, and answers a cancellation when the test lets it."""

    def __init__(self):
        self.answer = threading.Event()
        self.submitted, self.asked = [], []

    def submit(self, fn, /, *args, **kwargs):
        executor = self

        class Asking(Future):
            def cancel(self):
                executor.asked.append(threading.get_ident())
                executor.answer.wait()
                return super().cancel()

        future = Asking()
        self.submitted.append((future, fn, args))
        return future

    def run_last(self):
        future, fn, args = self.submitted[-1]
        future.set_result(fn(*args))


def negative(number):
    return -number


async def test_the_loop_does_not_wait_while_futures_are_cancelled():
    remote = Remote()
    async with AsyncTaskPipeline().add_stage("remote", negative, executor=remote, workers=2) as pipeline:
        try:
            for number in (1, 2):
                await pipeline.process_input_data(number)
            await anyio.wait_all_tasks_blocked()
            assert len(remote.submitted) == 2
            receipt = await pipeline.interrupt()
            assert receipt.total == 2
            await pipeline.process_input_data(3)
            await until(lambda: remote.asked)  # the loop goes on although nobody has answered
            assert len(remote.submitted) == 2  # busy until it is answered
        finally:
            remote.answer.set()
        await until(lambda: len(remote.submitted) >= 3)
        remote.run_last()
        assert await anext(pipeline.generate_output_stream()) == -3
    assert len(remote.asked) == 2
    assert threading.get_ident() not in remote.asked
    assert all(future.cancelled() for future, *_ in remote.submitted[:2])


@pytest.mark.parametrize("call", ["interrupt", "clear"])
async def test_emptying_the_queues_never_waits_for_an_item(call):
    """0.1.10: ``while not q.empty(): q.get()`` raced the stage for the last item.

    It froze the loop within 107 interrupts, with processor load between put and
    interrupt; at once with a short switch interval.
    """
    rounds = 1000
    pipeline = AsyncTaskPipeline().add_stage("a", same).add_stage("b", same)
    with switching_every(1e-5):
        async with pipeline:
            for turn in range(rounds):
                for i in range(3):
                    pipeline.put_input_data((turn, i))
                sum(range(turn % 97 * 20))  # the stages take items meanwhile
                if call == "interrupt":
                    await pipeline.interrupt()
                else:
                    pipeline.clear()
                assert pipeline.statistics().inside == 0
                if turn % 16 == 0:
                    await checkpoint()
            await pipeline.process_input_data("new")
            assert await rest_of(pipeline) == ["new"]
