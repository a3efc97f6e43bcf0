"""What a pipeline is made of, and what can be read of it at any moment.

The rule: reading changes nothing, needs no loop, and is cheap enough for every frame
of a display. Counters outlive a run; they start again at zero only when cleared.
"""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any, Generic, TypeVar, get_args

from ._aggregate import TimingHistory
from ._arguments import flag, whole_number
from ._exceptions import PipelineStateError, stopped
from ._input._entrance import Overflow
from ._items import PipelineItem
from ._links import Link
from ._report import PipelineAnalysis
from ._run import Run
from ._stage import PipelineStage
from ._statistics import PipelineStatistics, StageFlow
from ._timing import Clock

T = TypeVar("T")
U = TypeVar("U")


class PipelineState(Generic[T, U]):
    """The stages, the current run and the records of a pipeline."""

    def __init__(
        self,
        max_queue_size: int = 100,
        enable_timing: bool = False,
        return_exceptions: bool = False,
        *,
        timing_history: int = 1000,
        overflow: Overflow = "wait",
        clock: Clock = time.perf_counter,
    ) -> None:
        self.max_queue_size: int = whole_number("max_queue_size", max_queue_size, at_least=1)
        self.enable_timing: bool = flag("enable_timing", enable_timing)
        self.return_exceptions: bool = flag("return_exceptions", return_exceptions)
        if not callable(clock):
            raise TypeError(f"clock must be callable, not {clock!r}")
        if overflow not in get_args(Overflow):
            raise ValueError(f"overflow must be one of {get_args(Overflow)}, not {overflow!r}")
        self.overflow: Overflow = overflow
        self.stages: list[PipelineStage] = []
        self._clock = clock
        self._history = TimingHistory(whole_number("timing_history", timing_history, at_least=0))
        self._delivered = 0
        self._dropped_at_output = 0
        self._turn_numbers = itertools.count(1)
        self._current: Run | None = None

    def __repr__(self) -> str:
        """Show the state, and per stage how many items wait and are held."""
        now = self.statistics()
        chain = " > ".join(f"{name} {flow.queue_depth}+{flow.in_call}" for name, flow in now.stages.items())
        state = "running" if self.running else "stopped"
        return (
            f"<AsyncTaskPipeline {state} [{chain or 'no stages'}] "
            f"accepted={now.accepted} delivered={now.delivered} inside={now.inside}>"
        )

    @property
    def running(self) -> bool:
        """Whether the pipeline takes part in the world: started and not ended."""
        return self._current is not None and not self._current.closed

    # -- reading ------------------------------------------------------------------------

    @property
    def queues(self) -> list[Link]:
        """The links of the current or last run, the input first and the output last."""
        return list(self._current.links) if self._current is not None else []

    @property
    def input_queue(self) -> Link | None:
        """The first link, or ``None`` before the first start."""
        return self._current.links[0] if self._current is not None else None

    @property
    def output_queue(self) -> Link | None:
        """The last link, or ``None`` before the first start."""
        return self._current.links[-1] if self._current is not None else None

    @property
    def counter(self) -> int:
        """Items accepted since the last ``clear``."""
        return self.stages[0].counts.accepted if self.stages else 0

    @property
    def completed_items(self) -> list[PipelineItem[Any]]:
        """The last ``timing_history`` items delivered, oldest first; empty without timing."""
        return self._history.items

    def statistics(self) -> PipelineStatistics:
        """The counters now, as a frozen snapshot."""
        flows = {stage.name: StageFlow(0, 0, 0, 0, 0, 0, 0, 0, 0, 0) for stage in self.stages}
        if self._current is not None:
            flows |= {runner.stage.name: runner.flow() for runner in self._current.runners}
        leaving = self._current.exit if self._current is not None else None
        finished = leaving.items if leaving is not None else 0
        parts = flows.values()
        return PipelineStatistics(
            accepted=self.counter,
            delivered=self._delivered_now,
            fanned_out=sum(each.fanned_out for each in parts),
            filtered=sum(each.filtered for each in parts),
            failed=sum(each.failed for each in parts),
            dropped=sum(each.dropped for each in parts)
            + self._dropped_at_output
            + (leaving.dropped if leaving is not None else 0),
            inside=sum(each.inside for each in parts) + finished,
            output_depth=len(leaving.link.buffer) if leaving is not None else 0,
            stages=flows,
            overflowed=self.stages[0].counts.overflowed if self.stages else 0,
        )

    def get_report(self, include_item_details: bool = True) -> PipelineAnalysis | None:
        """The report of everything delivered since the last ``clear``.

        Takes time and memory independent of the number of items.

        Args:
            include_item_details: Whether to include the last ``timing_history`` items.

        Returns:
            The report, or ``None`` when timing is off or no call has had an outcome yet.
        """
        if not self.enable_timing:
            return None
        return self._history.report(self.stages, details=include_item_details, running=self.running)

    def _running(self) -> Run:
        run = self._current
        if run is None:
            raise PipelineStateError("the pipeline is not running: start it first")
        if run.closed and run.failure is None:
            # The same as for a put that was waiting: a producer that is between two puts
            # when the pipeline stops should not need to know.
            raise stopped(None)
        return run

    def _on_the_loop(self, call: str) -> Run:
        run = self._running()
        if threading.get_ident() != run.thread:
            raise PipelineStateError(
                f"{call}() belongs on the event loop's thread; use anyio.from_thread to call it from another"
            )
        return run

    @property
    def _delivered_now(self) -> int:
        return self._delivered + (self._current.exit.delivered if self._current is not None else 0)

    def _forget_run(self) -> None:
        if self._current is not None:
            self._delivered += self._current.exit.delivered
            self._dropped_at_output += self._current.exit.dropped
            self._current.exit.delivered = self._current.exit.dropped = 0
