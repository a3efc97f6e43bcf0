"""Cancelling a scenario at one chosen point, and looking at what is left of it.

The rule: a scenario is a coroutine function; one run of it is cancelled once, at its
n-th suspension (or after n turns of the loop beside it), and n grows until a run gets
through untouched. So every await of the scenario is cancelled once, without a clock.
"""

from __future__ import annotations

import types
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from functools import partial
from typing import Any

import attrs
from anyio import CancelScope, create_memory_object_stream, create_task_group
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline
from tests.support.law import assert_law
from tests.support.leftovers import tasks, threads_at_work

Cut = Callable[[Callable[[], Coroutine[Any, Any, None]], int], Awaitable[bool]]
"""Runs a scenario, cancels it at point n; returns whether point n was reached."""


# -- cancelling ---------------------------------------------------------------------------


@types.coroutine
def watched(coroutine: Coroutine[Any, Any, None], step: int, act: Callable[[Any], object]) -> Any:
    """Run a coroutine; at its ``step``-th suspension call ``act`` with what it waits for."""
    answer: Any = None
    error: BaseException | None = None
    while True:
        try:
            wish = coroutine.send(answer) if error is None else coroutine.throw(error)
        except StopIteration as stop:
            return stop.value
        step -= 1
        if step == 0:
            act(wish)
        try:
            answer, error = (yield wish), None
        except BaseException as exc:
            error = exc


async def cut_when_waiting(scenario: Callable[[], Coroutine[Any, Any, None]], step: int) -> bool:
    """Cancel the scenario's scope when it suspends for the n-th time."""
    with CancelScope() as scope:
        await watched(scenario(), step, lambda _: scope.cancel())
    return scope.cancel_called


async def cut_from_beside(scenario: Callable[[], Coroutine[Any, Any, None]], step: int) -> bool:
    """Cancel the scenario's scope from another task, after n turns of the loop."""

    async def count() -> None:
        for _ in range(step):
            await checkpoint()
        scope.cancel()

    async with create_task_group() as tg:
        with CancelScope() as scope:
            tg.start_soon(count)
            await scenario()
        tg.cancel_scope.cancel()
    return scope.cancel_called


def growing(step: int) -> int:
    """The next n: each of the first, then ever fewer, as a thread may take many turns."""
    return step + max(1, step // 8)


# -- what is run --------------------------------------------------------------------------


@attrs.define
class Ledger:
    """What a scenario put in and got out, and the generators it opened."""

    fed: list[Any] = attrs.field(factory=list)
    got: list[Any] = attrs.field(factory=list)
    open: int = 0
    opened: int = 0

    def __enter__(self) -> None:
        self.open += 1
        self.opened += 1

    def __exit__(self, *_: object) -> None:
        self.open -= 1


def expected(fed: Iterable[Any]) -> list[Any]:
    """What the stages of ``build`` make of these items and sentinels."""
    results: list[Any] = []
    for each in fed:
        if isinstance(each, str):
            results.append(each)
        else:
            results += [value for value in (each + 1, -each - 1) if value % 3]
    return results


def build(kind: str, ledger: Ledger, *, size: int = 1, timing: bool = False) -> AsyncTaskPipeline[Any, Any]:
    """A pipeline that maps, fans out and filters: ``kind`` says where its stages run."""

    def add(value: int) -> int:
        return value + 1

    def fan(value: int) -> Iterator[int]:
        with ledger:
            yield value
            yield -value

    def thin(value: int) -> int | None:
        return value if value % 3 else None

    async def add_async(value: int) -> int:
        await checkpoint()
        return add(value)

    async def fan_async(value: int) -> AsyncIterator[int]:
        with ledger:
            yield value
            await checkpoint()
            yield -value

    async def thin_async(value: int) -> int | None:
        return thin(value)

    stages: dict[str, tuple[Callable[..., Any], ...]] = {
        "thread": (add, fan, thin),
        "async": (add_async, fan_async, thin_async),
        "mixed": (add_async, fan, thin_async),
    }
    pipeline = AsyncTaskPipeline[Any, Any](size, timing)
    for name, function in zip(("add", "fan", "thin"), stages[kind], strict=True):
        pipeline.add_stage(name, function)
    return pipeline


# -- what is left -------------------------------------------------------------------------


async def assert_over(pipeline: AsyncTaskPipeline[Any, Any], ledger: Ledger, before: set[int]) -> None:
    """Nothing is left of the run, everything is accounted for, and it runs again."""
    assert not pipeline.running
    assert_law(pipeline)
    now = pipeline.statistics()
    assert now.inside == now.output_depth == 0, now
    assert ledger.open == 0
    assert tasks() == before
    left = threads_at_work()
    assert not left, "\n".join(left)

    pipeline.clear()
    async with pipeline.process([0, 1, 2]) as results:
        assert [each async for each in results] == expected([0, 1, 2])
    now = pipeline.statistics()
    assert (now.accepted, now.delivered, now.dropped) == (3, len(expected([0, 1, 2])), 0)
    assert_law(pipeline)
    assert tasks() == before


# -- scenarios: whole lives ---------------------------------------------------------------


N = 5
SOURCE = list(range(N))
Pipeline = AsyncTaskPipeline[Any, Any]
Whole = Callable[[Pipeline, Ledger], Coroutine[Any, Any, None]]


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


async def pausing(ledger: Ledger) -> AsyncIterator[int]:
    with ledger:
        for each in SOURCE:
            await checkpoint()
            yield each


async def job_from_a_generator(pipeline: Pipeline, ledger: Ledger) -> None:
    async with pipeline.process(blocking(ledger)) as results:
        async for result in results:
            ledger.got.append(result)


async def job_from_an_async_generator(pipeline: Pipeline, ledger: Ledger) -> None:
    async with pipeline.process(pausing(ledger)) as results:
        async for result in results:
            ledger.got.append(result)


async def job_left_early(pipeline: Pipeline, ledger: Ledger) -> None:
    async with pipeline.process(pausing(ledger)) as results:
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

        reached = await cut(partial(life, pipeline, ledger), step)

        await pipeline.stop()  # begun with start(), it is not in the scope that was cut
        pipeline.clear_output_queue()  # which a stop keeps
        now = pipeline.statistics()
        assert ledger.got == expected(SOURCE)[: len(ledger.got)]
        assert now.delivered == len(ledger.got)
        assert now.accepted <= N
        if ledger.fed:
            assert now.accepted == len(ledger.fed)
        await assert_over(pipeline, ledger, before)
    return points


# -- scenarios: one side of a pipeline that runs ------------------------------------------


async def put_all(pipeline: Pipeline, ledger: Ledger) -> None:
    for each in SOURCE:
        await pipeline.process_input_data(each)
        ledger.fed.append(each)
        await pipeline.process_input_sentinel(f"after {each}")
        ledger.fed.append(f"after {each}")


async def stream_list(pipeline: Pipeline, ledger: Ledger) -> None:
    await pipeline.process_input_stream(SOURCE)


async def stream_generator(pipeline: Pipeline, ledger: Ledger) -> None:
    await pipeline.process_input_stream(blocking(ledger))


async def stream_async_generator(pipeline: Pipeline, ledger: Ledger) -> None:
    await pipeline.process_input_stream(pausing(ledger))


async def stream_channel(pipeline: Pipeline, ledger: Ledger) -> None:
    send, receive = create_memory_object_stream[int](N)
    with send:
        for each in SOURCE:
            send.send_nowait(each)
    with receive:
        await pipeline.process_input_stream(receive)


INPUTS: list[Whole] = [put_all, stream_list, stream_generator, stream_async_generator, stream_channel]


async def cut_input_everywhere(cut: Cut, kind: str, side: Whole) -> None:
    """Cut who feeds at every point, beside a reader: what was accepted is delivered."""
    step, reached = 0, True
    while reached:
        step = growing(step)
        ledger = Ledger()
        pipeline = build(kind, ledger)
        before = tasks()
        async with pipeline, create_task_group() as tg:
            tg.start_soon(read, pipeline, ledger)
            reached = await cut(partial(side, pipeline, ledger), step)
            pipeline.close_input()
        now = pipeline.statistics()
        fed = ledger.fed or SOURCE[: now.accepted]
        assert now.accepted == sum(isinstance(each, int) for each in fed)
        assert now.dropped == 0
        assert ledger.got == expected(fed)
        await assert_over(pipeline, ledger, before)


async def cut_output_everywhere(cut: Cut, kind: str) -> None:
    """Cut the reader at every point, beside who feeds: the next reader gets the rest."""
    step, reached = 0, True
    while reached:
        step = growing(step)
        ledger = Ledger()
        pipeline = build(kind, ledger)
        before = tasks()
        async with pipeline, create_task_group() as tg:
            tg.start_soon(feed, pipeline, ledger)
            reached = await cut(partial(read, pipeline, ledger), step)
            assert_law(pipeline)
            await read(pipeline, ledger)
        assert ledger.got == expected(SOURCE)
        assert pipeline.statistics().dropped == 0
        await assert_over(pipeline, ledger, before)
