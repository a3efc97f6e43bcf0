"""Where results leave: the one place that delivers, to one consumer at a time.

The rule: the consumer waits for "there is something" and then takes it in one step
without an await, so that a read that is cancelled, natively or not, takes nothing, and
nothing is ever outside the reach of an interrupt but what the consumer already has.

It is a class and not an async generator: it can be left by ``break`` and taken up
again, needs no closing, and holds nothing across a yield (PEP 789).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Generic, TypeVar

from anyio import BusyResourceError, Event
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled

from ._items import Control, Kind, Timed
from ._links import Link, drain

OutT = TypeVar("OutT")

READS_PER_CHECKPOINT = 64
"""A read that need not wait yields to other tasks this seldom: a checkpoint costs ten
times what the read does."""


class Exit:
    """The output of one run."""

    def __init__(self, link: Link, *, pump: Callable[[], None], record: Callable[[Timed], None] | None) -> None:
        self.link = link
        self.items: int = 0
        self.delivered: int = 0
        self.dropped: int = 0
        self._pump = pump
        self._record = record
        self._reads = 0
        self._reading = False
        self._wanted: Event | None = None
        self._failure: BaseException | None = None
        self._traceback: TracebackType | None = None
        self._ended = False
        self.on_end: Callable[[], None] = lambda: None
        link.wake_reader = self._wake

    def _wake(self) -> None:
        if self._wanted is not None:
            self._wanted.set()

    def end(self, failure: BaseException | None = None) -> None:
        """End the output; with a failure, every later read raises it. Idempotent."""
        if not self._ended:
            self._ended = True
            self._failure = failure
            self._traceback = None if failure is None else failure.__traceback__
            self._wake()

    def ended_with(self, error: BaseException) -> bool:
        """Whether the consumer has met this error."""
        return self._failure is error

    def accept(self, items: int, controls: Iterable[Control] = ()) -> None:
        """Take responsibility for entries just put into the link."""
        self.items += items
        self.link.appended()

    async def read(self) -> Any:
        """The next result or sentinel; see :py:class:`OutputStream`."""
        if self._reading:
            raise BusyResourceError("reading the output of")
        self._reading = True
        try:
            self._reads += 1
            if self._reads % READS_PER_CHECKPOINT == 0:
                await checkpoint()
            while not self.link.buffer and not self._ended:
                self._wanted = Event()
                await self._wanted.wait()
            if self._ended:
                # What cancelled the consumer may have stopped the pipeline: the cancellation
                # is what the consumer has to hear.
                await checkpoint_if_cancelled()
                raise self._end
            return self._take()
        finally:
            self._reading = False
            self._wanted = None

    @property
    def _end(self) -> BaseException:
        """What to raise at the end; a failure as it was, without the frames of earlier reads."""
        failure = self._failure
        return StopAsyncIteration() if failure is None else failure.with_traceback(self._traceback)

    def _take(self) -> Any:
        link = self.link
        entry = link.buffer.popleft()
        if len(link.buffer) <= link.notify_at:
            self._pump()
        if type(entry) is Control:
            if entry.kind is not Kind.END:
                return entry.value
            self.end(entry.value)
            self.on_end()
            raise self._end
        self.items -= 1
        self.delivered += 1
        if self._record is None:
            return entry
        self._record(entry)
        return entry.data

    def line_up(self, controls: list[Control]) -> None:
        """Put controls behind what is here, but not behind the end of input, where nobody reads on."""
        buffer = self.link.buffer
        if buffer and type(buffer[-1]) is Control and buffer[-1].kind is Kind.END:
            controls = [*controls, buffer.pop()]
        controls.sort(key=lambda each: each.kind is Kind.END)
        buffer.extend(controls)
        self.accept(0, controls)

    def flush(self, *, keep_sentinels: bool) -> tuple[list[Any], list[Control]]:
        """Drop every item; return them, and the controls that survive."""
        lasting = (Kind.SENTINEL, Kind.END) if keep_sentinels else (Kind.END,)
        entries = drain(self.link.buffer)
        controls = [each for each in entries if type(each) is Control and each.kind in lasting]
        self.dropped += self.items
        self.items = 0
        return [each for each in entries if type(each) is not Control], controls


class OutputStream(Generic[OutT]):
    """An async iterator over the results of one run of a pipeline, in order.

    Made by :py:meth:`AsyncTaskPipeline.generate_output_stream`. Leaving a loop over it
    by ``break`` and starting another continues where the first left off; a read that is
    cancelled loses nothing. It ends after the last result once the input is closed,
    or at once when the pipeline is stopped.

    Iterating raises the failure that ended the pipeline, if one did, and
    :py:exc:`anyio.BusyResourceError` if another task is reading the same output now.
    """

    def __init__(self, exit_: Exit) -> None:
        self._exit = exit_

    def __aiter__(self) -> OutputStream[OutT]:
        """Return the stream itself."""
        return self

    async def __anext__(self) -> OutT:
        """Wait for the next result or sentinel; a checkpoint if it has to wait."""
        result: OutT = await self._exit.read()
        return result

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close. For code written for a generator."""
