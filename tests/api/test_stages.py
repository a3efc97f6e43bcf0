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


@pytest.mark.parametrize("function", [*ON_THREADS, *ON_THE_LOOP])
def test_what_blocks_runs_in_a_thread_and_what_awaits_on_the_loop(function: Any) -> None:
    stage = PipelineStage("s", function)
    assert stage.is_async is (function in ON_THE_LOOP)
    assert repr(stage) == f"<PipelineStage 's' ({'async' if stage.is_async else 'thread'})>"


@pytest.mark.parametrize(
    ("name", "function", "on_error", "error", "message"),
    [
        *(
            (name, plain, None, TypeError, rf"^name of a stage must be a str, not {name!r}$")
            for name in (None, 1, b"name")
        ),
        ("", plain, None, ValueError, r"^name of a stage must not be empty, got ''$"),
        *(
            ("s", function, None, TypeError, rf"process_fn of stage 's' must be callable, not {function!r}")
            for function in (None, "plain", 3)
        ),
        *(
            ("s", plain, policy, ValueError, rf"on_error of stage 's' .*'raise', 'return', 'drop'.* not {policy!r}")
            for policy in ("ignore", "", 1, True)
        ),
    ],
)
def test_what_a_stage_cannot_be(name: Any, function: Any, on_error: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Pipeline().add_stage(name, function, on_error=on_error)


def test_a_name_twice() -> None:
    pipeline = Pipeline().add_stage("twice", plain)
    with pytest.raises(ValueError, match="name 'twice' is already that of another stage"):
        pipeline.add_stage("twice", plain)
    assert [stage.name for stage in pipeline.stages] == ["twice"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        *(({"max_queue_size": each}, ValueError, f"max_queue_size must be at least 1, not {each}") for each in (0, -1)),
        *(
            ({argument: each}, TypeError, f"{argument} must be an int, not {each!r}")
            for argument in ("max_queue_size", "timing_history")
            for each in (None, 1.0, "1", True)
        ),
        *(
            ({argument: each}, TypeError, f"{argument} must be a bool, not {each!r}")
            for argument in ("enable_timing", "return_exceptions")
            for each in (None, "no", 2)
        ),
        ({"clock": 3}, TypeError, "clock must be callable, not 3"),
        ({"timing_history": -1}, ValueError, "timing_history must be at least 0, not -1"),
        (
            {"timing_history": sys.maxsize + 1},
            ValueError,
            f"timing_history must be at most {sys.maxsize}, not {sys.maxsize + 1}",
        ),
    ],
)
def test_what_a_pipeline_cannot_have(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Pipeline(**options)


def test_the_longest_history_can_be_had() -> None:
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
