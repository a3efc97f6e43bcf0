"""What may be said about how a stage runs, and what of it cannot be had together.

The rule: every mistake is found when the stage is added, before anything runs, and the
message names the stage, the argument and the value.
"""

from __future__ import annotations

import functools
import inspect
import math
import pickle
import platform
import sys
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Literal, TypedDict, get_args

import attrs

OnError = Literal["raise", "return", "drop"]
"""What a failing call means: end the pipeline, put the exception in the output in
place of the item, or log it and go on."""

ExecutorKind = Literal["thread", "process", "interpreter"]
"""The executors known by name."""

HAS_INTERPRETERS: bool = sys.version_info >= (3, 13)
"""Whether this Python has them, and anyio a way to use them."""

FAILURE_WINDOW: int = 100
"""Outcomes over which a share of failures is taken, unless a stage says otherwise."""

Overflow = Literal["wait", "drop_oldest", "drop_newest"]
"""What a full input means to a producer: wait, or lose an item, the oldest that waits or
the one just put."""


class CallOptions(TypedDict, total=False):
    """Those of the options that leave alone what the function is called with."""

    on_error: OnError | None
    interruptible: bool
    on_interrupt: Callable[[], object] | None
    reentrant: bool
    workers: int
    ordered: bool
    executor: ExecutorKind | Executor | None
    timeout: float | None
    max_failures: float | None
    failure_window: int


class StageOptions(CallOptions, total=False):
    """What :py:meth:`AsyncTaskPipeline.add_stage` takes beside name and function."""

    setup: Callable[[], Any] | None


@attrs.frozen
class BatchSize:
    """When a batch is due.

    Attributes:
        max_size: At this many items.
        max_wait: When its oldest item has waited so many seconds.
    """

    max_size: int
    max_wait: float


def runs_on_the_loop(function: Any) -> bool:
    """Whether calling it makes a coroutine or an async generator.

    Sees through :py:class:`functools.partial` and objects with an async ``__call__``.
    """
    return any(inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each) for each in _called(function))


def _called(function: Any) -> list[Any]:
    while isinstance(function, functools.partial):
        function = function.func
    return [function] if inspect.isroutine(function) else [function, type(function).__call__]


def checked_name(name: str) -> str:
    """The name of a stage."""
    if not isinstance(name, str):
        raise TypeError(f"name of a stage must be a str, not {name!r}")
    if not name:
        raise ValueError("name of a stage must not be empty, got ''")
    return name


def whole_number(name: str, value: int, *, at_least: int) -> int:
    """An int argument with a lower bound."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if value < at_least:
        raise ValueError(f"{name} must be at least {at_least}, not {value!r}")
    return value


def flag(name: str, value: bool) -> bool:
    """A bool, and nothing that merely counts as one: ``"no"`` would count as true."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be a bool, not {value!r}")
    return value


def seconds(name: str, value: float, *, zero: bool = True) -> float:
    """A finite duration; 0 only if that means something."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {value!r}")
    if not finite(value) or value < 0 or (not zero and value == 0):
        bound = "0 or more" if zero else "more than 0"
        raise ValueError(f"{name} must be a finite number of seconds, {bound}, not {value!r}")
    return float(value)


def finite(value: float) -> bool:
    """Whether it is a finite number that a float can hold."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def checked_executor(stage: str, executor: Any, function: Any, setup: Any) -> str:
    """How the calls of a stage are run: on the loop, or by which kind of executor."""
    if runs_on_the_loop(function):
        if executor is not None:
            raise ValueError(
                f"executor of stage {stage!r} must be None, not {executor!r}: {function!r} is async and runs on the loop"
            )
        return "loop"
    if executor is None:
        return "thread"
    if isinstance(executor, Executor):
        return "executor"
    if not isinstance(executor, str):
        raise TypeError(
            f"executor of stage {stage!r} must be one of {get_args(ExecutorKind)}, "
            f"a concurrent.futures.Executor or None, not {executor!r}"
        )
    if executor not in get_args(ExecutorKind):
        raise ValueError(f"executor of stage {stage!r} must be one of {get_args(ExecutorKind)}, not {executor!r}")
    if executor == "interpreter" and not HAS_INTERPRETERS:
        raise ValueError(
            f"executor of stage {stage!r} is 'interpreter', which needs Python 3.13 or later, "
            f"not {platform.python_version()}"
        )
    if executor != "thread":
        _check_picklable(stage, "process_fn", function, executor)
        _check_picklable(stage, "setup", setup, executor)
    return executor


def check_batch(stage: str, function: Any) -> None:
    """What is called with a list has to return one."""
    if any(inspect.isgeneratorfunction(each) or inspect.isasyncgenfunction(each) for each in _called(function)):
        raise TypeError(f"process_fn of batch stage {stage!r} must return a list, and {function!r} is a generator")


def _check_picklable(stage: str, name: str, function: Any, executor: str) -> None:
    try:
        pickle.dumps(function)
    except Exception as exc:
        raise TypeError(
            f"{name} of stage {stage!r} cannot be sent to another {executor}: {function!r} ({exc}); "
            "define it at the top level of a module"
        ) from exc


def check_interrupts(
    stage: str, kind: str, *, interruptible: bool, on_interrupt: Any, reentrant: bool, setup: Any
) -> None:
    """What a stage wants to happen to it when it is interrupted."""
    if on_interrupt is not None:
        if not callable(on_interrupt):
            raise TypeError(f"on_interrupt of stage {stage!r} must be callable or None, not {on_interrupt!r}")
        if kind != "loop" and runs_on_the_loop(on_interrupt):
            raise TypeError(
                f"on_interrupt of stage {stage!r} must not be async: "
                f"{on_interrupt!r} is called by the stage's worker thread"
            )
        if kind not in ("loop", "thread"):
            raise ValueError(
                f"on_interrupt of stage {stage!r} is called in a thread or on the loop and cannot reach executor={kind!r}"
            )
    if not interruptible and (on_interrupt is not None or reentrant):
        raise ValueError(f"stage {stage!r} has interruptible=False: on_interrupt and reentrant would mean nothing")
    if not reentrant:
        return
    if on_interrupt is not None:
        raise ValueError(
            f"stage {stage!r} is reentrant: its interrupted call may outlast the moment at which "
            "on_interrupt has to be called"
        )
    if setup is not None:
        raise ValueError(f"stage {stage!r} is reentrant: two calls at once would share what setup made for one worker")
    if kind in ("process", "interpreter"):
        raise ValueError(f"stage {stage!r} has executor={kind!r} and cannot be reentrant")


def check_setup(stage: str, kind: str, setup: Any) -> None:
    """What makes the state of each worker."""
    if setup is None:
        return
    if not callable(setup):
        raise TypeError(f"setup of stage {stage!r} must be callable or None, not {setup!r}")
    if kind == "executor":
        raise ValueError(
            f"setup of stage {stage!r} must be None: an executor's workers are its own, see its initializer"
        )
    if kind != "loop" and runs_on_the_loop(setup):
        raise TypeError(f"setup of stage {stage!r} must not be async: {setup!r} is called in the worker, off the loop")


def check_budget(stage: str, on_error: OnError, max_failures: Any, failure_window: int) -> None:
    """How many failures a stage may have."""
    whole_number(f"failure_window of stage {stage!r}", failure_window, at_least=1)
    if failure_window != FAILURE_WINDOW and not isinstance(max_failures, float):
        raise ValueError(
            f"failure_window of stage {stage!r} is {failure_window!r}, and has no meaning without a max_failures that is "
            f"a share (a float), not {max_failures!r}"
        )
    if max_failures is None:
        return
    if isinstance(max_failures, bool) or not isinstance(max_failures, (int, float)):
        raise TypeError(f"max_failures of stage {stage!r} must be an int, a float or None, not {max_failures!r}")
    if on_error == "raise":
        raise ValueError(
            f"max_failures of stage {stage!r} is {max_failures!r}, but with on_error='raise' the first failure ends it"
        )
    if isinstance(max_failures, float):
        if not 0 < max_failures < 1:
            raise ValueError(
                f"max_failures of stage {stage!r} must be an int, or a float between 0 and 1, not {max_failures!r}"
            )
    else:
        whole_number(f"max_failures of stage {stage!r}", max_failures, at_least=0)
