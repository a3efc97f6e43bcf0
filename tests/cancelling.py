"""Cancelling a scenario at one chosen point, and looking at what is left of it.

The rule: a scenario is a coroutine function; one run of it is cancelled once, at its
n-th suspension (or after n turns of the loop beside it), and n grows until a run gets
through untouched. So every await of the scenario is cancelled once, without a clock.
"""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any

import anyio
import attrs
from anyio import CancelScope, create_task_group
from anyio.lowlevel import checkpoint

import async_task_pipeline
from async_task_pipeline import AsyncTaskPipeline

PACKAGE = str(Path(async_task_pipeline.__file__).parent)

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


def waits_for_room(pipeline: AsyncTaskPipeline[Any, Any]) -> bool:
    """Whether a producer is blocked; nothing public tells, as it is not inside yet."""
    run = pipeline._AsyncTaskPipeline__run
    return run is not None and bool(run.entrance._line)


# -- what is left -------------------------------------------------------------------------


def assert_law(pipeline: AsyncTaskPipeline[Any, Any]) -> None:
    """Every item is accounted for, in each stage and in all."""
    now = pipeline.statistics()
    for flow in (now, *now.stages.values()):
        gone = flow.delivered + flow.filtered + flow.failed + flow.dropped
        assert flow.accepted + flow.fanned_out == gone + flow.inside, now
        assert min(attrs.astuple(flow, filter=lambda at, _: at.name != "stages")) >= 0, now


def threads_at_work() -> list[types.FrameType]:
    """Where other threads are inside the library."""
    at_work = []
    for ident, top in sys._current_frames().items():
        frame: types.FrameType | None = top
        while frame is not None and not frame.f_code.co_filename.startswith(PACKAGE):
            frame = frame.f_back
        if frame is not None and ident != threading.get_ident():
            at_work.append(frame)
    return at_work


def tasks() -> set[int]:
    """The tasks of the loop, system tasks included."""
    return {task.id for task in anyio.get_running_tasks()}


async def assert_over(pipeline: AsyncTaskPipeline[Any, Any], ledger: Ledger, before: set[int]) -> None:
    """Nothing is left of the run, everything is accounted for, and it runs again."""
    assert not pipeline.running
    assert_law(pipeline)
    now = pipeline.statistics()
    assert now.inside == now.output_depth == 0, now
    assert ledger.open == 0
    assert tasks() == before
    assert threads_at_work() == []

    pipeline.clear()
    async with pipeline.process([0, 1, 2]) as results:
        assert [each async for each in results] == expected([0, 1, 2])
    now = pipeline.statistics()
    assert (now.accepted, now.delivered, now.dropped) == (3, len(expected([0, 1, 2])), 0)
    assert_law(pipeline)
    assert tasks() == before
