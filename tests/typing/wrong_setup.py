"""Batch stages and states that must be rejected, by mypy and by pyright, to be read and never run.

The rule: as in ``wrong_order.py``. Where mypy finds no type that suits both the function
and its ``setup``, it says ``misc`` too: "Cannot infer value of type parameter StateT".
"""
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager

from async_task_pipeline import Chain


class Text:
    pass


class Reply:
    pass


class Model:
    pass


class Voice:
    pass


class Matrix:
    """Like a numpy array: can be sorted in place, but not appended to."""

    def __iter__(self) -> Iterator[Reply]: ...
    def sort(self) -> None: ...


def load() -> Model: ...
async def load_async() -> Model: ...
def load_from(path: str) -> Model: ...


@contextmanager
def opened() -> Generator[Model, None, None]:
    yield Model()


@asynccontextmanager
async def opened_async() -> AsyncGenerator[Model, None]:
    yield Model()


def not_decorated() -> Generator[Model, None, None]:
    yield Model()


def answer(model: Model, text: Text) -> Reply: ...
async def answer_async(model: Model, text: Text) -> Reply | None: ...


def answers(model: Model, text: Text) -> Iterator[Reply]:
    yield Reply()


def speak(voice: Voice, text: Text) -> Reply: ...
async def speak_async(voice: Voice, text: Text) -> Reply: ...
def swapped(text: Text, model: Model) -> Reply: ...
def stateless(text: Text) -> Reply: ...
def one_too_many(model: Model, voice: Voice, text: Text) -> Reply: ...
def nothing_at_all() -> Reply: ...
def after(model: Model, reply: Reply) -> Text: ...


def batch(texts: list[Text]) -> list[Reply]: ...
async def maybe_batch(texts: list[Text]) -> list[Reply | None]: ...
def batch_with(model: Model, texts: list[Text]) -> list[Reply]: ...
async def batch_with_async(model: Model, texts: list[Text]) -> list[Reply]: ...
def batch_speak(voice: Voice, texts: list[Text]) -> list[Reply]: ...
def batch_after(replies: list[Reply]) -> list[Text]: ...
def to_one(texts: list[Text]) -> Reply: ...
def to_tuple(texts: list[Text]) -> tuple[Reply, ...]: ...
def to_deque(texts: list[Text]) -> deque[Reply]: ...
def to_array(texts: list[Text]) -> array[int]: ...
def to_matrix(texts: list[Text]) -> Matrix: ...
def to_bytes(texts: list[Text]) -> bytearray: ...
def to_str(texts: list[Text]) -> str: ...
def to_dict(texts: list[Text]) -> dict[Text, Reply]: ...
def to_none(texts: list[Text]) -> None: ...
def to_maybe_list(texts: list[Text]) -> list[Reply] | None: ...


def to_generator(texts: list[Text]) -> Iterator[Reply]:
    yield Reply()


async def to_async_generator(texts: list[Text]) -> AsyncGenerator[Reply, None]:
    yield Reply()


start = Chain[Text]()
replies = start.then("answer", answer, setup=load)

# What is right.
start.then("answer", answer, setup=opened).then("after", after, setup=load).then_batch(
    "b", batch, max_size=2, max_wait=0
)
start.then_batch("b", maybe_batch, max_size=2, max_wait=0).then_batch("c", batch_after, max_size=2, max_wait=0)

# Not the state that the function takes.
start.then("s", speak, setup=load)  # type: ignore[arg-type, misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("s", speak, setup=Model)  # type: ignore[arg-type, misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("s", speak, setup=opened)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("s", speak_async, setup=load)  # type: ignore[arg-type, misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("s", speak_async, setup=load_async)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("s", speak_async, setup=opened_async)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("s", answer, setup=not_decorated)  # type: ignore[arg-type, misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("s", answers, setup=Voice)  # type: ignore[arg-type, misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("s", swapped, setup=load)  # type: ignore[arg-type, misc]  # pyright: ignore[reportArgumentType, reportCallIssue]

# No argument for the state, one too many, or a state that nothing makes.
start.then("s", stateless, setup=load)  # type: ignore[arg-type, misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("s", stateless, setup=opened)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("s", nothing_at_all, setup=load)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("s", one_too_many, setup=load)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("s", answer)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("s", answer_async)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("s", answers, setup=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]

# No setup.
start.then("s", answer, setup=Model())  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("s", answer, setup=load_from)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("s", answer, setup=load())  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]

# The order of stages, and the other options, with a state as without.
replies.then("s", answer, setup=load)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
replies.then("s", answer_async, setup=opened_async)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("s", after, setup=load)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("s", answer_async, setup=load).then("t", stateless)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("s", answers, setup=load).then("t", answers, setup=load)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("s", answer, setup=load, workers="2")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("s", answer, setup=load, executor="proces")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("s", answer, setup=load, set_up=load)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
start.then("s", stateless, max_size=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]

# Batches: the order of stages.
replies.then_batch("s", batch, max_size=2, max_wait=0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then_batch("s", batch, max_size=2, max_wait=0).then_batch("t", batch, max_size=2, max_wait=0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then_batch("s", maybe_batch, max_size=2, max_wait=0).then("t", stateless)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then_batch("s", stateless, max_size=2, max_wait=0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("s", batch)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]

# What is no list.
start.then_batch("s", to_one, max_size=2, max_wait=0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then_batch("s", to_tuple, max_size=2, max_wait=0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then_batch("s", to_deque, max_size=2, max_wait=0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then_batch("s", to_array, max_size=2, max_wait=0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then_batch("s", to_matrix, max_size=2, max_wait=0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then_batch("s", to_bytes, max_size=2, max_wait=0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then_batch("s", to_str, max_size=2, max_wait=0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then_batch("s", to_dict, max_size=2, max_wait=0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then_batch("s", to_none, max_size=2, max_wait=0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then_batch("s", to_maybe_list, max_size=2, max_wait=0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then_batch("s", to_generator, max_size=2, max_wait=0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then_batch("s", to_async_generator, max_size=2, max_wait=0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]

# Its options.
start.then_batch("s", batch, max_size=2)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
start.then_batch("s", batch, max_wait=2)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
start.then_batch("s", batch, max_size=2.5, max_wait=0)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then_batch("s", batch, max_size=2, max_wait=None)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then_batch("s", batch, max_size=2, max_wait=0, on_eror="drop")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]

# Its state.
start.then_batch("s", batch_with, max_size=2, max_wait=0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then_batch("s", batch, max_size=2, max_wait=0, setup=load)  # type: ignore[arg-type, misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then_batch("s", batch_speak, max_size=2, max_wait=0, setup=load)  # type: ignore[arg-type, misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then_batch("s", batch_speak, max_size=2, max_wait=0, setup=opened)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then_batch("s", batch_with_async, max_size=2, max_wait=0, setup=Voice)  # type: ignore[arg-type, misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
replies.then_batch("s", batch_with, max_size=2, max_wait=0, setup=load)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
