"""What may be said about how a stage runs: every mistake is found at once, by argument and value."""

from __future__ import annotations

import functools
import inspect
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, get_type_hints

import attrs
import pytest

from async_task_pipeline import AsyncTaskPipeline, PipelineStage, _stage
from async_task_pipeline._stage import StageOptions
from async_task_pipeline._workers import _process_worker
from tests.support.functions import of_kind, same, same_on_loop

Pipeline = AsyncTaskPipeline[Any, Any]


def with_state(state: Any, value: Any) -> Any:
    return value


generator, async_generator = of_kind("thread generator", same), of_kind("async generator", same)


class GeneratorCall:
    def __call__(self, value: Any) -> Any:
        yield value


OPTIONS = get_type_hints(StageOptions)
POOL = ThreadPoolExecutor(1)
LOCK = Lock()
DROP = {"on_error": "drop"}
unsendable = lambda value: (value, LOCK)  # noqa: E731  only a lambda has no name


def test_the_options_are_the_fields_of_a_stage() -> None:
    given = ("name", "process_fn", "batch", "enable_timing", "_clear_link")  # by the pipeline, and by position
    fields = {field.name for field in attrs.fields(PipelineStage) if field.init and field.name not in given}
    hints = get_type_hints(PipelineStage, vars(_stage))
    assert {name: hints[name] for name in fields} | {"on_error": hints["on_error"] | None} == OPTIONS
    assert StageOptions.__required_keys__ == frozenset()


def test_each_option_is_described_once() -> None:
    described = re.findall(r"^ {4}(\w+): ", inspect.getdoc(AsyncTaskPipeline.add_stage) or "", re.MULTILINE)
    assert sorted(described) == sorted(
        ["name", "process_fn", *OPTIONS, "PipelineStateError", "TypeError", "ValueError"]
    )


@pytest.mark.parametrize("option", ["on_eror", "max_size", "batch", "enable_timing", "clear_link"])
def test_an_option_that_there_is_not(option: str) -> None:
    pipeline = Pipeline()
    with pytest.raises(TypeError, match=rf"\.add_stage\(\) got an unexpected keyword argument '{option}'$"):
        pipeline.add_stage("s", same, **{option: None})
    if option != "max_size":
        with pytest.raises(TypeError, match=rf"\.add_batch_stage\(\) got an unexpected keyword argument '{option}'$"):
            pipeline.add_batch_stage("s", same, max_size=1, max_wait=0, **{option: None})
    assert pipeline.stages == []


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"workers": 0}, ValueError, "workers of stage 's' must be at least 1, not 0"),
        ({"workers": 1.0}, TypeError, "workers of stage 's' must be an int, not 1.0"),
        ({"workers": True}, TypeError, "workers of stage 's' must be an int, not True"),
        ({"ordered": "no"}, TypeError, "ordered of stage 's' must be a bool, not 'no'"),
        ({"interruptible": 2}, TypeError, "interruptible of stage 's' must be a bool, not 2"),
        ({"reentrant": None}, TypeError, "reentrant of stage 's' must be a bool, not None"),
        ({"failure_window": 7}, ValueError, "failure_window of stage 's' is 7, and has no meaning .*, not None"),
        (
            DROP | {"failure_window": 7, "max_failures": 2},
            ValueError,
            "failure_window of stage 's' is 7, and has no meaning without .* share",
        ),
        ({"executor": "fork"}, ValueError, r"executor of stage 's' must be one of .*'process'.* not 'fork'"),
        ({"executor": 3}, TypeError, r"executor of stage 's' must be one of .*Executor or None, not 3"),
        ({"executor": ThreadPoolExecutor}, TypeError, r"executor of stage 's' .* not <class .*ThreadPoolExecutor"),
        ({"setup": 3}, TypeError, "setup of stage 's' must be callable or None, not 3"),
        ({"setup": 3, "executor": "process"}, TypeError, "setup of stage 's' must be callable or None, not 3"),
        ({"setup": same_on_loop}, TypeError, "setup of stage 's' must not be async: <function same_on_loop"),
        ({"setup": same_on_loop, "executor": "process"}, TypeError, "setup of stage 's' must not be async"),
        ({"setup": same, "executor": POOL}, ValueError, "setup of stage 's' must be None: an executor's workers"),
        ({"setup": unsendable, "executor": "process"}, TypeError, "setup of stage 's' cannot be sent .*<lambda>"),
        ({"timeout": 0}, ValueError, "timeout of stage 's' must be a finite number of seconds, more than 0, not 0"),
        ({"timeout": -1.5}, ValueError, "timeout of stage 's' .* not -1.5"),
        ({"timeout": float("inf")}, ValueError, "timeout of stage 's' .* not inf"),
        ({"timeout": float("nan")}, ValueError, "timeout of stage 's' .* not nan"),
        ({"timeout": "1"}, TypeError, "timeout of stage 's' must be a number of seconds, not '1'"),
        ({"timeout": True}, TypeError, "timeout of stage 's' must be a number of seconds, not True"),
        ({"max_failures": 1}, ValueError, "max_failures of stage 's' is 1, but with on_error='raise'"),
        (DROP | {"max_failures": -1}, ValueError, "max_failures of stage 's' must be at least 0, not -1"),
        (DROP | {"max_failures": 1.0}, ValueError, "max_failures of stage 's' .* between 0 and 1, not 1.0"),
        (DROP | {"max_failures": 0.0}, ValueError, "max_failures of stage 's' .* not 0.0"),
        (DROP | {"max_failures": float("nan")}, ValueError, "max_failures of stage 's' .* not nan"),
        (DROP | {"max_failures": "2"}, TypeError, "max_failures of stage 's' must be an int, a float or None, not '2'"),
        (
            DROP | {"max_failures": True},
            TypeError,
            "max_failures of stage 's' must be an int, a float or None, not True",
        ),
        ({"failure_window": 0}, ValueError, "failure_window of stage 's' must be at least 1, not 0"),
        (
            {"failure_window": 10**19},
            ValueError,
            f"failure_window of stage 's' must be at most {sys.maxsize}, not 10{{19}}",
        ),
        ({"failure_window": 0.5}, TypeError, "failure_window of stage 's' must be an int, not 0.5"),
        ({"on_interrupt": 3}, TypeError, "on_interrupt of stage 's' must be callable or None, not 3"),
        (
            {"on_interrupt": same_on_loop},
            TypeError,
            "on_interrupt of stage 's' must not be async: <function same_on_loop",
        ),
        ({"on_interrupt": print, "executor": "process"}, ValueError, "on_interrupt of stage 's' .*executor='process'"),
        ({"on_interrupt": print, "executor": POOL}, ValueError, "on_interrupt of stage 's' .*executor='executor'"),
        ({"on_interrupt": print, "interruptible": False}, ValueError, "stage 's' has interruptible=False"),
        ({"reentrant": True, "interruptible": False}, ValueError, "stage 's' has interruptible=False"),
        ({"reentrant": True, "on_interrupt": print}, ValueError, "stage 's' is reentrant: .*on_interrupt"),
        ({"reentrant": True, "setup": same}, ValueError, "stage 's' is reentrant: .*setup"),
        ({"reentrant": True, "executor": "process"}, ValueError, "stage 's' has executor='process' .*reentrant"),
    ],
)
def test_what_cannot_be_had(options: dict[str, Any], error: type[Exception], message: str) -> None:
    pipeline = Pipeline()
    with pytest.raises(error, match=message):
        pipeline.add_stage("s", same, **options)
    with pytest.raises(error, match=message):
        pipeline.add_batch_stage("s", same, max_size=2, max_wait=1, **options)
    assert pipeline.stages == []


@pytest.mark.parametrize("executor", ["thread", "process", POOL])
def test_an_async_function_has_no_executor(executor: Any) -> None:
    with pytest.raises(ValueError, match=r"executor of stage 's' must be None, not .* is async and runs on the loop"):
        Pipeline().add_stage("s", same_on_loop, executor=executor)


def test_a_function_that_cannot_be_sent() -> None:
    message = r"^process_fn of stage 's' cannot be sent to another process: <function <lambda> .*top level of a module$"
    with pytest.raises(TypeError, match=message):
        Pipeline().add_stage("s", unsendable, executor="process")


def test_an_interpreter_needs_a_new_python(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (sys.version_info >= (3, 13)) is _process_worker.HAS_INTERPRETERS
    monkeypatch.setattr(_process_worker, "HAS_INTERPRETERS", True)
    assert Pipeline().add_stage("s", same, executor="interpreter").stages[0].kind == "interpreter"
    monkeypatch.setattr(_process_worker, "HAS_INTERPRETERS", False)
    with pytest.raises(
        ValueError, match=r"executor of stage 's' is 'interpreter', which needs Python 3\.13 .* not 3\.1"
    ):
        Pipeline().add_stage("s", same, executor="interpreter")


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ({"max_size": 0, "max_wait": 1}, ValueError, "max_size of stage 's' must be at least 1, not 0"),
        ({"max_size": 2.0, "max_wait": 1}, TypeError, "max_size of stage 's' must be an int, not 2.0"),
        ({"max_size": True, "max_wait": 1}, TypeError, "max_size of stage 's' must be an int, not True"),
        ({"max_size": 2, "max_wait": -1}, ValueError, "max_wait of stage 's' must be .* 0 or more, not -1"),
        ({"max_size": 2, "max_wait": float("inf")}, ValueError, "max_wait of stage 's' must be a finite .* not inf"),
        ({"max_size": 2, "max_wait": None}, TypeError, "max_wait of stage 's' must be a number of seconds, not None"),
    ],
)
def test_a_batch_of_an_impossible_size(sizes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Pipeline().add_batch_stage("s", same, **sizes)


@pytest.mark.parametrize("function", [generator, async_generator, GeneratorCall(), functools.partial(generator)])
def test_a_batch_stage_takes_no_generator(function: Any) -> None:
    with pytest.raises(TypeError, match=r"process_fn of batch stage 's' must return a list, and .* is a generator"):
        Pipeline().add_batch_stage("s", function, max_size=2, max_wait=1)


@pytest.mark.parametrize(
    ("function", "options", "kind", "shown"),
    [
        (same, {}, "thread", "<PipelineStage 's' (thread)>"),
        (same, {"executor": "thread", "workers": 2}, "thread", "<PipelineStage 's' (thread x 2)>"),
        (same_on_loop, {"workers": 100}, "loop", "<PipelineStage 's' (async x 100)>"),
        (with_state, {"executor": "process", "setup": int}, "process", "<PipelineStage 's' (process)>"),
        (unsendable, {"executor": POOL}, "executor", "<PipelineStage 's' (executor)>"),
    ],
)
def test_where_a_stage_runs(function: Any, options: dict[str, Any], kind: str, shown: str) -> None:
    stage = PipelineStage("s", function, **options)
    assert (stage.kind, repr(stage), stage.is_async) == (kind, shown, kind == "loop")


@pytest.mark.parametrize(("max_failures", "window"), [(0, 100), (3, 100), (0.5, 7)])
def test_a_budget_that_can_be_had(max_failures: float, window: int) -> None:
    stage = PipelineStage("s", same, on_error="return", max_failures=max_failures, failure_window=window)
    assert (stage.max_failures, stage.failure_window) == (max_failures, window)
