"""A worker's state: what setup returns, or what its context manager yields."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from async_task_pipeline._workers._setup import WorkerState


def pair(*arguments: Any) -> tuple[Any, ...]:
    return arguments


def test_without_a_setup_the_function_is_itself() -> None:
    preparation = WorkerState(pair, None)
    assert preparation.entered
    preparation.enter()
    assert preparation.function is pair
    preparation.leave()


@pytest.mark.parametrize("state", [None, 0, "state", [], object()])
def test_what_is_returned_is_the_first_argument(state: Any) -> None:
    preparation = WorkerState(pair, lambda: state)
    assert not preparation.entered
    preparation.enter()
    assert preparation.entered
    assert preparation.function("data") == (state, "data")
    preparation.leave()


def test_a_context_manager_is_entered_once_and_left_once() -> None:
    log: list[str] = []

    @contextmanager
    def setup() -> Iterator[str]:
        log.append("entered")
        yield "inner"
        log.append("left")

    preparation = WorkerState(pair, setup)
    preparation.leave()  # before there is anything
    preparation.enter()
    preparation.enter()
    assert preparation.function("data") == ("inner", "data")
    assert log == ["entered"]
    preparation.leave()
    preparation.leave()
    assert log == ["entered", "left"]


def test_an_object_with_the_methods_on_itself_is_no_context_manager() -> None:
    class State:
        def __init__(self) -> None:
            self.__enter__ = self.__exit__ = lambda *_: pytest.fail("a with statement would not call this")

    preparation = WorkerState(pair, State)
    preparation.enter()
    assert isinstance(preparation.function("data")[0], State)
    preparation.leave()


def test_what_setup_raises_is_raised_and_nothing_is_left() -> None:
    def setup() -> None:
        raise FileNotFoundError("model")

    preparation = WorkerState(pair, setup)
    with pytest.raises(FileNotFoundError, match="model"):
        preparation.enter()
    assert not preparation.entered
    preparation.leave()


def test_what_leaving_raises_is_raised_once() -> None:
    @contextmanager
    def setup() -> Iterator[None]:
        yield
        raise OSError("flush")

    preparation = WorkerState(pair, setup)
    preparation.enter()
    with pytest.raises(OSError, match="flush"):
        preparation.leave()
    preparation.leave()
