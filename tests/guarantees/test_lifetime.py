"""G7 and G8: a scope that is left leaves nothing, and start and stop work in any order.

The rule: what could be left is looked for where it would be found: the tasks of the
backend, the threads inside the library, the generator a stage was running.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
import sniffio
import trio
from anyio import to_thread
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline, PipelineStateError, logger

pytestmark = pytest.mark.anyio

Pipeline = AsyncTaskPipeline[Any, Any]
PATIENCE = 60


class LeavingError(Exception):
    """What a scope is left with."""


def tasks() -> int:
    if sniffio.current_async_library() == "trio":
        return trio.lowlevel.current_statistics().tasks_living
    return len(asyncio.all_tasks())


def busy() -> tuple[Pipeline, list[str]]:
    """A pipeline with a stage of every kind, all with something to do; and what they close."""
    closed: list[str] = []

    def endless(value: int) -> Iterator[int]:
        try:
            while True:
                yield value
        finally:
            closed.append("endless")

    async def also_endless(value: int) -> AsyncIterator[int]:
        try:
            while True:
                await checkpoint()
                yield value
        finally:
            closed.append("also endless")

    async def same(value: int) -> int:
        return value

    pipeline = Pipeline(max_queue_size=2)
    pipeline.add_stage("same", lambda value: value).add_stage("endless", endless)
    pipeline.add_stage("also endless", also_endless).add_stage("async", same)
    return pipeline, closed


async def leave(pipeline: Pipeline, road: str) -> None:
    with anyio.CancelScope() as scope:
        async with pipeline:
            output = pipeline.generate_output_stream()
            await pipeline.process_input_data(0)
            async for _ in output:
                if road == "break":
                    break
                if road == "error":
                    raise LeavingError
                if road == "cancel":
                    scope.cancel()
                    await checkpoint()
                if road == "stop":
                    await pipeline.stop()


@pytest.mark.parametrize("road", ["break", "error", "cancel", "stop"])
async def test_g07_nothing_is_left_whatever_road_was_taken(road: str) -> None:
    before = tasks()
    pipeline, closed = busy()
    with anyio.fail_after(PATIENCE):
        try:
            await leave(pipeline, road)
        except LeavingError:
            assert road == "error"
        assert sorted(closed) == ["also endless", "endless"]
        assert not pipeline.running
        assert tasks() == before
        assert all(link.empty() for link in pipeline.queues)
    now = pipeline.statistics()
    assert now.inside == 0
    assert now.accepted + now.fanned_out == now.delivered + now.filtered + now.failed + now.dropped


async def test_g07_a_thread_in_a_function_that_has_not_returned_is_named(caplog: pytest.LogCaptureFixture) -> None:
    gate, entered = threading.Event(), threading.Event()

    def stuck(value: int) -> None:
        entered.set()
        assert gate.wait(PATIENCE)

    class Release(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "the culprit" in record.getMessage():
                gate.set()  # the scope waits for the thread, and the thread for the log line

    release = Release()
    logger.addHandler(release)
    caplog.set_level(logging.INFO, logger.name)
    pipeline = Pipeline().add_stage("the culprit", stuck)
    try:
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tg:
                await tg.start(pipeline.run)
                await pipeline.process_input_data(0)
                await to_thread.run_sync(entered.wait)
                tg.cancel_scope.cancel()
    finally:
        logger.removeHandler(release)
    assert gate.is_set()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("uvloop", [False, True])
def test_g07_a_thread_that_outlives_the_loop_is_named(
    uvloop: bool, workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Where ``asyncio.run`` ends without a stop; trio waits for the thread instead."""
    gate, entered = threading.Event(), threading.Event()
    if uvloop:
        pytest.importorskip("uvloop")

    def stuck(value: int) -> None:
        entered.set()
        assert gate.wait(PATIENCE)

    async def main() -> None:
        pipeline = Pipeline().add_stage("the culprit", stuck, workers=workers).add_stage("idle", lambda value: value)
        await pipeline.start()
        await pipeline.process_input_data(0)
        await to_thread.run_sync(entered.wait)

    try:
        anyio.run(main, backend_options={"use_uvloop": uvloop})
        said = [record.getMessage() for record in caplog.records if "left inside" in record.getMessage()]
    finally:
        gate.set()
    assert len(said) == 1
    assert "the culprit" in said[0]
    assert "stuck" in said[0]


async def test_g08_start_and_stop_in_any_order_from_any_task() -> None:
    pipeline = Pipeline().add_stage("same", lambda value: value)
    with anyio.fail_after(PATIENCE):
        await pipeline.stop()  # never started
        async with anyio.create_task_group() as tg:
            tg.start_soon(pipeline.start)
        assert pipeline.running
        with pytest.raises(PipelineStateError):
            await pipeline.start()
        await pipeline.process_input_data(1)
        with anyio.fail_after(PATIENCE / 2):  # a scope that opened after the start
            async with anyio.create_task_group() as tg:
                tg.start_soon(pipeline.stop)
                tg.start_soon(pipeline.stop)
        assert not pipeline.running
        await pipeline.stop()


async def test_g08_a_stopped_pipeline_starts_again_empty() -> None:
    gate = threading.Event()
    pipeline = Pipeline().add_stage("gate", lambda value: gate.wait(PATIENCE) and value)
    with anyio.fail_after(PATIENCE):
        await pipeline.start()
        for value in range(5):
            await pipeline.process_input_data(value)
        await pipeline.process_input_sentinel("end")
        gate.set()
        await pipeline.stop()
        await pipeline.start()
        await pipeline.process_input_data("new")
        assert await anext(pipeline.generate_output_stream()) == "new"
        await pipeline.stop()
    assert pipeline.statistics().inside == 0


async def test_g08_a_stop_under_a_timeout_that_has_passed_still_stops() -> None:
    pipeline = Pipeline().add_stage("same", lambda value: value)
    with anyio.fail_after(PATIENCE):
        await pipeline.start()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await pipeline.stop()
        while pipeline.running:
            await checkpoint()
        await pipeline.stop()
