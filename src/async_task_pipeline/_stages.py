"""What a user says a stage is, and what the stage has done so far.

The rule: everything a stage's definition can get wrong is found in ``add_stage``, by
name and value, before anything runs. The counters live here, not with the running
part, because they outlast a stop and start again at zero only when cleared.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Literal, get_args

OnError = Literal["raise", "return", "drop"]
"""What a failing call means: end the pipeline, put the exception in the output in
place of the item, or log it and go on."""

StageFunction = Callable[[Any], Any]


class StageCounts:
    """The counters of one stage; see :py:class:`StageFlow` for what they mean.

    All are written by the loop's thread, but for the two sums of seconds, which are
    written by the stage's one worker.
    """

    __slots__ = (
        "accepted",
        "delivered",
        "dropped",
        "failed",
        "fanned_out",
        "filtered",
        "inside",
        "seconds",
        "unproductive_seconds",
    )

    def __init__(self) -> None:
        self.accepted: int = 0
        self.delivered: int = 0
        self.fanned_out: int = 0
        self.filtered: int = 0
        self.failed: int = 0
        self.dropped: int = 0
        self.inside: int = 0
        self.seconds: float = 0.0
        self.unproductive_seconds: float = 0.0


class PipelineStage:
    """A named step of a pipeline, made by :py:meth:`AsyncTaskPipeline.add_stage`.

    Attributes:
        name: The name, unique in its pipeline.
        process_fn: The function.
        on_error: What a failing call means: ``"raise"``, ``"return"`` or ``"drop"``.
        enable_timing: Whether calls are timed.
        is_async: Whether the function runs on the loop instead of in a thread.
        interruptible: Whether an interrupt drops what the stage has accepted.
        on_interrupt: What its worker calls after an interrupt, before its next item.
        reentrant: Whether the next turn may start beside an interrupted call.
    """

    def __init__(
        self,
        name: str,
        process_fn: StageFunction,
        *,
        on_error: OnError = "raise",
        interruptible: bool = True,
        on_interrupt: Callable[[], object] | None = None,
        reentrant: bool = False,
        enable_timing: bool = False,
        clear_link: Callable[[PipelineStage], object] | None = None,
    ) -> None:
        self.name: str = _checked_name(name)
        if not callable(process_fn):
            raise TypeError(f"process_fn of stage {name!r} must be callable, not {process_fn!r}")
        if on_error not in get_args(OnError):
            raise ValueError(f"on_error of stage {name!r} must be one of {get_args(OnError)}, not {on_error!r}")
        self.process_fn = process_fn
        self.on_error: OnError = on_error
        self.enable_timing = enable_timing
        self.is_async: bool = _runs_on_the_loop(process_fn)
        self.interruptible: bool = bool(interruptible)
        self.on_interrupt = on_interrupt
        self.reentrant: bool = bool(reentrant)
        self._check_interrupts()
        self.counts: StageCounts = StageCounts()
        self._clear_link = clear_link

    def __repr__(self) -> str:
        """Show the name and how the function runs."""
        return f"<PipelineStage {self.name!r} ({'async' if self.is_async else 'thread'})>"

    def _check_interrupts(self) -> None:
        name, reset = self.name, self.on_interrupt
        if reset is not None and not callable(reset):
            raise TypeError(f"on_interrupt of stage {name!r} must be callable or None, not {reset!r}")
        if reset is not None and not self.is_async and _runs_on_the_loop(reset):
            raise TypeError(
                f"on_interrupt of stage {name!r} must not be async: {reset!r} is called by the stage's worker thread"
            )
        if not self.interruptible and (reset is not None or self.reentrant):
            raise ValueError(f"stage {name!r} has interruptible=False: on_interrupt and reentrant would mean nothing")
        if self.reentrant and reset is not None:
            raise ValueError(
                f"stage {name!r} is reentrant: its interrupted call may outlast the moment at which "
                "on_interrupt has to be called"
            )

    @property
    def processed_count(self) -> int:
        """Outcomes of its calls so far: delivered, filtered or failed."""
        counts = self.counts
        return counts.delivered + counts.filtered + counts.failed

    @property
    def total_processing_time(self) -> float:
        """Seconds spent inside the function, whatever became of the outcome.

        0.0 while timing is off.
        """
        return self.counts.seconds

    def get_average_processing_time(self) -> float:
        """Seconds inside the function per outcome; 0.0 while timing is off."""
        return self.total_processing_time / self.processed_count if self.processed_count else 0.0

    def clear_input_queue(self) -> None:
        """Drop what waits in this stage's link, sentinels included.

        The items are counted as dropped. Does nothing while the pipeline is not
        running.
        """
        if self._clear_link is not None:
            self._clear_link(self)


def _checked_name(name: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"name of a stage must be a str, not {name!r}")
    if not name:
        raise ValueError("name of a stage must not be empty, got ''")
    return name


def _runs_on_the_loop(function: Any) -> bool:
    """Whether calling it makes a coroutine or an async generator.

    Sees through :py:class:`functools.partial` and objects with an async ``__call__``.
    """
    while isinstance(function, functools.partial):
        function = function.func
    candidates = [function] if inspect.isroutine(function) else [function, type(function).__call__]
    return any(inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each) for each in candidates)
