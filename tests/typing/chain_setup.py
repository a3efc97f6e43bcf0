"""Batch stages and stages with a state that fit, to be read and never run.

The rule: both checkers infer the same, whatever makes the state and whatever kind of
function takes it. What one of them does not see is shown here, in the functions whose
names begin with ``limit``.
"""
# mypy: disable-error-code="empty-body"

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from tempfile import TemporaryDirectory
from typing import Any, Never, Self, TypeVar, assert_type

from async_task_pipeline import Chain

X = TypeVar("X")


class Speech:
    pass


class Silence:
    pass


class Model:
    def count(self, text: str) -> int | None: ...
    def counts(self, texts: list[str]) -> list[int | None]: ...


class Small(Model):
    pass


class Client:
    """A context manager that yields itself, in both forms."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc_info: object) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *exc_info: object) -> None: ...


def make() -> Model: ...
async def make_async() -> Model: ...
async def open_async() -> AbstractAsyncContextManager[Model]: ...
def make_from(path: str) -> Model: ...
def future() -> Awaitable[Model]: ...


@contextmanager
def entered() -> Generator[Model, None, None]:
    yield Model()


@asynccontextmanager
async def entered_async() -> AsyncGenerator[Model, None]:
    yield Model()


def plain(model: Model, text: str) -> int: ...
def maybe(model: Model, text: str) -> int | None: ...
def either(model: Model, text: str) -> Speech | Silence: ...
def nothing(model: Model, text: str) -> None: ...
def many(model: Model, text: str) -> list[int]: ...
def each(model: Model, text: str) -> Iterator[int | None]: ...
async def coroutine(model: Model, text: str) -> int: ...
async def maybe_coroutine(model: Model, text: str) -> int | None: ...


async def async_generator(model: Model, text: str) -> AsyncGenerator[int, None]:
    yield 1


def with_client(client: Client, text: str) -> int: ...
async def with_client_async(client: Client, text: str) -> int: ...
def in_directory(path: str, text: str) -> int: ...
def with_object(state: object, text: str) -> int: ...
def with_anything(state: Any, text: str) -> int: ...
def with_more(model: Model, text: str, times: int = 1) -> int: ...
def same_state(state: X, text: str) -> X: ...
def one(text: str) -> int: ...


def batch(texts: list[str]) -> list[int]: ...
def maybe_batch(texts: list[str]) -> list[int | None]: ...
def either_batch(texts: list[str]) -> list[Speech | Silence]: ...
def either_or_none_batch(texts: list[str]) -> list[Speech | Silence | None]: ...
def nothing_batch(texts: list[str]) -> list[None]: ...
def lists_batch(texts: list[str]) -> list[list[int]]: ...
def same_batch(items: list[X]) -> list[X]: ...
def anything_batch(texts: Any) -> Any: ...
def list_of_anything_batch(texts: list[Any]) -> list[Any]: ...
async def batch_coroutine(texts: list[str]) -> list[int]: ...
async def maybe_batch_coroutine(texts: list[str]) -> list[int | None]: ...
def batch_with(model: Model, texts: list[str]) -> list[int]: ...
def maybe_batch_with(model: Model, texts: list[str]) -> list[int | None]: ...
async def batch_coroutine_with(model: Model, texts: list[str]) -> list[int]: ...
def after_either(item: Speech | Silence) -> str: ...


start = Chain[str]()


def a_state_from_whatever_makes_it() -> None:
    assert_type(start.then("s", plain, setup=make), Chain[str, int])
    assert_type(start.then("s", plain, setup=Model), Chain[str, int])
    assert_type(start.then("s", plain, setup=Small), Chain[str, int])
    assert_type(start.then("s", plain, setup=lambda: make_from("path")), Chain[str, int])
    assert_type(start.then("s", plain, setup=functools.partial(make_from, "path")), Chain[str, int])
    assert_type(start.then("s", plain, setup=entered), Chain[str, int])
    assert_type(start.then("s", coroutine, setup=entered_async), Chain[str, int])
    assert_type(start.then("s", coroutine, setup=make_async), Chain[str, int])
    assert_type(start.then("s", coroutine, setup=open_async), Chain[str, int])
    assert_type(start.then("s", coroutine, setup=future), Chain[str, int])
    assert_type(start.then("s", with_client, setup=Client), Chain[str, int])
    assert_type(start.then("s", with_client_async, setup=Client), Chain[str, int])
    assert_type(start.then("s", in_directory, setup=TemporaryDirectory), Chain[str, int])
    assert_type(start.then("s", one, setup=None), Chain[str, int])


def a_state_for_whatever_takes_it() -> None:
    assert_type(start.then("s", maybe, setup=entered), Chain[str, int])
    assert_type(start.then("s", either, setup=entered), Chain[str, Speech | Silence])
    assert_type(start.then("s", nothing, setup=entered), Chain[str, Never])
    assert_type(start.then("s", many, setup=entered), Chain[str, list[int]])
    assert_type(start.then("s", each, setup=entered), Chain[str, int])
    assert_type(start.then("s", maybe_coroutine, setup=make), Chain[str, int])
    assert_type(start.then("s", async_generator, setup=entered_async), Chain[str, int])
    assert_type(start.then("s", with_object, setup=entered), Chain[str, int])
    assert_type(start.then("s", with_anything, setup=entered), Chain[str, int])
    assert_type(start.then("s", with_more, setup=make), Chain[str, int])
    assert_type(start.then("s", functools.partial(with_more, times=2), setup=make), Chain[str, int])
    assert_type(start.then("s", same_state, setup=make), Chain[str, Model])
    assert_type(start.then("s", Model.count, setup=entered), Chain[str, int])
    assert_type(start.then("s", lambda model, text: len(text), setup=make), Chain[str, int])


def what_a_batch_gives() -> None:
    assert_type(start.then_batch("s", batch, max_size=2, max_wait=0), Chain[str, int])
    assert_type(start.then_batch("s", batch, max_size=2, max_wait=0, per_item=False), Chain[str, int])
    assert_type(start.then_batch("s", maybe_batch, max_size=2, max_wait=0.1), Chain[str, int])
    assert_type(start.then_batch("s", either_batch, max_size=2, max_wait=0), Chain[str, Speech | Silence])
    assert_type(start.then_batch("s", nothing_batch, max_size=2, max_wait=0), Chain[str, Never])
    assert_type(start.then_batch("s", lists_batch, max_size=2, max_wait=0), Chain[str, list[int]])
    assert_type(start.then_batch("s", same_batch, max_size=2, max_wait=0), Chain[str, str])
    assert_type(start.then_batch("s", anything_batch, max_size=2, max_wait=0), Chain[str, Any])
    assert_type(start.then_batch("s", list_of_anything_batch, max_size=2, max_wait=0), Chain[str, Any])
    assert_type(start.then_batch("s", batch_coroutine, max_size=2, max_wait=0), Chain[str, int])
    assert_type(start.then_batch("s", maybe_batch_coroutine, max_size=2, max_wait=0), Chain[str, int])
    assert_type(
        start.then_batch("s", lambda texts: [len(each) for each in texts], max_size=2, max_wait=0), Chain[str, int]
    )
    known: Chain[str, Speech | Silence] = start.then_batch("s", either_or_none_batch, max_size=2, max_wait=0)
    assert_type(known.then("t", after_either), Chain[str, str])


def a_batch_with_a_state() -> None:
    assert_type(start.then_batch("s", batch_with, max_size=2, max_wait=0, setup=make), Chain[str, int])
    assert_type(start.then_batch("s", batch_with, max_size=2, max_wait=0, setup=entered), Chain[str, int])
    assert_type(start.then_batch("s", maybe_batch_with, max_size=2, max_wait=0, setup=entered), Chain[str, int])
    assert_type(start.then_batch("s", Model.counts, max_size=2, max_wait=0, setup=Model), Chain[str, int])
    assert_type(start.then_batch("s", batch_coroutine_with, max_size=2, max_wait=0, setup=make_async), Chain[str, int])
    assert_type(
        start.then_batch("s", batch_coroutine_with, max_size=2, max_wait=0, setup=entered_async), Chain[str, int]
    )
    assert_type(start.then_batch("s", batch, max_size=2, max_wait=0, setup=None), Chain[str, int])


def all_options_together() -> None:
    chain = start.then(
        "s",
        plain,
        setup=entered,
        on_error="drop",
        workers=2,
        ordered=False,
        executor="process",
        timeout=1,
        max_failures=0.1,
        failure_window=10,
    ).then_batch("t", same_batch, max_size=8, max_wait=0.01, workers=2, on_error="return")
    assert_type(chain, Chain[str, int])


# A type cannot say "no context manager", so these are accepted though the function gets a
# Model, and a str.
def limit_what_is_entered_may_be_the_state(
    takes_manager: Callable[[AbstractContextManager[Model], str], int],
    takes_directory: Callable[[TemporaryDirectory[str], str], int],
) -> None:
    start.then("s", takes_manager, setup=entered)
    start.then("s", takes_directory, setup=TemporaryDirectory[str])


# That a plain function needs a plain setup is found when then is called, by no checker.
def limit_an_async_setup_for_a_plain_function() -> None:
    start.then("s", plain, setup=make_async)


# mypy does not look into a lambda that uses a state; a function that is annotated helps.
def limit_a_lambda_that_uses_the_state() -> None:
    chain = start.then("s", lambda model, text: model.count(text), setup=make)
    assert_type(chain, Chain[str, int])  # type: ignore[assert-type]


# A function generic in its state, or a lambda, for what is entered: mypy finds no state.
def limit_a_generic_function_of_what_is_entered() -> None:
    chain = start.then("s", same_state, setup=entered)  # type: ignore[arg-type]
    assert_type(chain, Chain[str, Model])  # type: ignore[assert-type]
    start.then("s", lambda model, text: model.count(text), setup=entered)  # type: ignore[arg-type]
