"""What leaves the block of a pipeline in which more than one thing goes wrong, or one oddly.

The rule: every error has one owner. What the block has met and handled is the block's
own affair; everything else leaves it, once: a lone error as the very object, several in
one group. A failure that comes too late to end anything is in the log.
"""

from __future__ import annotations

import logging

import anyio
import pytest
from anyio import CancelScope, fail_after, get_cancelled_exc_class

from async_task_pipeline import AsyncTaskPipeline

pytestmark = pytest.mark.anyio

PATIENCE = 60


class MineError(Exception):
    """What the block raises."""


def fails(data):
    raise LookupError(data)


def same(data):
    return data


def broken_source():
    yield 0
    raise LookupError("the source is broken")


async def broken_async_source():
    yield 0
    raise LookupError("the source is broken")


sources = pytest.mark.parametrize("source", [broken_source, broken_async_source])


@sources
async def test_an_error_of_the_source_that_the_block_handles_stays_in_the_block(source):
    got = []
    with fail_after(PATIENCE):
        async with AsyncTaskPipeline().add_stage("same", same).process(source()) as results:
            try:
                async for result in results:
                    got.append(result)
            except LookupError as exc:
                got.append(exc.args)
    assert got == [0, ("the source is broken",)]


@sources
async def test_an_error_of_the_block_does_not_hide_one_of_the_source_that_nobody_met(source):
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    with fail_after(PATIENCE), pytest.raises(ExceptionGroup) as caught:
        async with pipeline.process(source()):
            while pipeline.statistics().output_depth < 2:  # the item and the end with the error
                await anyio.sleep(0)
            raise MineError
    assert sorted(type(each).__name__ for each in caught.value.exceptions) == ["LookupError", "MineError"]


async def test_an_error_raised_while_the_failure_ends_the_block_is_beside_it():
    pipeline = AsyncTaskPipeline().add_stage("fails", fails)
    with fail_after(PATIENCE), pytest.raises(ExceptionGroup) as caught:
        async with pipeline:
            await pipeline.process_input_data(0)
            try:
                await anyio.sleep_forever()
            finally:
                raise MineError
    assert sorted(type(each).__name__ for each in caught.value.exceptions) == ["LookupError", "MineError"]


async def test_a_failure_is_not_lost_when_the_block_is_cancelled_from_outside_at_once():
    pipeline = AsyncTaskPipeline().add_stage("fails", fails)
    with fail_after(PATIENCE), pytest.raises(LookupError):
        with CancelScope() as outside:
            async with pipeline:
                await pipeline.process_input_data(0)
                try:
                    await anyio.sleep_forever()
                except get_cancelled_exc_class():
                    outside.cancel()
                    raise


async def test_of_two_failures_in_one_step_one_is_raised_and_the_other_logged(caplog):
    both, entered = anyio.Event(), []

    def failing(name):
        async def stage(data):
            if data == name:
                entered.append(name)
                await both.wait()
                raise LookupError(name)
            return data

        return stage

    pipeline = AsyncTaskPipeline().add_stage("a", failing("a")).add_stage("b", failing("b"))
    with fail_after(PATIENCE), pytest.raises(LookupError) as caught, caplog.at_level(logging.WARNING):
        async with pipeline:
            await pipeline.process_input_data("b")
            await pipeline.process_input_data("a")
            while len(entered) < 2:
                await anyio.sleep(0)
            both.set()
            await anyio.sleep_forever()
    (record,) = [each for each in caplog.records if each.name == "async_task_pipeline"]
    assert "had ended" in record.getMessage()
    assert {caught.value.args, record.exc_info[1].args} == {("a",), ("b",)}
    assert pipeline.statistics().failed == 2


def exits_from_a_thread(exc):
    yield 0
    raise exc


async def exits_from_a_task(exc):
    yield 0
    raise exc


@pytest.mark.parametrize("source", [exits_from_a_thread, exits_from_a_task])
@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt])
def test_a_source_that_exits_ends_the_job_with_its_exit(anyio_backend, source, exception):
    backend, options = anyio_backend
    exc = exception("mine")

    async def main():
        with fail_after(PATIENCE):
            async with AsyncTaskPipeline().add_stage("same", same).process(source(exc)):
                await anyio.sleep_forever()

    with pytest.raises(exception) as caught:
        anyio.run(main, backend=backend, backend_options=options)
    assert caught.value is exc


@pytest.mark.parametrize("anyio_backend", [("trio", {})], ids=["trio"])
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_nursery_in_a_stage_that_is_cancelled_is_no_failure(caplog, workers):
    trio, inside = pytest.importorskip("trio"), []

    async def nursery(data):
        async with trio.open_nursery() as children:
            children.start_soon(trio.sleep_forever)
            children.start_soon(trio.sleep_forever)
            inside.append(data)

    with fail_after(PATIENCE):
        async with AsyncTaskPipeline().add_stage("nursery", nursery, workers=workers) as pipeline:
            await pipeline.process_input_data("data")
            while not inside:
                await anyio.lowlevel.checkpoint()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
