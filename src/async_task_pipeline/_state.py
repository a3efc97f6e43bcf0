"""What a pipeline is made of, and what can be read of it at any moment.

The rule: reading changes nothing, needs no loop, and is cheap enough for every frame
of a display. Counters outlive a run; they start again at zero only when cleared.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar

from ._aggregate import TimingHistory
from ._exceptions import PipelineStateError
from ._items import PipelineItem
from ._links import Link
from ._report import PipelineAnalysis
from ._run import Run
from ._stages import OnError, PipelineStage
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
        clock: Clock = time.perf_counter,
    ) -> None:
        self.max_queue_size: int = _whole_number("max_queue_size", max_queue_size, at_least=1)
        self.enable_timing: bool = bool(enable_timing)
        self.return_exceptions: bool = bool(return_exceptions)
        self.stages: list[PipelineStage] = []
        self._clock = clock
        self._history = TimingHistory(_whole_number("timing_history", timing_history, at_least=0))
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

    # -- building -----------------------------------------------------------------------

    def add_stage(
        self,
        name: str,
        process_fn: Callable[[Any], Any],
        *,
        on_error: OnError | None = None,
        interruptible: bool = True,
        on_interrupt: Callable[[], object] | None = None,
        reentrant: bool = False,
    ) -> Self:
        """Append a stage; returns the pipeline, so that calls chain.

        Args:
            name: A name no other stage of this pipeline has.
            process_fn: Takes one item's data and returns a result, ``None`` (the item is
                filtered) or a generator (each yielded value becomes an item). A ``def``
                runs in a worker thread, an ``async def`` or async generator function on
                the event loop.
            on_error: What an exception means: ``"raise"`` ends the pipeline with it, ``"return"``
                puts it in the output in place of the item, ``"drop"`` logs and counts it.
                By default as ``return_exceptions`` says.
            interruptible: Whether ``interrupt`` drops what this stage has accepted. With
                ``False`` that is finished and handed on, like items of the next turn.
            on_interrupt: Called by the stage's own worker after an interrupt, once the interrupted
                call has ended and before the next item. May be async if ``process_fn`` is.
            reentrant: Whether the next turn may start beside an interrupted call that
                has not ended, in a worker of its own. Each such call keeps a thread.

        Raises:
            PipelineStateError: If the pipeline is running.
            TypeError: If ``name`` is not a string, or a function not callable.
            ValueError: If ``name`` is empty or taken, ``on_error`` is unknown, or what is
                said about interrupts cannot be had together.
        """
        if self._current is not None and not self._current.done.is_set():
            raise PipelineStateError(f"cannot add stage {name!r} while the pipeline is running")
        stage = PipelineStage(
            name,
            process_fn,
            on_error=on_error if on_error is not None else "return" if self.return_exceptions else "raise",
            interruptible=interruptible,
            on_interrupt=on_interrupt,
            reentrant=reentrant,
            enable_timing=self.enable_timing,
            clear_link=self._clear_link_of,
        )
        if any(each.name == name for each in self.stages):
            raise ValueError(f"name {name!r} is already that of another stage")
        self.stages.append(stage)
        return self

    @property
    def running(self) -> bool:
        """Whether the pipeline takes part in the world: started and not ended."""
        return self._current is not None and not self._current.closed

    def _clear_link_of(self, stage: PipelineStage) -> None:
        if self.running and self._current is not None:
            self._current.clear_link(self.stages.index(stage))

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

    @property
    def _delivered_now(self) -> int:
        return self._delivered + (self._current.exit.delivered if self._current is not None else 0)

    def _forget_run(self) -> None:
        if self._current is not None:
            self._delivered += self._current.exit.delivered
            self._dropped_at_output += self._current.exit.dropped
            self._current.exit.delivered = self._current.exit.dropped = 0


def _whole_number(name: str, value: int, *, at_least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if value < at_least:
        raise ValueError(f"{name} must be at least {at_least}, not {value!r}")
    return value
