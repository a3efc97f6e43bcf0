"""Chains whose stages fit: the types that a checker must infer, to be read and never run.

The rule: both checkers infer the same, whatever kind of function a stage is. Where one of
them needs help, it is shown here.
"""
# mypy: disable-error-code="empty-body"

from __future__ import annotations

import functools
import json
from asyncio import Future
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Iterator
from typing import Any, Never, TypeVar, assert_type

from async_task_pipeline import AsyncTaskPipeline, Chain, InterruptReceipt, OutputStream

X = TypeVar("X")


class Speech:
    def text(self) -> str:
        raise NotImplementedError


class Silence:
    pass


class Marker:
    pass


def plain(text: str) -> int: ...
def maybe(text: str) -> int | None: ...
def either(text: str) -> Speech | Silence: ...
def either_or_none(text: str) -> Speech | Silence | None: ...
def as_list(text: str) -> list[int]: ...
def as_list_or_none(text: str) -> list[int | None] | None: ...
def as_iterable(text: str) -> Iterable[int]: ...
def as_future(text: str) -> Future[int]: ...
def a_class(text: str) -> type[Speech]: ...
def a_function(text: str) -> Callable[[int], str]: ...
def nothing(text: str) -> None: ...
def anything(text: Any) -> Any: ...
def same(item: X) -> X: ...
def wide(text: object) -> int: ...
def with_default(text: str, times: int = 1) -> int: ...
def with_two(text: str, times: int) -> int: ...
def after_either(item: Speech | Silence) -> str: ...


def plain_generator(text: str) -> Generator[int, None, None]:
    yield 1


def sending_generator(text: str) -> Generator[int, str, bytes]:
    yield 1
    return b""


def maybe_generator(text: str) -> Generator[int | None, None, None]:
    yield None


def plain_iterator(text: str) -> Iterator[int]:
    yield 1


def either_iterator(text: str) -> Iterator[Speech | Silence]:
    yield Silence()


async def coroutine(text: str) -> int: ...
async def maybe_coroutine(text: str) -> int | None: ...
async def either_coroutine(text: str) -> Speech | Silence: ...
async def nothing_coroutine(text: str) -> None: ...
async def generator_by_coroutine(text: str) -> Generator[int, None, None]: ...


async def async_generator(text: str) -> AsyncGenerator[int, None]:
    yield 1


async def maybe_async_generator(text: str) -> AsyncGenerator[int | None, None]:
    yield None


async def async_iterator(text: str) -> AsyncIterator[int]:
    yield 1


class Model:
    def __call__(self, text: str) -> int: ...
    def method(self, text: str) -> int | None: ...
    async def async_method(self, text: str) -> int | None: ...
    @staticmethod
    def static(text: str) -> int: ...


class AsyncModel:
    async def __call__(self, text: str) -> int: ...


start = Chain[str]()
model = Model()


def what_a_plain_function_gives() -> None:
    assert_type(start, Chain[str, str])
    assert_type(start.then("s", plain), Chain[str, int])
    assert_type(start.then("s", maybe), Chain[str, int])
    assert_type(start.then("s", either), Chain[str, Speech | Silence])
    assert_type(start.then("s", with_default), Chain[str, int])
    assert_type(start.then("s", wide), Chain[str, int])
    assert_type(start.then("s", same), Chain[str, str])
    assert_type(start.then("s", anything), Chain[str, Any])
    assert_type(start.then("s", a_class), Chain[str, type[Speech]])
    assert_type(start.then("s", a_function), Chain[str, Callable[[int], str]])
    assert_type(start.then("s", nothing), Chain[str, Never])


def what_is_no_generator_is_one_item() -> None:
    assert_type(start.then("s", as_list), Chain[str, list[int]])
    assert_type(start.then("s", as_list_or_none), Chain[str, list[int | None]])
    assert_type(start.then("s", as_iterable), Chain[str, Iterable[int]])
    assert_type(start.then("s", as_future), Chain[str, Future[int]])
    assert_type(start.then("s", generator_by_coroutine), Chain[str, Generator[int, None, None]])


def what_a_generator_gives() -> None:
    assert_type(start.then("s", plain_generator), Chain[str, int])
    assert_type(start.then("s", sending_generator), Chain[str, int])
    assert_type(start.then("s", maybe_generator), Chain[str, int])
    assert_type(start.then("s", plain_iterator), Chain[str, int])
    assert_type(start.then("s", either_iterator), Chain[str, Speech | Silence])
    assert_type(start.then("s", async_generator), Chain[str, int])
    assert_type(start.then("s", maybe_async_generator), Chain[str, int])
    assert_type(start.then("s", async_iterator), Chain[str, int])


def what_a_coroutine_function_gives() -> None:
    assert_type(start.then("s", coroutine), Chain[str, int])
    assert_type(start.then("s", maybe_coroutine), Chain[str, int])
    assert_type(start.then("s", either_coroutine), Chain[str, Speech | Silence])
    assert_type(start.then("s", nothing_coroutine), Chain[str, Never])


def what_other_callables_give() -> None:
    assert_type(start.then("s", int), Chain[str, int])
    assert_type(start.then("s", len), Chain[str, int])
    assert_type(start.then("s", str.upper), Chain[str, str])
    assert_type(start.then("s", json.loads), Chain[str, Any])
    assert_type(start.then("s", model), Chain[str, int])
    assert_type(start.then("s", model.method), Chain[str, int])
    assert_type(start.then("s", model.async_method), Chain[str, int])
    assert_type(start.then("s", Model.static), Chain[str, int])
    assert_type(start.then("s", AsyncModel()), Chain[str, int])
    assert_type(start.then("s", functools.partial(with_two, times=2)), Chain[str, int])
    assert_type(start.then("s", lambda text: len(text) + 1), Chain[str, int])
    assert_type(start.then("s", lambda text: text or None), Chain[str, str])
    assert_type(Chain[list[str]]().then("s", sorted), Chain[list[str], list[str]])


def a_union_that_may_be_none() -> None:
    # mypy infers object from Speech | Silence | None, unless it knows what to look for.
    known: Chain[str, Speech | Silence] = start.then("s", either_or_none)
    assert_type(known.then("t", after_either), Chain[str, str])


def types_pass_through_a_chain() -> None:
    chain = start.then("either", either).then("after", after_either).then("count", coroutine).then("text", str)
    assert_type(chain, Chain[str, str])
    longer = chain.then("all", plain, on_error="drop", interruptible=True, on_interrupt=print, reentrant=False)
    assert_type(longer, Chain[str, int])
    assert_type(chain, Chain[str, str])


async def what_the_pipeline_gives() -> None:
    chain = start.then("count", plain)
    pipeline = chain.pipeline(
        max_queue_size=5, enable_timing=True, return_exceptions=False, timing_history=0, clock=lambda: 0.0
    )
    assert_type(pipeline, AsyncTaskPipeline[str, Never, int])
    async with pipeline.process(["a"]) as results:
        assert_type(results, OutputStream[int])
        async for result in results:
            assert_type(result, int)
    async with chain.pipeline() as running:
        assert_type(running, AsyncTaskPipeline[str, Never, int])
        await running.process_input_data("a")
        assert_type(await anext(running.generate_output_stream()), int)
        assert_type(await running.interrupt(), InterruptReceipt)


async def what_passes_through_is_annotated() -> None:
    pipeline: AsyncTaskPipeline[str, Marker | Exception, int] = start.then("count", plain).pipeline()
    await pipeline.process_input_sentinel(Marker())
    assert_type(await anext(pipeline.generate_output_stream()), int | Marker | Exception)


def build(chain: Chain[str, int]) -> AsyncTaskPipeline[str, Marker, str]:
    return chain.then("text", str).pipeline()
