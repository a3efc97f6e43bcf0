"""Output and ends at their edges: two readers, many runs, errors that are hard to see, other loops.

The rule: one task at a time reads, and whoever comes second is told. A failure is raised as the very
object, however late it is asked for and whatever it looks like. A run that is over leaves nothing but
its counters, and keeps no later loop waiting.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import weakref

import anyio
import pytest
from anyio import BusyResourceError, CancelScope, create_task_group, fail_after

from async_task_pipeline import AsyncTaskPipeline
from async_task_pipeline._output import READS_PER_CHECKPOINT
from tests.cancelling import assert_law
from tests.faults.test_input import ASYNCIO
from tests.interrupts.scenes import PATIENCE, Gate, until

pytestmark = pytest.mark.anyio


class Problems(Exception):  # noqa: N818  a collection of errors, and so false while it is empty
    """An exception that counts as false."""

    def __len__(self) -> int:
        return len(self.args)


async def same(data):
    return data


async def fails(data):
    raise data


async def fails_on_1(data):
    if data == 1:
        raise LookupError(data)
    return data


@pytest.mark.parametrize("there", [0, 2])
async def test_of_two_readers_the_second_is_told_also_while_the_first_lets_others_run(there):
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    begun, got, busy = [], [], []

    async def read(name):
        begun.append(name)
        try:
            got.append((name, await anext(output)))
        except BusyResourceError:
            busy.append(name)

    with fail_after(PATIENCE):
        async with pipeline:
            output = pipeline.generate_output_stream()
            for number in range(READS_PER_CHECKPOINT - 1):
                await pipeline.process_input_data(number)
                await anext(output)
            for number in range(there):
                await pipeline.process_input_data(number)
            await until(lambda: pipeline.statistics().output_depth == there)
            async with create_task_group() as tg:
                # Both begin in one tick, in any order; the first of them is still in its checkpoint.
                tg.start_soon(read, "a")
                tg.start_soon(read, "b")
                await until(lambda: busy or len(got) == 2)
                if not there:
                    await pipeline.process_input_data(0)
            assert busy == begun[1:]
            assert got == [(begun[0], 0)]


class Clock:
    """Time that passes inside the stage, and nowhere else."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, data):
        self.now += 1
        return data

    async def work_on_loop(self, data):
        return self.work(data)


@pytest.mark.parametrize("timing", [False, True])
@pytest.mark.parametrize("method", ["work", "work_on_loop"])
async def test_many_runs_leave_their_counters_and_no_more_than_the_last_run(method, timing):
    clock, runs = Clock(), []
    pipeline = AsyncTaskPipeline(enable_timing=timing, clock=clock).add_stage("work", getattr(clock, method))
    with fail_after(PATIENCE):
        for _ in range(10):
            async with pipeline.process([1, 2, 3]) as results:
                assert [each async for each in results] == [1, 2, 3]
            runs.append(weakref.ref(pipeline._AsyncTaskPipeline__run))
    gc.collect()
    assert sum(run() is not None for run in runs) <= 1
    (stage,) = pipeline.stages
    assert (stage.processed_count, pipeline.counter) == (30, 30)
    assert stage.total_processing_time == (30 if timing else 0)
    assert_law(pipeline)


def lone(error):
    """The one exception in a group, or a bare one."""
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    return error


async def test_a_run_that_is_cancelled_while_its_failure_ends_it_raises_the_failure():
    gate = Gate(0)
    pipeline = AsyncTaskPipeline().add_stage("first", fails_on_1).add_stage("gate", gate)
    with fail_after(PATIENCE), pytest.raises((LookupError, ExceptionGroup)) as caught:
        with CancelScope() as scope:
            async with create_task_group() as tg:
                await tg.start(pipeline.run)
                await pipeline.process_input_data(0)
                await gate.entered()
                await pipeline.process_input_data(1)
                await until(lambda: not pipeline.running)  # it waits for the thread
                scope.cancel()
                gate.opened.set()
    assert lone(caught.value).args == (1,)


@ASYNCIO
async def test_a_natively_cancelled_run_raises_the_failure_too():
    gate = Gate(0)
    pipeline = AsyncTaskPipeline().add_stage("first", fails_on_1).add_stage("gate", gate)
    with fail_after(PATIENCE):
        task = asyncio.create_task(pipeline.run())
        await until(lambda: pipeline.running)
        await pipeline.process_input_data(0)
        await gate.entered()
        await pipeline.process_input_data(1)
        await until(lambda: not pipeline.running)
        task.cancel()
        await asyncio.sleep(0)
        gate.opened.set()
        with pytest.raises(LookupError):
            await task


async def test_a_failure_that_counts_as_false_is_raised_by_the_output():
    problems, pipeline = Problems(), AsyncTaskPipeline().add_stage("fails", fails)
    with fail_after(PATIENCE):
        await pipeline.start()
        await pipeline.process_input_data(problems)
        for _ in range(2):  # not only once
            with pytest.raises(Problems) as caught:
                await anext(pipeline.generate_output_stream())
            assert caught.value is problems
        with pytest.raises(Problems):
            await pipeline.stop()


def breaks():
    yield 1
    raise Problems


async def breaks_on_loop():
    yield 1
    raise Problems


@pytest.mark.parametrize("source", [breaks, breaks_on_loop])
@pytest.mark.parametrize("read", [False, True])
async def test_an_error_of_a_source_that_counts_as_false_is_raised(read, source):
    got, pipeline = [], AsyncTaskPipeline().add_stage("same", same)
    with fail_after(PATIENCE), pytest.raises(Problems):
        async with pipeline.process(source()) as results:
            if read:
                async for each in results:
                    got.append(each)
                got.append("the end")
            else:
                await until(lambda: pipeline.statistics().output_depth == 2)
    assert got == ([1] if read else [])


async def test_a_failure_that_is_read_again_and_again_keeps_its_traceback_short():
    pipeline, lengths = AsyncTaskPipeline().add_stage("fails", fails), []
    with fail_after(PATIENCE):
        await pipeline.start()
        await pipeline.process_input_data(LookupError())
        for _ in range(20):
            with pytest.raises(LookupError) as caught:
                await anext(pipeline.generate_output_stream())
            lengths.append(len(caught.traceback))
        with pytest.raises(LookupError):
            await pipeline.stop()
    assert lengths[1:] == lengths[1:2] * 19


async def started_and_stopped(pipeline):
    await pipeline.start()
    await pipeline.process_input_data(1)
    await pipeline.stop()


async def in_a_block(pipeline):
    async with pipeline.process([1]) as results:
        assert [each async for each in results] == [1]


async def finished_by_itself(pipeline):
    await pipeline.start()
    await pipeline.process_input_stream([1])
    assert [each async for each in pipeline.generate_output_stream()] == [1]
    await until(pipeline._AsyncTaskPipeline__run.done.is_set)


LOOPS = [("asyncio", {}), ("trio", {})]
if importlib.util.find_spec("uvloop") is not None:
    LOOPS.append(("asyncio", {"use_uvloop": True}))


@pytest.mark.parametrize("life", [started_and_stopped, in_a_block, finished_by_itself])
@pytest.mark.parametrize("before", LOOPS, ids=lambda loop: "+".join([loop[0], *loop[1]]))
def test_a_pipeline_that_has_ended_can_be_stopped_on_another_loop(anyio_backend, before, life):
    pipeline = AsyncTaskPipeline().add_stage("same", same)

    async def stop():
        with fail_after(PATIENCE):
            await pipeline.stop()
            await in_a_block(pipeline)

    for (name, options), main in ((before, life), (anyio_backend, None)):
        anyio.run(*((stop,) if main is None else (main, pipeline)), backend=name, backend_options=options)


@ASYNCIO
async def test_a_start_whose_task_is_cancelled_before_its_first_step_leaves_the_pipeline_as_it_was():
    """As the end of the loop does with all tasks there are."""
    pipeline, tasks = AsyncTaskPipeline().add_stage("same", same), []
    starting = asyncio.create_task(pipeline.start())
    with fail_after(PATIENCE):
        while not tasks:  # is there in the step in which it has been made
            await asyncio.sleep(0)
            tasks = [task for task in asyncio.all_tasks() if task.get_name() == "async_task_pipeline"]
        for task in (starting, *tasks):
            task.cancel()
        await asyncio.wait([starting, *tasks])
        await pipeline.stop()
        assert not pipeline.running
        await in_a_block(pipeline)
