"""What a user says a stage is, and what the stage has done so far.

The rule: everything a stage's definition can get wrong is found in ``add_stage``, by
name and value, before anything runs. The counters live here, not with the running
part, because they outlast a stop and start again at zero only when cleared.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, get_args

from ._stage_options import (
    FAILURE_WINDOW,
    BatchSize,
    ExecutorKind,
    OnError,
    check_batch,
    check_budget,
    check_interrupts,
    check_setup,
    checked_executor,
    checked_name,
    flag,
    seconds,
    whole_number,
)

StageFunction = Callable[..., Any]


class StageCounts:
    """The counters of one stage; see :py:class:`StageFlow` for what they mean.

    All are written by the loop's thread. The two sums of seconds are each worker's own,
    see :py:class:`Spending`.
    """

    __slots__ = (
        "accepted",
        "delivered",
        "dropped",
        "failed",
        "fanned_out",
        "filtered",
        "inside",
        "overflowed",
        "settled",
        "spendings",
    )

    def __init__(self) -> None:
        self.accepted: int = 0
        self.delivered: int = 0
        self.fanned_out: int = 0
        self.filtered: int = 0
        self.failed: int = 0
        self.dropped: int = 0
        self.inside: int = 0
        self.overflowed: int = 0
        self.spendings: dict[object, Spending] = {}
        self.settled: Spending = Spending()

    def settle(self) -> None:
        """Sum up what workers of an earlier run have spent, and know them no more."""
        for each in self.spendings.values():
            self.settled.seconds += each.seconds
            self.settled.unproductive += each.unproductive
        self.spendings = {}

    def spending_of(self, worker: object) -> Spending:
        """Where one worker books its seconds."""
        return self.spendings.setdefault(worker, Spending())

    @property
    def seconds(self) -> float:
        """Seconds inside the function, all workers."""
        return self.settled.seconds + sum(each.seconds for each in self.spendings.values())

    @property
    def unproductive_seconds(self) -> float:
        """Those of them that were spent on outcomes nobody gets."""
        return self.settled.unproductive + sum(each.unproductive for each in self.spendings.values())


class Spending:
    """The seconds of one worker: written by it alone, since adding to a float is two steps."""

    __slots__ = ("seconds", "unproductive")

    def __init__(self) -> None:
        self.seconds: float = 0.0
        self.unproductive: float = 0.0


class PipelineStage:
    """A named step of a pipeline, made by :py:meth:`AsyncTaskPipeline.add_stage`.

    Attributes:
        name: The name, unique in its pipeline.
        process_fn: The function.
        on_error: What a failing call means: ``"raise"``, ``"return"`` or ``"drop"``.
        enable_timing: Whether calls are timed.
        is_async: Whether the function runs on the loop instead of in a worker.
        interruptible: Whether an interrupt drops what the stage has accepted.
        on_interrupt: What its worker calls after an interrupt, before its next item.
        reentrant: Whether the next turn may start beside an interrupted call.
        kind: Where it runs: ``"loop"``, ``"thread"``, ``"process"``, ``"interpreter"`` or
            ``"executor"``.
        executor: What ``add_stage`` was given.
        workers: How many calls run at once.
        ordered: Whether items leave in the order in which they came.
        setup: What makes the state of each worker.
        timeout: Seconds that a call may take, or ``None``.
        max_failures: How many failures the pipeline survives, or which share of the last
            ``failure_window`` outcomes.
        failure_window: See ``max_failures``.
        batch: When a batch is due, for a stage added with ``add_batch_stage``.
    """

    def __init__(
        self,
        name: str,
        process_fn: StageFunction,
        *,
        on_error: OnError | None = None,
        interruptible: bool = True,
        on_interrupt: Callable[[], object] | None = None,
        reentrant: bool = False,
        workers: int = 1,
        ordered: bool = True,
        executor: ExecutorKind | Executor | None = None,
        setup: Callable[[], Any] | None = None,
        timeout: float | None = None,
        max_failures: float | None = None,
        failure_window: int = FAILURE_WINDOW,
        batch: BatchSize | None = None,
        enable_timing: bool = False,
        clear_link: Callable[[PipelineStage], object] | None = None,
    ) -> None:
        self.name: str = checked_name(name)
        if not callable(process_fn):
            raise TypeError(f"process_fn of stage {name!r} must be callable, not {process_fn!r}")
        meaning = "raise" if on_error is None else on_error
        if meaning not in get_args(OnError):
            raise ValueError(f"on_error of stage {name!r} must be one of {get_args(OnError)}, not {on_error!r}")
        self.process_fn = process_fn
        self.on_error: OnError = meaning
        self.enable_timing = enable_timing
        self.workers: int = whole_number(f"workers of stage {name!r}", workers, at_least=1)
        self.ordered: bool = flag(f"ordered of stage {name!r}", ordered)
        self.executor = executor
        self.kind: str = checked_executor(name, executor, process_fn, setup)
        self.is_async: bool = self.kind == "loop"
        self.setup = setup
        check_setup(name, self.kind, setup)
        self.interruptible: bool = flag(f"interruptible of stage {name!r}", interruptible)
        self.on_interrupt = on_interrupt
        self.reentrant: bool = flag(f"reentrant of stage {name!r}", reentrant)
        check_interrupts(
            name,
            self.kind,
            interruptible=self.interruptible,
            on_interrupt=on_interrupt,
            reentrant=self.reentrant,
            setup=setup,
        )
        self.timeout: float | None = (
            None if timeout is None else seconds(f"timeout of stage {name!r}", timeout, zero=False)
        )
        check_budget(name, meaning, max_failures, failure_window)
        self.max_failures = max_failures
        self.failure_window: int = failure_window
        if batch is not None:
            check_batch(name, process_fn)
        self.batch: BatchSize | None = batch
        self.counts: StageCounts = StageCounts()
        self._clear_link = clear_link

    def __repr__(self) -> str:
        """Show the name, how the function runs and by how many workers."""
        how = "async" if self.is_async else self.kind
        return f"<PipelineStage {self.name!r} ({how}{f' x {self.workers}' if self.workers > 1 else ''})>"

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
        running.

        Raises:
            PipelineStateError: If called in another thread while the pipeline is running.
        """
        if self._clear_link is not None:
            self._clear_link(self)
