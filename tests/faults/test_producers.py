"""Faults E13 to E16 and E18 of 0.1.10: many producers, many pipelines, no async around.

The rule: the order is that of the calls, for data and sentinels alike; waiting costs no
thread, so neither producers nor pipelines nor the application starve one another.
"""

from __future__ import annotations

import threading

import anyio
import pytest
from anyio import WouldBlock, create_task_group, fail_after, from_thread, to_thread
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline, PipelineStoppedError

pytestmark = pytest.mark.anyio

PATIENCE = 30


async def until(condition) -> None:
    """Let other tasks run until the condition holds; the caller's timeout is the limit."""
    while not condition():
        await checkpoint()


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_e13_concurrent_puts_leave_in_the_order_of_the_calls(size):
    """0.1.10: out of order in 22 to 37 of 60 runs; a sentinel came up to 3 items early."""
    called, got = [], []
    pipeline = AsyncTaskPipeline(max_queue_size=size).add_stage("same", lambda x: x)

    async def put(i) -> None:
        called.append(i)
        if i % 10 == 9:
            await pipeline.process_input_sentinel(i)
        else:
            await pipeline.process_input_data(i)

    with fail_after(PATIENCE):
        async with pipeline:
            output = pipeline.generate_output_stream()
            for turn in range(5):
                async with create_task_group() as tg:
                    for i in range(200 * turn, 200 * turn + 200):
                        tg.start_soon(put, i)
                    got += [await anext(output) for _ in range(200)]
            pipeline.close_input()
            assert [x async for x in output] == []
    assert got == called


async def test_e13_puts_of_every_kind_wait_in_one_line():
    """0.1.10: each waited in a thread of its own, and any of them was woken."""
    opened, got = threading.Event(), []
    pipeline = AsyncTaskPipeline(max_queue_size=1)
    pipeline.add_stage("gate", lambda x: x if opened.wait(PATIENCE / 2) else None)

    def waiting() -> int:
        return len(pipeline._AsyncTaskPipeline__run.entrance._line)

    with fail_after(PATIENCE):
        async with pipeline, create_task_group() as tg:
            pipeline.put_input_data("first")
            await until(pipeline.input_queue.empty)
            pipeline.put_input_data("second")
            expected = ["first", "second"]
            for i in range(4):
                for call in (pipeline.process_input_data, pipeline.process_input_sentinel):
                    expected.append((i, call.__name__))
                    tg.start_soon(call, expected[-1])
                    await until(lambda: waiting() == len(expected) - 2)
                for call in (pipeline.put_input_data, pipeline.put_input_sentinel):
                    expected.append((i, call.__name__))
                    tg.start_soon(to_thread.run_sync, call, expected[-1])
                    await until(lambda: waiting() == len(expected) - 2)
            with pytest.raises(WouldBlock):
                pipeline.put_input_data("pushes in")
            opened.set()
            output = pipeline.generate_output_stream()
            got = [await anext(output) for _ in expected]
    assert got == expected


async def test_e14_two_hundred_producers_finish():
    """0.1.10: with as many as the executor has threads and one more, all hung."""
    pipeline = AsyncTaskPipeline(max_queue_size=2).add_stage("a", lambda x: x).add_stage("b", lambda x: x)
    got = []

    async def produce(i) -> None:
        for k in range(5):
            await pipeline.process_input_data((i, k))

    async def consume() -> None:
        async for x in pipeline.generate_output_stream():
            got.append(x)

    with fail_after(PATIENCE):
        async with pipeline, create_task_group() as consumers:
            consumers.start_soon(consume)
            async with create_task_group() as producers:
                for i in range(200):
                    producers.start_soon(produce, i)
            pipeline.close_input()
    assert sorted(got) == [(i, k) for i in range(200) for k in range(5)]
    for i in range(200):
        assert [k for producer, k in got if producer == i] == list(range(5))


async def test_e15_a_hundred_pipelines_and_the_application_do_not_starve_each_other():
    """0.1.10: six pipelines hung on a machine with two cores, and every other thread use."""
    opened, got = threading.Event(), {}
    entered = threading.Semaphore(0)

    def gate(data):
        entered.release()
        assert opened.wait(PATIENCE / 2), "nobody opened the gate"
        return data

    async def job(number) -> None:
        pipeline = AsyncTaskPipeline(max_queue_size=1).add_stage("gate", gate)
        async with pipeline.process(range(5)) as results:
            got[number] = [x async for x in results]

    def all_entered() -> bool:
        return all(entered.acquire(timeout=PATIENCE / 2) for _ in range(100))

    with fail_after(PATIENCE):
        async with create_task_group() as tg:
            for number in range(100):
                tg.start_soon(job, number)
            # In a thread of the application: it gets one while all stages are busy.
            assert await to_thread.run_sync(all_entered)
            assert to_thread.current_default_thread_limiter().borrowed_tokens == 0
            opened.set()
    assert got == {number: list(range(5)) for number in range(100)}


async def test_e16_a_put_on_the_loop_never_blocks_it():
    """0.1.10: ``Queue.put`` on the loop, as its example does it: hung after 7 items."""
    opened = threading.Event()
    pipeline = AsyncTaskPipeline(max_queue_size=2)
    pipeline.add_stage("gate", lambda x: x if opened.wait(PATIENCE / 2) else None)
    with fail_after(PATIENCE):
        async with pipeline:
            accepted = []
            with pytest.raises(WouldBlock):
                for i in range(100):
                    pipeline.put_input_data(i)
                    accepted.append(i)
            with pytest.raises(WouldBlock):
                pipeline.put_input_sentinel("end")
            assert 2 <= len(accepted) <= 3  # the stage may have taken the first by now
            opened.set()
            pipeline.close_input()
            assert [x async for x in pipeline.generate_output_stream()] == accepted
    assert pipeline.statistics().accepted == len(accepted)


async def test_e16_a_put_in_another_thread_waits_for_room():
    """0.1.10: did; here it also comes from a thread the loop knows nothing of."""
    pipeline = AsyncTaskPipeline(max_queue_size=1).add_stage("same", lambda x: x)

    def produce() -> None:
        for i in range(100):
            pipeline.put_input_data(i)
        pipeline.put_input_sentinel("end")
        finish()

    finished = anyio.Event()
    with fail_after(PATIENCE):
        async with pipeline, from_thread.BlockingPortal() as portal:

            def finish() -> None:
                portal.start_task_soon(finished.set)

            thread = threading.Thread(target=produce)
            thread.start()
            output = pipeline.generate_output_stream()
            assert [await anext(output) for _ in range(101)] == [*range(100), "end"]
            await finished.wait()
            await to_thread.run_sync(thread.join)


async def test_e16_a_put_in_another_thread_wakes_when_the_pipeline_stops():
    """0.1.10: the thread stayed in ``put`` for ever."""
    pipeline = AsyncTaskPipeline(max_queue_size=1).add_stage("same", lambda x: x)
    raised = []

    def produce() -> None:
        try:
            while True:
                pipeline.put_input_data(0)
        except PipelineStoppedError as exc:
            raised.append(exc)

    with fail_after(PATIENCE):
        async with create_task_group() as tg:
            await pipeline.start()
            tg.start_soon(to_thread.run_sync, produce)
            await until(lambda: pipeline._AsyncTaskPipeline__run.entrance._line)
            await pipeline.stop()
    assert len(raised) == 1


async def test_e18_every_call_of_0_1_10_works_on_this_backend():
    """0.1.10: TypeError and RuntimeError on trio, from its asyncio calls."""
    pipeline = AsyncTaskPipeline(max_queue_size=10, enable_timing=True, return_exceptions=True)
    pipeline.add_stage("divide", lambda x: 12 // x)
    with fail_after(PATIENCE):
        await pipeline.start()
        output = pipeline.generate_output_stream()
        await pipeline.process_input_data(1, None)
        pipeline.put_input_data(0)
        await pipeline.process_input_sentinel("end")
        pipeline.put_input_sentinel("and once more")
        assert await anext(output) == 12
        assert isinstance(await anext(output), ZeroDivisionError)
        assert [await anext(output) for _ in range(2)] == ["end", "and once more"]
        await pipeline.interrupt()
        await pipeline.process_input_stream([2, 3], close_input=False)
        assert [await anext(output) for _ in range(2)] == [6, 4]
        assert pipeline.get_report(include_item_details=False).summary.total_items == 3
        pipeline.clear()
        pipeline.clear_input_queue()
        pipeline.clear_output_queue()
        await pipeline.stop()
        assert [x async for x in output] == []
