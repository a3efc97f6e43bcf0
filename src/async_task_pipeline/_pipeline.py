"""The pipeline as its user sees it: everything inherited, and the interrupts.

The rule: this file turns calls into steps of the current run; it moves no item itself.
"""

from __future__ import annotations

import enum
import threading
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from anyio import Event, move_on_after

from ._arguments import seconds
from ._counts import StageCounts
from ._exceptions import PipelineStateError
from ._interruption import Interruption
from ._items import Control, Kind
from ._lifetime import Lifetime
from ._statistics import InterruptReceipt
from ._type_variables import ResultT, T, U


class _Nothing(enum.Enum):
    """Any object may be a sentinel, ``None`` included; so "none given" is one of ours."""

    NOTHING = enum.auto()


Nothing: TypeAlias = Literal[_Nothing.NOTHING]
NOTHING: Final = _Nothing.NOTHING


class AsyncTaskPipeline(Lifetime[T, U, ResultT]):
    """An ordered chain of stages with an async input and an async output.

    ``T`` is the type of the data, ``U`` that of what passes through untouched
    (sentinels, and exceptions if they are returned), ``ResultT`` that of the data that
    comes out: ``T``, unless given, as by :py:class:`Chain`. Runs on asyncio, asyncio with
    uvloop, and trio. Enter it with ``async with pipeline:``, with
    ``await tg.start(pipeline.run)``, with ``pipeline.process(source)``, or with
    ``start()`` and ``stop()``.

    All methods belong on the event loop's thread, except ``put_input_data``,
    ``put_input_sentinel`` and ``statistics``, which may be called in any, and those that are
    named for other threads.

    Args:
        max_queue_size: The bound of each link, at least 1. At most
            ``(links + workers of all stages) * max_queue_size`` items are inside at once, and
            for each batch stage ``(1 + workers) * max_size`` more.
        enable_timing: Whether to time every item in every stage, for ``get_report``.
        return_exceptions: Whether an exception raised by a stage takes the item's place
            in the output, instead of ending the pipeline.
        timing_history: How many of the last delivered items the report keeps whole.
        overflow: What a full input means to who puts an item: ``"wait"``; ``"drop_oldest"``, which
            drops the item that has waited longest in the first link; or ``"drop_newest"``, which
            drops the one put. For live sources, whose next item comes anyway. What is dropped is
            counted; sentinels never are, and wait if there is no other way.
        clock: A monotonic clock in seconds.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a number is out of range.
    """

    async def interrupt(
        self, *, from_stage: str | None = None, sentinel: U | Nothing = NOTHING, grace: float = 0.0
    ) -> InterruptReceipt:
        """Drop every item inside and keep running; sentinels survive, in order.

        From the moment it is entered, nothing older is ever emitted, whatever is still
        running; the next item accepted is the next processed. Without ``grace`` it does
        not wait for stage functions and is no checkpoint, so a stage may call it.
        Producers blocked in a put return: their items were of this turn and are dropped
        with it. Without effect when the pipeline is not running.

        Args:
            from_stage: The first stage to interrupt, by name. What is before it goes on
                untouched, and is not stale; turns are not over. By default, all stages.
            sentinel: What enters the output in the same step, behind the sentinels that
                survive and before anything newer, so that a sink can empty its device's
                buffer. Those that have to wait behind the items of a protected stage
                (``interruptible=False``) come later.
            grace: Seconds to wait, at most, for interrupted calls to end. Cancelling the
                wait does not undo the interrupt.

        Returns:
            What was dropped, per stage, and which stages are still in an interrupted call.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If there is no such stage, or ``grace`` is negative or not finite.
            PipelineStateError: If called in another thread; see ``interrupt_from_thread``.
        """
        first = self._stage_index(from_stage)
        patience = seconds("grace", grace)
        if not self.running:
            return InterruptReceipt()
        run = self._on_the_loop("interrupt")
        interruption = self._interruption(waits=patience > 0)
        run.interrupt(interruption, first, markers=_markers(sentinel))
        if patience and interruption.pending:
            idle = Event()
            interruption.when_idle(idle.set)
            try:
                with move_on_after(patience):
                    await idle.wait()
            finally:
                run.forget(interruption)
        return interruption.receipt()

    def interrupt_from_thread(
        self, *, from_stage: str | None = None, sentinel: U | Nothing = NOTHING, grace: float = 0.0
    ) -> InterruptReceipt:
        """Interrupt from any other thread, a stage's own included; blocks until it is done.

        See ``interrupt`` for the arguments, the receipt and what is raised.

        Raises:
            PipelineStateError: If called in the event loop's thread.
        """
        first = self._stage_index(from_stage)
        patience = seconds("grace", grace)
        run = self._current
        if run is None or not self.running:
            return InterruptReceipt()
        if threading.get_ident() == run.thread:
            raise PipelineStateError("interrupt_from_thread() belongs in another thread: await interrupt() on the loop")
        idle = threading.Event()
        new = partial(self._interruption, waits=patience > 0)
        interruption = run.interrupt_from_thread(first, _markers(sentinel), new, idle.set)
        if interruption is None:
            return InterruptReceipt()
        if patience:
            idle.wait(min(patience, threading.TIMEOUT_MAX))
            run.waker.post(lambda: run.forget(interruption))
        return interruption.receipt()

    def _interruption(self, *, waits: bool = False) -> Interruption:
        return Interruption(self._clock, self._history.turns.idle(), last_delivered=self._delivered_now, waits=waits)

    def _stage_index(self, name: str | None) -> int:
        if name is None:
            return 0
        names = [stage.name for stage in self.stages]
        if name not in names:
            raise ValueError(f"from_stage must be one of {names}, not {name!r}")
        return names.index(name)

    def clear(self) -> InterruptReceipt:
        """Drop everything inside, sentinels included, and reset counters and report.

        May be called at any time; the end of a closed input is kept. Never blocks.

        Returns:
            What was dropped.

        Raises:
            PipelineStateError: If called in another thread while the pipeline is running.
        """
        interruption = self._interruption()
        if self.running:
            self._on_the_loop("clear").interrupt(interruption, gently=False)
        for stage in self.stages:
            stage.counts = StageCounts()
        for runner in self._current.runners if self._current is not None else ():
            # What an interrupted call still spends is booked to the counters it began with.
            for seat in runner.staff.seats:
                seat.session.spending = runner.stage.counts.spending_of(seat.worker)
        self._forget_run()
        self._delivered = self._dropped_at_output = 0
        self._history.clear()
        return interruption.receipt()

    def clear_input_queue(self) -> None:
        """Drop what waits for the first stage, sentinels included; counted as dropped.

        Raises:
            PipelineStateError: If called in another thread while the pipeline is running.
        """
        if self.running:
            self._on_the_loop("clear_input_queue").clear_link(0)

    def clear_output_queue(self) -> None:
        """Drop what waits for the consumer, sentinels included; counted as dropped.

        Raises:
            PipelineStateError: If called in another thread while the pipeline is running.
        """
        if self.running:
            self._on_the_loop("clear_output_queue").clear_output()


def _markers(sentinel: Any) -> tuple[Control, ...]:
    return () if sentinel is NOTHING else (Control(Kind.SENTINEL, sentinel),)
