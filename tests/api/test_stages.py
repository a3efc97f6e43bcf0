"""A stage's definition: every mistake is found at once, by argument and value."""

from __future__ import annotations

import functools
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from async_task_pipeline import AsyncTaskPipeline, PipelineStage

Pipeline = AsyncTaskPipeline[Any, Any]


def plain(value: int, extra: int = 0) -> int:
    return value


def generator(value: int) -> Iterator[int]:
    yield value


async def coroutine(value: int, extra: int = 0) -> int:
    return value


async def async_generator(value: int) -> AsyncIterator[int]:
    yield value


class Methods:
    def plain(self, value: int) -> int:
        return value

    async def coroutine(self, value: int) -> int:
        return value

    async def async_generator(self, value: int) -> AsyncIterator[int]:
        yield value

    @staticmethod
    async def static(value: int) -> int:
        return value

    @classmethod
    async def of_class(cls, value: int) -> int:
        return value


class Call:
    def __call__(self, value: int) -> int:
        return value


class AsyncCall:
    async def __call__(self, value: int) -> int:
        return value


class AsyncGeneratorCall:
    async def __call__(self, value: int) -> AsyncIterator[int]:
        yield value


ON_THREADS = [
    plain,
    generator,
    Methods().plain,
    Call(),
    int,
    print,
    len,
    lambda value: value,
    functools.partial(plain, extra=1),
]
ON_THE_LOOP = [
    coroutine,
    async_generator,
    Methods().coroutine,
    Methods().async_generator,
    Methods.static,
    Methods.of_class,
    AsyncCall(),
    AsyncGeneratorCall(),
    functools.partial(coroutine, extra=1),
    functools.partial(functools.partial(coroutine, extra=1), extra=2),
    functools.partial(AsyncCall()),
    functools.partial(Methods().async_generator),
]


@pytest.mark.parametrize("function", ON_THREADS)
def test_what_blocks_runs_in_a_thread(function: Any) -> None:
    stage = PipelineStage("s", function)
    assert not stage.is_async
    assert repr(stage) == "<PipelineStage 's' (thread)>"


@pytest.mark.parametrize("function", ON_THE_LOOP)
def test_what_awaits_runs_on_the_loop(function: Any) -> None:
    stage = PipelineStage("s", function)
    assert stage.is_async
    assert repr(stage) == "<PipelineStage 's' (async)>"


@pytest.mark.parametrize("name", [None, 1, b"name"])
def test_a_name_that_is_no_string(name: Any) -> None:
    with pytest.raises(TypeError, match=rf"^name of a stage must be a str, not {name!r}$"):
        Pipeline().add_stage(name, plain)


def test_an_empty_name() -> None:
    with pytest.raises(ValueError, match=r"^name of a stage must not be empty, got ''$"):
        Pipeline().add_stage("", plain)


def test_a_name_twice() -> None:
    pipeline = Pipeline().add_stage("twice", plain)
    with pytest.raises(ValueError, match="name 'twice' is already that of another stage"):
        pipeline.add_stage("twice", plain)
    assert [stage.name for stage in pipeline.stages] == ["twice"]


@pytest.mark.parametrize("function", [None, "plain", 3])
def test_a_function_that_is_none(function: Any) -> None:
    with pytest.raises(TypeError, match=rf"process_fn of stage 's' must be callable, not {function!r}"):
        Pipeline().add_stage("s", function)


@pytest.mark.parametrize("on_error", ["ignore", "", 1, True])
def test_an_unknown_policy(on_error: Any) -> None:
    with pytest.raises(ValueError, match=rf"on_error of stage 's' .*'raise', 'return', 'drop'.* not {on_error!r}"):
        Pipeline().add_stage("s", plain, on_error=on_error)


@pytest.mark.parametrize("value", [0, -1])
def test_a_bound_below_one(value: int) -> None:
    with pytest.raises(ValueError, match=f"max_queue_size must be at least 1, not {value}"):
        Pipeline(value)


@pytest.mark.parametrize("value", [None, 1.0, "1", True])
@pytest.mark.parametrize("argument", ["max_queue_size", "timing_history"])
def test_a_number_that_is_no_whole_number(argument: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"{argument} must be an int, not {value!r}"):
        Pipeline(**{argument: value})


@pytest.mark.parametrize("value", [None, "no", 2])
@pytest.mark.parametrize("argument", ["enable_timing", "return_exceptions"])
def test_a_flag_that_is_none(argument: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"{argument} must be a bool, not {value!r}"):
        Pipeline(**{argument: value})


def test_a_clock_that_is_none() -> None:
    with pytest.raises(TypeError, match="clock must be callable, not 3"):
        Pipeline(clock=3)


def test_a_negative_history() -> None:
    with pytest.raises(ValueError, match="timing_history must be at least 0, not -1"):
        Pipeline(timing_history=-1)


def test_a_history_that_cannot_be_kept() -> None:
    with pytest.raises(ValueError, match=f"timing_history must be at most {sys.maxsize}, not {sys.maxsize + 1}"):
        Pipeline(timing_history=sys.maxsize + 1)
    Pipeline(timing_history=sys.maxsize)


@pytest.mark.parametrize(("returning", "policy"), [(False, "raise"), (True, "return")])
def test_the_pipelines_policy_is_the_default(returning: bool, policy: str) -> None:
    pipeline = Pipeline(return_exceptions=returning)
    assert pipeline.add_stage("a", plain).add_stage("b", plain, on_error="drop") is pipeline
    assert [stage.on_error for stage in pipeline.stages] == [policy, "drop"]


def test_counts_start_at_zero() -> None:
    stage = PipelineStage("s", plain)
    assert (stage.processed_count, stage.total_processing_time, stage.get_average_processing_time()) == (0, 0.0, 0.0)
    stage.clear_input_queue()  # of no pipeline: nothing to clear
