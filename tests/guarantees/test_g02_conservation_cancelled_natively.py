"""G2, the law of conservation, cancelled natively.

The rule: the same scenarios, cut by ``Task.cancel``, ``asyncio.timeout`` and ``asyncio.wait_for``,
which know no scopes and respect no shield; also in the very tick in which what the scenario waits
for has come: there an anyio stream loses an item.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio
import pytest
from anyio import CancelScope, fail_after
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline
from async_task_pipeline._engine import _input
from tests.support.backends import ASYNCIO
from tests.support.cancelling import (
    INPUTS,
    WHOLE_LIVES,
    Cut,
    Ledger,
    Whole,
    assert_over,
    build,
    cut_everywhere,
    cut_input_everywhere,
    cut_output_everywhere,
    expected,
    read,
    watched,
)
from tests.support.gates import Gate
from tests.support.leftovers import tasks, threads_at_work
from tests.support.waiting import PATIENCE, rest_of, until_waiting

pytestmark = [pytest.mark.anyio, ASYNCIO]

Scenario = Callable[[], Coroutine[Any, Any, None]]


async def until_over(task: asyncio.Task[None]) -> None:
    """Wait for the task; it may have been cancelled, and may not have failed."""
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def in_a_task(body: Awaitable[None]) -> None:
    """Run it as a task."""

    async def run() -> None:  # from 3.12 on, a generator marked as a coroutine makes no task
        await body

    await until_over(asyncio.create_task(run()))


async def task_cancel(scenario: Scenario, step: int) -> bool:
    reached: list[Any] = []
    await in_a_task(watched(scenario(), step, lambda _: reached.append(asyncio.current_task().cancel())))
    return bool(reached)


def once_it_is_there(wish: Any, act: Callable[[], object]) -> None:
    """Act after what is waited for has come, before the waiting task has run."""
    if wish is None:  # a bare yield: it is there already
        act()
    else:
        wish.add_done_callback(lambda _: act())


async def task_cancel_when_woken(scenario: Scenario, step: int) -> bool:
    def cancel(wish: Any) -> None:
        reached.append(once_it_is_there(wish, asyncio.current_task().cancel))

    reached: list[Any] = []
    await in_a_task(watched(scenario(), step, cancel))
    return bool(reached)


async def scope_cancel_when_woken(scenario: Scenario, step: int) -> bool:
    reached: list[Any] = []
    with CancelScope() as scope:
        await watched(scenario(), step, lambda wish: reached.append(once_it_is_there(wish, scope.cancel)))
    return bool(reached)


async def timeout(scenario: Scenario, step: int) -> bool:
    try:
        async with asyncio.timeout(None) as limit:
            await watched(scenario(), step, lambda _: limit.reschedule(0))
    except TimeoutError:
        return True
    return limit.expired()


async def task_cancel_from_beside(scenario: Scenario, step: int) -> bool:
    task = asyncio.create_task(scenario())
    for _ in range(step):
        if not task.done():
            await asyncio.sleep(0)
    reached = task.cancel()
    await until_over(task)
    return reached


CUTS: list[Cut] = [task_cancel, task_cancel_when_woken, task_cancel_from_beside, scope_cancel_when_woken, timeout]
cuts = pytest.mark.parametrize("cut", CUTS)
kinds = pytest.mark.parametrize("kind", ["async", "mixed"])


@cuts
@kinds
@pytest.mark.parametrize("life", WHOLE_LIVES, ids=lambda life: life.__name__)
async def test_a_whole_life_cut_at_every_point(cut: Cut, kind: str, life: Whole) -> None:
    assert await cut_everywhere(cut, kind, life) > 3


@cuts
@pytest.mark.parametrize("side", INPUTS, ids=lambda side: side.__name__)
async def test_an_input_cut_at_every_point_loses_nothing_it_accepted(cut: Cut, side: Whole) -> None:
    await cut_input_everywhere(cut, "mixed", side)


@cuts
@kinds
async def test_an_output_cut_at_every_point_loses_nothing(cut: Cut, kind: str) -> None:
    await cut_output_everywhere(cut, kind)


@kinds
async def test_wait_for_on_a_blocked_read_and_a_blocked_put(kind: str) -> None:
    ledger = Ledger()
    pipeline = build(kind, ledger)
    before = tasks()
    async with pipeline:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read(pipeline, ledger), 0.001)  # nothing is there: it must expire
        with pytest.raises(TimeoutError):
            while True:  # nobody reads: sooner or later it must wait for room
                each = len(ledger.fed)
                await asyncio.wait_for(pipeline.process_input_data(each), 0.02)
                ledger.fed.append(each)
        assert pipeline.statistics().accepted == len(ledger.fed)
        pipeline.close_input()
        await read(pipeline, ledger)
        assert ledger.got == expected(ledger.fed)
    await assert_over(pipeline, ledger, before)


async def test_a_cancelled_reader_in_the_tick_of_an_item_leaves_it_to_the_next() -> None:
    ledger = Ledger()
    pipeline = build("async", ledger)
    async with pipeline:
        reader = asyncio.ensure_future(anext(pipeline.generate_output_stream()))
        await pipeline.process_input_data(0)
        while not pipeline.statistics().output_depth:
            await asyncio.sleep(0)
            if pipeline.statistics().output_depth:
                reader.cancel()
        await asyncio.wait([reader])
        assert reader.cancelled()
        pipeline.close_input()
        await read(pipeline, ledger)
    assert ledger.got == expected([0])


async def test_a_put_cancelled_in_the_tick_in_which_it_is_let_in_lets_in_the_next(monkeypatch) -> None:
    gate, puts = Gate("held"), []

    class Told:
        """What a put waits for; the first is cancelled when it has been told that there is room."""

        def __init__(self) -> None:
            self.event = anyio.Event()

        def set(self) -> None:
            self.event.set()
            puts[0].cancel()

        async def wait(self) -> None:
            await self.event.wait()

    monkeypatch.setattr(_input, "Event", Told)
    pipeline = AsyncTaskPipeline(max_queue_size=2).add_stage("gate", gate)
    async with pipeline:
        pipeline.put_input_data("held")
        await gate.entered()
        with pytest.raises(anyio.WouldBlock):
            while True:
                pipeline.put_input_data("in the way")
        for each in ("cancelled", "next"):
            puts.append(asyncio.create_task(pipeline.process_input_data(each)))
            await until_waiting(pipeline, len(puts))
        pipeline.stages[0].clear_input_queue()
        await asyncio.wait(puts, timeout=PATIENCE)
        assert puts[0].cancelled()
        assert puts[1].done()
        gate.open()
        rest = await rest_of(pipeline)
    assert [each for each in rest if each != "in the way"] == ["held", "next"]


@pytest.mark.parametrize("kind", ["async", "thread", "mixed"])
def test_a_pipeline_left_running_when_its_loop_ends_is_over_and_starts_on_another(
    anyio_backend: Any, kind: str
) -> None:
    ledger = Ledger()
    pipeline = build(kind, ledger)

    async def forget() -> None:
        await pipeline.start()

    async def use() -> None:
        assert pipeline.statistics().failed == 0
        # The loop did not wait for the threads when it ended: they have been told to leave.
        with fail_after(30):
            while threads_at_work():
                await checkpoint()
        await assert_over(pipeline, ledger, tasks())

    name, options = anyio_backend
    for main in (forget, use):
        anyio.run(main, backend=name, backend_options=options)
