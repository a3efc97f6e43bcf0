"""A stage whose calls run on a cluster, ``executor=client.get_executor()``.

The rule: to the pipeline it is an executor as any other; what these tests prove is that
the guarantees hold with Dask's one, whose calls run in other processes, whose workers die
and whose futures can be cancelled while they run.
"""

from __future__ import annotations

import os
from concurrent.futures import CancelledError
from functools import partial

import anyio
import pytest

from async_task_pipeline import AsyncTaskPipeline
from tests.cluster.calls import Deadly, Held, negative, number_of, process, reciprocal, twice
from tests.support.waiting import drain

pytestmark = pytest.mark.anyio


def assert_nothing_is_lost(flow):
    assert flow.accepted + flow.fanned_out == flow.delivered + flow.filtered + flow.failed + flow.dropped
    assert flow.inside == 0


async def test_results_come_in_order_from_several_processes(client):
    pipeline = AsyncTaskPipeline(max_queue_size=8)
    pipeline.add_stage("negative", negative, executor=client.get_executor(), workers=4)
    pipeline.add_stage("twice", twice, executor=client.get_executor(), workers=4)
    assert await drain(pipeline, range(40)) == [-n for n in range(40) for _ in range(2)]

    pipeline = AsyncTaskPipeline().add_stage("process", process, executor=client.get_executor(), workers=4)
    with anyio.fail_after(60):
        processes = set(await drain(pipeline, range(40)))
    assert len(processes) == 2
    assert os.getpid() not in processes


async def test_no_more_calls_are_in_flight_than_there_are_workers(client, gate, tasks):
    pipeline = AsyncTaskPipeline(max_queue_size=5)
    pipeline.add_stage("held", number_of, executor=client.get_executor(), workers=3)
    with anyio.fail_after(60):
        async with pipeline, anyio.create_task_group() as tg:
            source = [Held(number, gate.directory) for number in range(20)]
            tg.start_soon(partial(pipeline.process_input_stream, source, close_input=True))
            await gate.begun(3)
            await anyio.wait_all_tasks_blocked()
            assert await tasks() == 3
            assert pipeline.statistics().accepted == 5 + (5 + 3 - 1)  # the link, and the window
            gate.open()
            assert [number async for number in pipeline.generate_output_stream()] == [*range(20)]
    assert_nothing_is_lost(pipeline.statistics())


async def test_a_failure_is_the_functions_own_exception(client):
    pipeline = AsyncTaskPipeline()
    pipeline.add_stage("reciprocal", reciprocal, executor=client.get_executor(), workers=2)
    with anyio.fail_after(60), pytest.raises(ZeroDivisionError) as caught:
        await drain(pipeline, [4, 0])
    assert caught.value.__notes__ == ["raised in stage 'reciprocal' of the pipeline, for item 0"]
    assert_nothing_is_lost(pipeline.statistics())


async def test_a_returned_failure_takes_its_items_place(client):
    pipeline = AsyncTaskPipeline(return_exceptions=True)
    pipeline.add_stage("reciprocal", reciprocal, executor=client.get_executor(), workers=2)
    with anyio.fail_after(60):
        first, failure, last = await drain(pipeline, [4, 0, 2])
    assert (first, type(failure), last) == (0.25, ZeroDivisionError, 0.5)
    assert_nothing_is_lost(pipeline.statistics())


async def test_the_cluster_makes_a_call_again_whose_process_was_killed(client, tmp_path):
    pipeline = AsyncTaskPipeline(max_queue_size=4)
    pipeline.add_stage("deadly", number_of, executor=client.get_executor(), workers=2)
    with anyio.fail_after(60):
        source = [0, 1, Deadly(2, tmp_path / "killed once"), *range(3, 10)]
        assert await drain(pipeline, source) == [*range(10)]
    assert_nothing_is_lost(pipeline.statistics())


async def test_a_call_that_kills_every_process_has_failed(client):
    from distributed import KilledWorker

    pipeline = AsyncTaskPipeline(return_exceptions=True, max_queue_size=4)
    pipeline.add_stage("deadly", number_of, executor=client.get_executor())  # one call at a time: no one else's blame
    with anyio.fail_after(60):
        results = await drain(pipeline, [0, Deadly(1), 2])
    assert isinstance(results[1], KilledWorker)
    assert [results[0], results[2]] == [0, 2]
    flow = pipeline.statistics()
    assert (flow.delivered, flow.failed) == (2, 1)
    assert_nothing_is_lost(flow)


async def test_an_interrupt_cancels_the_futures_and_late_results_are_dropped(client, gate, tasks):
    pipeline = AsyncTaskPipeline()
    pipeline.add_stage("held", number_of, executor=client.get_executor(), workers=2)
    with anyio.fail_after(60):
        async with pipeline:
            output = pipeline.generate_output_stream()
            for number in range(4):
                await pipeline.process_input_data(Held(number, gate.directory))
            await pipeline.process_input_sentinel("end of turn")
            await gate.begun(2)
            receipt = await pipeline.interrupt()
            assert (receipt.total, receipt.busy) == (4, ("held",))
            for number in range(100, 110):
                await pipeline.process_input_data(number)
            pipeline.close_input()
            assert await anext(output) == "end of turn"
            # The old calls are still held, and the cluster has forgotten them.
            assert [await anext(output) for _ in range(10)] == [*range(100, 110)]
            while await tasks():
                await anyio.lowlevel.checkpoint()
            gate.open()
            assert [number async for number in output] == []
    flow = pipeline.statistics()
    assert (flow.delivered, flow.dropped) == (10, 4)
    assert_nothing_is_lost(flow)


async def test_an_item_is_not_taken_for_an_equal_one_that_was_interrupted(client, gate):
    pipeline = AsyncTaskPipeline().add_stage("held", number_of, executor=client.get_executor(), workers=3)
    with anyio.fail_after(60):
        async with pipeline:
            item = Held(1, gate.directory)
            await pipeline.process_input_data(item)
            await gate.begun(1)
            await pipeline.interrupt()
            for _ in range(3):
                await pipeline.process_input_data(item)
            await gate.begun(3)  # each has a call of its own
            gate.open()
            output = pipeline.generate_output_stream()
            assert [await anext(output) for _ in range(3)] == [1, 1, 1]


async def test_a_scope_that_is_left_leaves_no_call_on_the_scheduler(client, gate, tasks):
    pipeline = AsyncTaskPipeline()
    pipeline.add_stage("held", number_of, executor=client.get_executor(), workers=2)
    with anyio.fail_after(60):
        async with pipeline:
            for number in range(3):
                await pipeline.process_input_data(Held(number, gate.directory))
            await gate.begun(2)
        # Left although the calls are held.
        while await tasks():
            await anyio.lowlevel.checkpoint()
    assert pipeline.statistics().dropped == 3
    assert_nothing_is_lost(pipeline.statistics())


async def test_a_connection_that_is_closed_is_a_failure_and_no_end(cluster, client, gate):
    from distributed import Client

    with anyio.fail_after(60):
        second = await anyio.to_thread.run_sync(Client, cluster)
        pipeline = AsyncTaskPipeline().add_stage("held", number_of, executor=second.get_executor(), workers=2)
        with pytest.raises(CancelledError) as caught:
            async with pipeline.process([Held(n, gate.directory) for n in range(3)]) as results:
                await gate.begun(2)
                await anyio.to_thread.run_sync(second.close)
                await anext(results)
    assert caught.value.__notes__[0].startswith("raised in stage 'held' of the pipeline, for item Held(")
    assert pipeline.statistics().failed >= 1
    assert_nothing_is_lost(pipeline.statistics())
