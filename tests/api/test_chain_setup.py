"""Chains with batch stages, and with stages that have a state, at run time.

The rule: as in ``test_chain.py``, a chain remembers what kind of stage it was told, and
every option of it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio.lowlevel
import pytest

from async_task_pipeline import AsyncTaskPipeline, Chain
from async_task_pipeline._stage import BatchSize
from tests.support.waiting import drain

pytestmark = pytest.mark.anyio


LINES = ["a b", "", "c", "d e f"]


def lengths(parts: list[str]) -> list[int | None]:
    return [len(part) or None for part in parts]


async def doubles(numbers: list[int]) -> list[int]:
    await anyio.lowlevel.checkpoint()
    return [2 * number for number in numbers]


async def test_batch_stages_do_what_those_of_add_batch_stage_do() -> None:
    sizes: list[int] = []

    def counted(numbers: list[int]) -> list[int]:
        sizes.append(len(numbers))
        return numbers

    it, built = Chain[Any](), AsyncTaskPipeline[str, None, int]()
    for name, function, size, wait in [
        ("lengths", lengths, 2, 0),
        ("doubles", doubles, 2, 0),
        ("counted", counted, 3, 60),
    ]:
        it = it.then_batch(name, function, max_size=size, max_wait=wait)
        built.add_batch_stage(name, function, max_size=size, max_wait=wait)
    for pipeline in (it.pipeline(), built):
        sizes.clear()
        assert await drain(pipeline, LINES) == [6, 2, 10]
        assert sizes == [3]


class Counter:
    """A state that knows how many calls it was used for, and whether it was left."""

    def __init__(self) -> None:
        self.calls = 0
        self.left = False

    def count(self, item: str) -> tuple[int, str]:
        self.calls += 1
        return self.calls, item

    async def count_async(self, item: tuple[int, str]) -> tuple[int, int, str]:
        self.calls += 1
        return self.calls, *item

    def count_batch(self, items: list[tuple[int, int, str]]) -> list[tuple[int, int, str] | None]:
        self.calls += 1
        return [None if item[-1] == "c" else item for item in items]


async def test_a_stage_is_given_its_state() -> None:
    made: list[Counter] = []

    @contextmanager
    def entered() -> Generator[Counter, None, None]:
        counter = Counter()
        made.append(counter)
        yield counter
        counter.left = True

    @asynccontextmanager
    async def entered_async() -> AsyncGenerator[Counter, None]:
        with entered() as counter:
            yield counter

    it = (
        Chain[str]()
        .then("plain", Counter.count, setup=Counter)
        .then("async", Counter.count_async, setup=entered_async)
        .then_batch("batch", Counter.count_batch, max_size=2, max_wait=0, setup=entered)
    )
    for runs in (1, 2):
        assert await drain(it.pipeline(), ["a", "b", "c"]) == [(1, 1, "a"), (2, 2, "b")]
        assert len(made) == 2 * runs
        assert all(counter.calls and counter.left for counter in made)


def test_options_of_every_kind_of_stage_reach_it() -> None:
    given: dict[str, Any] = {
        "on_error": "drop",
        "interruptible": False,
        "workers": 3,
        "ordered": False,
        "executor": "process",
        "setup": Counter,
        "timeout": 4.0,
        "max_failures": 0.5,
        "failure_window": 7,
    }
    it = Chain[Any]().then("one", Counter.count, **given)
    one, many = it.then_batch("many", Counter.count_batch, max_size=5, max_wait=0.5, **given).pipeline().stages
    for stage in (one, many):
        assert {name: getattr(stage, name) for name in given} == given
    assert one.batch is None
    assert many.batch == BatchSize(5, 0.5)
