"""Exceptions that travel in place of an item are stale data like any other.

The rule: with ``on_error="return"`` an exception is a result, so an interrupt drops it
wherever it is: before a stage, in the hands of a worker that passes it on, or finished.
No counter tells of it, which is why a worker that holds one has to be found otherwise.
"""

from __future__ import annotations

import threading
from collections import deque

import pytest
from anyio import fail_after, to_thread

from async_task_pipeline import AsyncTaskPipeline
from async_task_pipeline._items import Control, Kind
from tests.interrupts.scenes import PATIENCE, AsyncGate, Gate, read, rest_of, until

pytestmark = pytest.mark.anyio


class RefusedError(Exception):
    """What the failing stage of these tests raises."""


def refuse_old(data):
    if data == "old":
        raise RefusedError(data)
    return data


async def refuse_old_async(data):
    return refuse_old(data)


def same(data):
    return data


@pytest.mark.parametrize("refuse", [refuse_old, refuse_old_async])
async def test_it_is_dropped_where_it_is_finished(refuse):
    pipeline = AsyncTaskPipeline(return_exceptions=True).add_stage("refuse", refuse)
    with fail_after(PATIENCE):
        async with pipeline:
            await pipeline.process_input_data("old")
            await until(lambda: pipeline.statistics().output_depth == 1)
            assert (await pipeline.interrupt()).total == 0  # as a failure, it has been counted
            await pipeline.process_input_data("new")
            assert await rest_of(pipeline) == ["new"]


@pytest.mark.parametrize("gate", [Gate, AsyncGate])
async def test_it_is_dropped_where_it_waits_for_a_stage(gate):
    gate = gate("busy")
    pipeline = AsyncTaskPipeline(return_exceptions=True).add_stage("refuse", refuse_old).add_stage("gate", gate)
    with fail_after(PATIENCE):
        async with pipeline:
            await pipeline.process_input_data("busy")
            await gate.entered()
            await pipeline.process_input_data("old")
            await until(lambda: pipeline.statistics().stages["gate"].queue_depth == 1)
            await pipeline.interrupt()
            await pipeline.process_input_data("new")
            gate.opened.set()
            assert await rest_of(pipeline) == ["new"]


async def test_it_stays_in_a_protected_stage_and_its_order():
    gate = Gate("busy")
    pipeline = AsyncTaskPipeline(return_exceptions=True).add_stage("refuse", refuse_old)
    pipeline.add_stage("gate", gate, interruptible=False)
    with fail_after(PATIENCE):
        async with pipeline:
            for data in ("busy", "old", "kept"):
                await pipeline.process_input_data(data)
            await gate.entered()
            await until(lambda: pipeline.statistics().stages["gate"].queue_depth == 2)
            await pipeline.interrupt()
            gate.opened.set()
            busy, error, kept = await read(pipeline, 3)
            assert (busy, type(error), kept) == ("busy", RefusedError, "kept")
            assert await rest_of(pipeline) == []


class SlowHands(deque):
    """An outbox into which a worker thread puts a travelling exception slowly."""

    holding = threading.Event()
    go_on = threading.Event()

    def append(self, entry):
        if type(entry) is Control and entry.kind is Kind.RETURNED:
            self.holding.set()
            assert self.go_on.wait(PATIENCE / 2)
        super().append(entry)


async def test_it_is_dropped_in_the_hands_of_a_worker_that_passes_it_on(monkeypatch):
    monkeypatch.setattr("async_task_pipeline._workers._sessions.deque", SlowHands)
    SlowHands.holding.clear()
    SlowHands.go_on.clear()
    pipeline = AsyncTaskPipeline(return_exceptions=True).add_stage("refuse", refuse_old).add_stage("same", same)
    with fail_after(PATIENCE):
        async with pipeline:
            await pipeline.process_input_data("old")
            assert await to_thread.run_sync(SlowHands.holding.wait, PATIENCE / 2)
            await pipeline.interrupt()
            SlowHands.go_on.set()
            await pipeline.process_input_data("new")
            assert await rest_of(pipeline) == ["new"]
