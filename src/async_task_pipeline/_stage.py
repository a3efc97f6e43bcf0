"""What a stage is, as its user wants it.

The rule: every mistake is found when the stage is added, by name and value, before
anything runs: first in each argument alone, then in what cannot be had together. An
option stands in the signature, which is ``StageOptions``, and as a field, and nowhere
else.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Literal, TypeAlias, TypedDict, get_args

import attrs

from ._arguments import MOST_KEPT, flag, plain_number, seconds, whole_number
from ._counts import StageCounts
from ._exceptions import shown
from ._failure import FailureFunction, FailureMeaning

StageFunction = Callable[..., Any]

OnError: TypeAlias = FailureMeaning | FailureFunction
"""What a failing call means, or who is asked for that."""

ExecutorKind = Literal["thread", "process", "interpreter"]
"""The executors known by name."""

FAILURE_WINDOW: int = 100
"""Outcomes over which a share of failures is taken, unless a stage has a number of its own."""


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
    """When a batch is due, and what its function returns.

    Attributes:
        max_size: At this many items.
        max_wait: When its oldest item has waited so many seconds.
        per_item: Whether the function returns a result for each item, or any number of results.
    """

    max_size: int
    max_wait: float
    per_item: bool = True


def _checked_name(_stage: PipelineStage, _: attrs.Attribute[str], name: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"name of a stage must be a str, not {shown(name)}")
    if not name:
        raise ValueError("name of a stage must not be empty, got ''")


def _checked_function(stage: PipelineStage, _: attrs.Attribute[StageFunction], function: StageFunction) -> None:
    if not callable(function):
        raise TypeError(f"process_fn of stage {stage.name!r} must be callable, not {shown(function)}")


def _checked_on_error(stage: PipelineStage, _: attrs.Attribute[OnError], meaning: OnError) -> None:
    check_meaning(f"on_error of stage {stage.name!r}", meaning)


def check_meaning(name: str, value: Any) -> None:
    """What a failing call means: a word or a function."""
    words = get_args(FailureMeaning)
    if not callable(value) and value not in words:
        raise ValueError(f"{name} must be a function or one of {words}, not {shown(value)}")


def _checked_flag(stage: PipelineStage, field: attrs.Attribute[bool], value: bool) -> None:
    flag(f"{field.name} of stage {stage.name!r}", value)


def _checked_window(stage: PipelineStage, field: attrs.Attribute[int], value: int) -> None:
    whole_number(f"{field.name} of stage {stage.name!r}", value, at_least=1, at_most=MOST_KEPT)


def _at_least_one(stage: PipelineStage, field: attrs.Attribute[int], value: int) -> None:
    whole_number(f"{field.name} of stage {stage.name!r}", value, at_least=1)


def _checked_timeout(stage: PipelineStage, _: attrs.Attribute[float | None], timeout: float | None) -> None:
    if timeout is not None:
        seconds(f"timeout of stage {stage.name!r}", timeout, zero=False)


def _raise_by_default(on_error: OnError | None) -> OnError:
    return "raise" if on_error is None else on_error


@attrs.define(slots=True, eq=False)
class PipelineStage:
    """A named step of a pipeline, made by :py:meth:`AsyncTaskPipeline.add_stage`.

    Attributes:
        name: The name, unique in its pipeline.
        process_fn: The function.
        on_error: What a failing call means: ``"raise"``, ``"return"`` or ``"drop"``, or a function that is
            asked.
        interruptible: Whether an interrupt drops what the stage has accepted.
        on_interrupt: What its worker calls after an interrupt, before its next item.
        reentrant: Whether the next turn may start beside an interrupted call.
        workers: How many calls run at once.
        ordered: Whether items leave in the order in which they came.
        executor: What ``add_stage`` was given.
        setup: What makes the state of each worker.
        timeout: Seconds that a call may take, or ``None``.
        max_failures: How many failures the pipeline survives, or which share of the last
            ``failure_window`` outcomes.
        failure_window: See ``max_failures``.
        batch: When a batch is due and what is returned for it, for a stage added with
            ``add_batch_stage``.
        enable_timing: Whether calls are timed.
        kind: Where it runs: ``"loop"``, ``"thread"``, ``"process"``, ``"interpreter"`` or
            ``"executor"``.
    """

    name: str = attrs.field(validator=_checked_name)
    process_fn: StageFunction = attrs.field(validator=_checked_function)
    on_error: OnError = attrs.field(
        default=None, kw_only=True, converter=_raise_by_default, validator=_checked_on_error
    )
    interruptible: bool = attrs.field(default=True, kw_only=True, validator=_checked_flag)
    on_interrupt: Callable[[], object] | None = attrs.field(default=None, kw_only=True)
    reentrant: bool = attrs.field(default=False, kw_only=True, validator=_checked_flag)
    workers: int = attrs.field(default=1, kw_only=True, validator=_at_least_one)
    ordered: bool = attrs.field(default=True, kw_only=True, validator=_checked_flag)
    executor: ExecutorKind | Executor | None = attrs.field(default=None, kw_only=True)
    setup: Callable[[], Any] | None = attrs.field(default=None, kw_only=True)
    timeout: float | None = attrs.field(default=None, kw_only=True, validator=_checked_timeout)
    max_failures: float | None = attrs.field(default=None, kw_only=True)
    failure_window: int = attrs.field(default=FAILURE_WINDOW, kw_only=True, validator=_checked_window)

    # What the pipeline adds.
    batch: BatchSize | None = attrs.field(default=None, kw_only=True)
    enable_timing: bool = attrs.field(default=False, kw_only=True)
    _clear_link: Callable[[PipelineStage], object] | None = attrs.field(default=None, kw_only=True, alias="clear_link")

    kind: str = attrs.field(init=False)
    counts: StageCounts = attrs.field(init=False, factory=StageCounts)

    def __attrs_post_init__(self) -> None:
        self._keep_plain_values()
        self.kind = checked_kind(self)
        check_setup(self)
        check_interrupts(self)
        check_budget(self)
        check_batch(self)

    def _keep_plain_values(self) -> None:
        for name in ("interruptible", "reentrant", "ordered"):
            setattr(self, name, flag(name, getattr(self, name)))
        self.workers, self.failure_window = plain_number(self.workers), plain_number(self.failure_window)
        self.timeout, self.max_failures = plain_number(self.timeout), plain_number(self.max_failures)

    def __repr__(self) -> str:
        """Show the name, how the function runs and by how many workers."""
        how = "async" if self.is_async else self.kind
        return f"<PipelineStage {self.name!r} ({how}{f' x {self.workers}' if self.workers > 1 else ''})>"

    @property
    def is_async(self) -> bool:
        """Whether the function runs on the loop instead of in a worker."""
        return self.kind == "loop"

    @property
    def processed_count(self) -> int:
        """Outcomes of its calls so far: delivered, filtered or failed."""
        counts = self.counts
        return counts.delivered + counts.filtered + counts.failed

    @property
    def total_processing_time(self) -> float:
        """Seconds spent inside the function by all workers, whatever became of the outcome.

        0.0 while timing is off.
        """
        return self.counts.seconds

    def get_average_processing_time(self) -> float:
        """Seconds inside the function per outcome; 0.0 while timing is off."""
        return self.total_processing_time / self.processed_count if self.processed_count else 0.0

    def clear_input_queue(self) -> None:
        """Drop what waits in this stage's link, sentinels included.

        The items are counted as dropped. Does nothing while the pipeline is not
        running. In any thread, as :py:meth:`AsyncTaskPipeline.clear`.
        """
        if self._clear_link is not None:
            self._clear_link(self)


def runs_on_the_loop(function: Any) -> bool:
    """Whether calling it makes a coroutine or an async generator.

    Sees through :py:class:`functools.partial` and objects with an async ``__call__``.
    """
    return any(inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each) for each in _called(function))


def _called(function: Any) -> list[Any]:
    while isinstance(function, functools.partial):
        function = function.func
    return [function] if inspect.isroutine(function) else [function, type(function).__call__]


def checked_kind(stage: PipelineStage) -> str:
    """How the calls of a stage are run: on the loop, or by which kind of executor."""
    name, function, executor = stage.name, stage.process_fn, stage.executor
    if runs_on_the_loop(function):
        if executor is not None:
            raise ValueError(
                f"executor of stage {name!r} must be None, not {shown(executor)}: {shown(function)} is async and runs on the loop"
            )
        return "loop"
    if executor is None:
        return "thread"
    if isinstance(executor, Executor):
        return "executor"
    if not isinstance(executor, str):
        raise TypeError(
            f"executor of stage {name!r} must be one of {get_args(ExecutorKind)}, "
            f"a concurrent.futures.Executor or None, not {shown(executor)}"
        )
    return executor  # whether there is such a kind of worker is for the registry to say


def check_setup(stage: PipelineStage) -> None:
    """What makes the state of each worker."""
    name, kind, setup = stage.name, stage.kind, stage.setup
    if setup is None:
        return
    if not callable(setup):
        raise TypeError(f"setup of stage {name!r} must be callable or None, not {shown(setup)}")
    if kind == "executor":
        raise ValueError(
            f"setup of stage {name!r} must be None: an executor's workers are its own, see its initializer"
        )
    if kind != "loop" and runs_on_the_loop(setup):
        raise TypeError(
            f"setup of stage {name!r} must not be async: {shown(setup)} is called in the worker, off the loop"
        )


def check_interrupts(stage: PipelineStage) -> None:
    """What a stage wants to happen to it when it is interrupted."""
    name, kind, on_interrupt = stage.name, stage.kind, stage.on_interrupt
    if on_interrupt is not None:
        if not callable(on_interrupt):
            raise TypeError(f"on_interrupt of stage {name!r} must be callable or None, not {shown(on_interrupt)}")
        if kind != "loop" and runs_on_the_loop(on_interrupt):
            raise TypeError(
                f"on_interrupt of stage {name!r} must not be async: "
                f"{shown(on_interrupt)} is called by the stage's worker thread"
            )
        if kind not in ("loop", "thread"):
            raise ValueError(
                f"on_interrupt of stage {name!r} is called in a thread or on the loop and cannot reach executor={kind!r}"
            )
    if not stage.interruptible and (on_interrupt is not None or stage.reentrant):
        raise ValueError(f"stage {name!r} has interruptible=False: on_interrupt and reentrant would mean nothing")
    if not stage.reentrant:
        return
    if on_interrupt is not None:
        raise ValueError(
            f"stage {name!r} is reentrant: its interrupted call may outlast the moment at which "
            "on_interrupt has to be called"
        )
    if stage.setup is not None:
        raise ValueError(f"stage {name!r} is reentrant: two calls at once would share what setup made for one worker")
    if kind in ("process", "interpreter"):
        raise ValueError(f"stage {name!r} has executor={kind!r} and cannot be reentrant")


def check_budget(stage: PipelineStage) -> None:
    """How many failures a stage may have."""
    name, failure_window = stage.name, stage.failure_window
    max_failures: Any = stage.max_failures
    if failure_window != FAILURE_WINDOW and not isinstance(max_failures, float):
        raise ValueError(
            f"failure_window of stage {name!r} is {shown(failure_window)}, and has no meaning without a max_failures that is "
            f"a share (a float), not {shown(max_failures)}"
        )
    if max_failures is None:
        return
    if isinstance(max_failures, bool) or not isinstance(max_failures, (int, float)):
        raise TypeError(f"max_failures of stage {name!r} must be an int, a float or None, not {shown(max_failures)}")
    if stage.on_error == "raise":
        raise ValueError(
            f"max_failures of stage {name!r} is {shown(max_failures)}, but with on_error='raise' the first failure ends it"
        )
    if isinstance(max_failures, float):
        if not 0 < max_failures < 1:
            raise ValueError(
                f"max_failures of stage {name!r} must be an int, or a float between 0 and 1, not {shown(max_failures)}"
            )
    else:
        whole_number(f"max_failures of stage {name!r}", max_failures, at_least=0)


def check_batch(stage: PipelineStage) -> None:
    """A function that is called with a list returns its results all at once."""
    if stage.batch is None:
        return
    function = stage.process_fn
    if any(inspect.isgeneratorfunction(each) or inspect.isasyncgenfunction(each) for each in _called(function)):
        raise TypeError(
            f"process_fn of batch stage {stage.name!r} must return a list, and {shown(function)} is a generator"
        )
