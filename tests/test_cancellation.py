"""Cancelled at every await, a pipeline loses nothing, doubles nothing and leaves nothing.

The rule: one list of scenarios, each cut at every point (see ``cancelling``), and after
each cut the same questions: is every item accounted for, is what came out a prefix of
what had to come out, is a task, a thread or a generator left, does it run again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest
from anyio import CancelScope, create_memory_object_stream, create_task_group
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline
from tests.cancelling import (
    Cut,
    Ledger,
    assert_law,
    assert_over,
    build,
    cut_from_beside,
    cut_when_waiting,
    expected,
    growing,
    tasks,
    waits_for_room,
)

pytestmark = pytest.mark.anyio

N = 5
SOURCE = list(range(N))
Pipeline = AsyncTaskPipeline[Any, Any]
Whole = Callable[[Pipeline, Ledger], Coroutine[Any, Any, None]]

cuts = pytest.mark.parametrize("cut", [cut_when_waiting, cut_from_beside])
kinds = pytest.mark.parametrize("kind", ["async", "thread", "mixed"])


# -- whole lives --------------------------------------------------------------------------


async def feed(pipeline: Pipeline, ledger: Ledger) -> None:
    for each in SOURCE:
        await pipeline.process_input_data(each)
        ledger.fed.append(each)
    pipeline.close_input()


async def read(pipeline: Pipeline, ledger: Ledger) -> None:
    async for result in pipeline.generate_output_stream():
        ledger.got.append(result)


async def scope(pipeline: Pipeline, ledger: Ledger) -> None:
    async with pipeline, create_task_group() as tg:
        tg.start_soon(feed, pipeline, ledger)
        await read(pipeline, ledger)


async def scope_fed_in_the_block(pipeline: Pipeline, ledger: Ledger) -> None:
    async with create_task_group() as tg, pipeline:
        tg.start_soon(read, pipeline, ledger)
        await feed(pipeline, ledger)
        await checkpoint()


async def child(pipeline: Pipeline, ledger: Ledger) -> None:
    async with create_task_group() as tg:
        await tg.start(pipeline.run)
        tg.start_soon(feed, pipeline, ledger)
        await read(pipeline, ledger)


async def started(pipeline: Pipeline, ledger: Ledger) -> None:
    await pipeline.start()
    async with create_task_group() as tg:
        tg.start_soon(feed, pipeline, ledger)
        await read(pipeline, ledger)
    await pipeline.stop()


async def started_and_stopped_full(pipeline: Pipeline, ledger: Ledger) -> None:
    await pipeline.start()
    async with create_task_group() as tg:
        tg.start_soon(pipeline.process_input_stream, iter(SOURCE))
        ledger.got.append(await anext(pipeline.generate_output_stream()))
        tg.cancel_scope.cancel()
    await pipeline.stop()
    await pipeline.stop()


async def job_from_a_list(pipeline: Pipeline, ledger: Ledger) -> None:
    async with pipeline.process(SOURCE) as results:
        async for result in results:
            ledger.got.append(result)


def blocking(ledger: Ledger) -> Iterator[int]:
    with ledger:
        yield from SOURCE


async def waiting(ledger: Ledger) -> AsyncIterator[int]:
    with ledger:
        for each in SOURCE:
            await checkpoint()
            yield each


async def job_from_a_generator(pipeline: Pipeline, ledger: Ledger) -> None:
    async with pipeline.process(blocking(ledger)) as results:
        async for result in results:
            ledger.got.append(result)


async def job_from_an_async_generator(pipeline: Pipeline, ledger: Ledger) -> None:
    async with pipeline.process(waiting(ledger)) as results:
        async for result in results:
            ledger.got.append(result)


async def job_left_early(pipeline: Pipeline, ledger: Ledger) -> None:
    async with pipeline.process(waiting(ledger)) as results:
        async for result in results:
            ledger.got.append(result)
            if len(ledger.got) == 3:
                break


WHOLE_LIVES: list[Whole] = [
    scope,
    scope_fed_in_the_block,
    child,
    started,
    started_and_stopped_full,
    job_from_a_list,
    job_from_a_generator,
    job_from_an_async_generator,
    job_left_early,
]


async def cut_everywhere(cut: Cut, kind: str, life: Whole, *, timing: bool = False) -> int:
    """Cut a life at every point; return how many points there were."""
    step = points = 0
    reached = True
    while reached:
        step, points = growing(step), points + 1
        ledger = Ledger()
        pipeline = build(kind, ledger, timing=timing)
        before = tasks()

        reached = await cut(lambda p=pipeline, book=ledger: life(p, book), step)

        await pipeline.stop()  # begun with start(), it is not in the scope that was cut
        now = pipeline.statistics()
        assert ledger.got == expected(SOURCE)[: len(ledger.got)]
        assert now.delivered == len(ledger.got)
        assert now.accepted <= N
        if ledger.fed:
            assert now.accepted == len(ledger.fed)
        await assert_over(pipeline, ledger, before)
    return points


@cuts
@kinds
@pytest.mark.parametrize("life", WHOLE_LIVES, ids=lambda life: life.__name__)
async def test_a_whole_life_cut_at_every_point(cut: Cut, kind: str, life: Whole) -> None:
    assert await cut_everywhere(cut, kind, life) > 3


@cuts
async def test_timed_items_cut_at_every_point(cut: Cut) -> None:
    assert await cut_everywhere(cut, "mixed", scope, timing=True) > 3


async def test_a_start_in_a_cancelled_scope_leaves_a_pipeline_that_stops() -> None:
    ledger = Ledger()
    pipeline = build("thread", ledger)
    before = tasks()
    with CancelScope() as scope:
        scope.cancel()
        await pipeline.start()
    assert scope.cancelled_caught
    await pipeline.stop()
    await assert_over(pipeline, ledger, before)


# -- one side of a running pipeline -------------------------------------------------------


async def put_all(pipeline: Pipeline, ledger: Ledger) -> None:
    for each in SOURCE:
        await pipeline.process_input_data(each)
        ledger.fed.append(each)
        await pipeline.process_input_sentinel(f"after {each}")
        ledger.fed.append(f"after {each}")


async def stream_list(pipeline: Pipeline, ledger: Ledger) -> None:
    await pipeline.process_input_stream(SOURCE, close_input=False)


async def stream_generator(pipeline: Pipeline, ledger: Ledger) -> None:
    await pipeline.process_input_stream(blocking(ledger), close_input=False)


async def stream_async_generator(pipeline: Pipeline, ledger: Ledger) -> None:
    await pipeline.process_input_stream(waiting(ledger), close_input=False)


async def stream_channel(pipeline: Pipeline, ledger: Ledger) -> None:
    send, receive = create_memory_object_stream[int](N)
    with send:
        for each in SOURCE:
            send.send_nowait(each)
    with receive:
        await pipeline.process_input_stream(receive, close_input=False)


INPUTS: list[Whole] = [put_all, stream_list, stream_generator, stream_async_generator, stream_channel]


@cuts
@kinds
@pytest.mark.parametrize("side", INPUTS, ids=lambda side: side.__name__)
async def test_an_input_cut_at_every_point_loses_nothing_it_accepted(cut: Cut, kind: str, side: Whole) -> None:
    step, reached = 0, True
    while reached:
        step = growing(step)
        ledger = Ledger()
        pipeline = build(kind, ledger)
        before = tasks()
        async with pipeline, create_task_group() as tg:
            tg.start_soon(read, pipeline, ledger)
            reached = await cut(lambda p=pipeline, book=ledger: side(p, book), step)
            pipeline.close_input()
        now = pipeline.statistics()
        fed = ledger.fed or SOURCE[: now.accepted]
        assert now.accepted == sum(isinstance(each, int) for each in fed)
        assert now.dropped == 0
        assert ledger.got == expected(fed)
        if not reached:
            assert now.accepted == N
        await assert_over(pipeline, ledger, before)


@cuts
@kinds
async def test_an_output_cut_at_every_point_loses_nothing(cut: Cut, kind: str) -> None:
    step, reached = 0, True
    while reached:
        step = growing(step)
        ledger = Ledger()
        pipeline = build(kind, ledger)
        before = tasks()
        async with pipeline, create_task_group() as tg:
            tg.start_soon(feed, pipeline, ledger)
            reached = await cut(lambda p=pipeline, book=ledger: read(p, book), step)
            assert_law(pipeline)
            await read(pipeline, ledger)
        assert ledger.got == expected(SOURCE)
        assert pipeline.statistics().dropped == 0
        await assert_over(pipeline, ledger, before)


@kinds
async def test_a_blocked_put_and_a_blocked_read_are_cancelled_where_they_wait(kind: str) -> None:
    ledger = Ledger()
    pipeline = build(kind, ledger)
    before = tasks()
    async with pipeline:
        reached = await cut_when_waiting(lambda: read(pipeline, ledger), 1)
        assert reached
        assert ledger.got == []

        async with create_task_group() as tg:
            tg.start_soon(put_all, pipeline, ledger)
            while not waits_for_room(pipeline):  # nobody reads, so it must come to that
                await checkpoint()
            tg.cancel_scope.cancel()
        fed = list(ledger.fed)
        pipeline.close_input()
        await read(pipeline, ledger)
        assert ledger.got == expected(fed)
    await assert_over(pipeline, ledger, before)
