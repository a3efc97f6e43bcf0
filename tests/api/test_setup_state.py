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
    worker_state = WorkerState(pair, None)
    assert worker_state.entered
    worker_state.enter()
    assert worker_state.function is pair
    worker_state.leave()


@pytest.mark.parametrize("state", [None, 0, object()])
def test_what_is_returned_is_the_first_argument(state: Any) -> None:
    worker_state = WorkerState(pair, lambda: state)
    assert not worker_state.entered
    worker_state.enter()
    assert worker_state.entered
    assert worker_state.function("data") == (state, "data")
    worker_state.leave()


def test_a_context_manager_is_entered_once_and_left_once() -> None:
    log: list[str] = []

    @contextmanager
    def setup() -> Iterator[str]:
        log.append("entered")
        yield "inner"
        log.append("left")

    worker_state = WorkerState(pair, setup)
    worker_state.leave()  # before there is anything
    worker_state.enter()
    worker_state.enter()
    assert worker_state.function("data") == ("inner", "data")
    assert log == ["entered"]
    worker_state.leave()
    worker_state.leave()
    assert log == ["entered", "left"]


def test_an_object_with_the_methods_on_itself_is_no_context_manager() -> None:
    class State:
        def __init__(self) -> None:
            self.__enter__ = self.__exit__ = lambda *_: pytest.fail("a with statement would not call this")

    worker_state = WorkerState(pair, State)
    worker_state.enter()
    assert isinstance(worker_state.function("data")[0], State)
    worker_state.leave()


def test_what_setup_raises_is_raised_and_nothing_is_left() -> None:
    def setup() -> None:
        raise FileNotFoundError("model")

    worker_state = WorkerState(pair, setup)
    with pytest.raises(FileNotFoundError, match="model"):
        worker_state.enter()
    assert not worker_state.entered
    worker_state.leave()


def test_what_leaving_raises_is_raised_once() -> None:
    @contextmanager
    def setup() -> Iterator[None]:
        yield
        raise OSError("flush")

    worker_state = WorkerState(pair, setup)
    worker_state.enter()
    with pytest.raises(OSError, match="flush"):
        worker_state.leave()
    worker_state.leave()
