"""G5 and G6: the loop is never blocked, idle costs nothing, and nobody's threads are taken.

The rule: a gate holds a stage function, and while it is held other things must happen;
no clock is needed to tell that they did.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import anyio
import anyio.to_thread
import pytest
from anyio.from_thread import start_blocking_portal
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline

pytestmark = pytest.mark.anyio


async def test_g05_a_stage_function_never_runs_on_the_loop(anyio_backend: object) -> None:
    """A plain function and a plain generator run in a thread, an async one on the loop."""
    here = threading.get_ident()
    seen: dict[str, int] = {}

    def plain(value: int) -> int:
        seen["plain"] = threading.get_ident()
        return value

    def generator(value: int) -> object:
        seen["generator"] = threading.get_ident()
        yield value

    async def on_loop(value: int) -> int:
        seen["async"] = threading.get_ident()
        return value

    pipeline: AsyncTaskPipeline[int, str] = AsyncTaskPipeline()
    pipeline.add_stage("plain", plain).add_stage("generator", generator).add_stage("async", on_loop)
    async with pipeline.process([1]) as results:
        assert [each async for each in results] == [1]
    assert here == seen["async"]
    assert here not in (seen["plain"], seen["generator"])


@pytest.mark.parametrize("call", ["stop", "interrupt", "clear"])
async def test_g05_no_call_blocks_the_loop_while_a_stage_is_stuck(anyio_backend: object, call: str) -> None:
    """The gate is opened by a task that only runs if the loop does."""
    gate, entered = threading.Event(), threading.Event()

    def stuck(value: int) -> int:
        entered.set()
        gate.wait()
        return value

    pipeline: AsyncTaskPipeline[int, str] = AsyncTaskPipeline(2).add_stage("stuck", stuck)
    try:
        await pipeline.start()
        with anyio.fail_after(30):
            for value in range(3):
                await pipeline.process_input_data(value)
            while not entered.is_set():
                await checkpoint()
            with pytest.raises(anyio.WouldBlock):
                while True:
                    pipeline.put_input_data(0)
            async with anyio.create_task_group() as tg:

                async def release() -> None:
                    for _ in range(50):
                        await checkpoint()
                    gate.set()

                if call == "stop":
                    tg.start_soon(release)
                    await pipeline.stop()
                elif call == "interrupt":
                    assert "stuck" in (await pipeline.interrupt()).busy
                else:
                    assert "stuck" in pipeline.clear().busy
            assert gate.is_set() or call != "stop"
    finally:
        gate.set()
        await pipeline.stop()


@pytest.mark.skipif(not hasattr(time, "pthread_getcpuclockid"), reason="no clocks of single threads here")
def test_g05_idle_costs_nothing(anyio_backend: tuple[str, dict[str, Any]]) -> None:
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


async def test_g06_a_hundred_pipelines_do_not_starve_the_application(anyio_backend: object) -> None:
    """With 100 stages in a call, anyio's 40 shared threads are all still free."""
    gate = threading.Event()
    entered = threading.Semaphore(0)

    def hold(value: int) -> int:
        entered.release()
        gate.wait()
        return value

    pipelines = [AsyncTaskPipeline[int, str]().add_stage("hold", hold) for _ in range(100)]
    limiter = anyio.to_thread.current_default_thread_limiter()
    async with anyio.create_task_group() as tg:
        try:
            for pipeline in pipelines:
                await tg.start(pipeline.run)
                await pipeline.process_input_data(7)
                pipeline.close_input()
            for _ in pipelines:
                await anyio.to_thread.run_sync(entered.acquire)
            assert limiter.borrowed_tokens == 0
            with anyio.fail_after(30):
                assert await anyio.to_thread.run_sync(lambda: "free") == "free"
        finally:
            gate.set()
        for pipeline in pipelines:
            assert [each async for each in pipeline.generate_output_stream()] == [7]


async def test_g06_two_hundred_producers_finish(anyio_backend: object) -> None:
    """Blocked producers are tasks, not threads; all get through a bound of one."""
    pipeline: AsyncTaskPipeline[int, str] = AsyncTaskPipeline(1).add_stage("one", lambda value: value)
    got: list[int] = []
    with anyio.fail_after(60):
        async with pipeline, anyio.create_task_group() as tg:
            for value in range(200):
                tg.start_soon(pipeline.process_input_data, value)
            async for result in pipeline.generate_output_stream():
                got.append(result)
                if len(got) == 200:
                    break
    assert list(range(200)) == sorted(got)
