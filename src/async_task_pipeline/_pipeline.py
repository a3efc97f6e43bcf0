"""The pipeline as its user sees it: everything inherited, and the interrupts.

The rule: this file turns calls into steps of the current run; it moves no item itself.
"""

from __future__ import annotations

from typing import TypeVar

from ._lifetime import Lifetime
from ._stages import StageCounts
from ._statistics import InterruptReceipt

T = TypeVar("T")
U = TypeVar("U")


class AsyncTaskPipeline(Lifetime[T, U]):
    """An ordered chain of stages with an async input and an async output.

    ``T`` is the type of the data, ``U`` that of what passes through untouched
    (sentinels, and exceptions if they are returned). Runs on asyncio, asyncio with
    uvloop, and trio. Enter it with ``async with pipeline:``, with
    ``await tg.start(pipeline.run)``, with ``pipeline.process(source)``, or with
    ``start()`` and ``stop()``.

    All methods belong on the event loop's thread, except ``put_input_data``,
    ``put_input_sentinel`` and ``statistics``, which may be called in any.

    Args:
        max_queue_size: The bound of each link, at least 1. At most
            ``(2 * stages + 1) * max_queue_size`` items are inside at once.
        enable_timing: Whether to time every item in every stage, for ``get_report``.
        return_exceptions: Whether an exception raised by a stage takes the item's place
            in the output, instead of ending the pipeline.
        timing_history: How many of the last delivered items the report keeps whole.
        clock: A monotonic clock in seconds.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a number is out of range.
    """

    async def interrupt(self) -> InterruptReceipt:
        """Drop every item inside and keep running; sentinels survive, in order.

        From the moment it is entered, nothing older is ever emitted, whatever is still
        running; the next item accepted is the next processed. It does not wait for stage
        functions and is no checkpoint, so a stage may call it. Producers blocked in a put
        return: their items were of this turn and are dropped with it. Without effect when
        the pipeline is not running.

        Returns:
            What was dropped, per stage, and which stages are still in an interrupted call.
        """
        return self._current.interrupt() if self.running and self._current is not None else InterruptReceipt()

    def clear(self) -> InterruptReceipt:
        """Drop everything inside, sentinels included, and reset counters and report.

        May be called at any time; the end of a closed input is kept. Never blocks.

        Returns:
            What was dropped.

        Raises:
            PipelineStateError: If called in another thread while the pipeline is running.
        """
        receipt = InterruptReceipt()
        if self.running:
            receipt = self._on_the_loop("clear").interrupt(keep_sentinels=False)
        for stage in self.stages:
            stage.counts = StageCounts()
        for runner in self._current.runners if self._current is not None else ():
            # What an interrupted call still spends is booked to the counters it began with.
            runner.session.counts = runner.stage.counts
        self._forget_run()
        self._delivered = self._dropped_at_output = 0
        self._history.clear()
        return receipt

    def clear_input_queue(self) -> None:
        """Drop what waits for the first stage, sentinels included; counted as dropped."""
        if self.running and self._current is not None:
            self._current.clear_link(0)

    def clear_output_queue(self) -> None:
        """Drop what waits for the consumer, sentinels included; counted as dropped."""
        if self.running and self._current is not None:
            self._current.clear_output()
