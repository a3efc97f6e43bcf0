"""Where results leave: the one place that delivers, to one consumer at a time.

The rule: the consumer waits for "there is something" and then takes it in one step
without an await, so that a read that is cancelled, natively or not, takes nothing, and
nothing is ever outside the reach of an interrupt but what the consumer already has.

It is a class and not an async generator: it can be left by ``break`` and taken up
again, needs no closing, and keeps nothing across a yield (PEP 789).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

from anyio import BusyResourceError, Event
from anyio.lowlevel import checkpoint_if_cancelled

from ._counting import TakenOut
from ._item import END, PASSED, Item
from ._link import Link
from ._stage_runner import StageRunner
from ._wakeup import Waker, current_run_sync_soon

OutT = TypeVar("OutT")


class Output:
    """The output of one run: reads the last link, one item at a time.

    The burst that the consumer is at stays in the link, so an interrupt reaches it.

    Attributes:
        delivered: Items handed to the consumer.
        dropped: Items dropped here.
        last: The last stage, which waits for room here.
        lock: Taken for what happens after the end of the run, in any thread.
    """

    last: StageRunner

    def __init__(
        self, link: Link, waker: Waker, *, record: Callable[[Item], None] | None, on_end: Callable[[], None]
    ) -> None:
        self.link = link
        self._half = link.maxsize // 2
        self.delivered: int = 0
        self.dropped: int = 0
        self._waker = waker
        self._record = record
        self._on_end = on_end
        self._reading = False
        self._wanted: Event | None = None
        self._failure: BaseException | None = None
        self._traceback: TracebackType | None = None
        self._ended = False
        self.lock: AbstractContextManager[object] = threading.RLock()

    def end(self, failure: BaseException | None = None) -> None:
        """End the output; with a failure, every later read raises it. Idempotent."""
        if not self._ended:
            self._ended = True
            self._failure = failure
            self._traceback = None if failure is None else failure.__traceback__
            self.arrived(0)

    @property
    def ended(self) -> bool:
        """Whether the consumer has met the end, or is about to."""
        return self._ended

    def ended_with(self, error: BaseException) -> bool:
        """Whether the consumer has met this error."""
        return self._failure is error

    def arrived(self, items: int) -> None:
        """Tell the consumer that there is something."""
        if self._wanted is not None:
            self._wanted.set()

    def check_here(self) -> None:
        """Raise if the caller is in another thread, or on another loop."""
        if not self._ended:
            self._waker.check_here("reading the output")

    async def read(self) -> Any:
        """The next result or sentinel; see :py:class:`OutputStream`."""
        link = self.link
        if link.taken == link.sent or self._ended or self._reading or self._waker.keeps_loop:
            item = await self._next()
        else:
            item = link.pop()
        # Once the link is half empty, which is soon enough: at one item at a time a fast chain
        # would be pumped for every item.
        if link.sent - link.taken == self._half:
            self._waker.pump_now(self.last)
        if item.outcome == PASSED:
            self.delivered += 1
            if self._record is not None:
                self._record(item)
        elif item.outcome == END:
            self._ended = False  # by a stop, perhaps, which did not know of this
            self.end(item.data)
            self._on_end()
            raise self._end
        return item.data

    async def _next(self) -> Item:
        """Wait until there is something, and take it; raises the end."""
        if self._reading:
            raise BusyResourceError("reading the output of")
        self._reading = True
        try:
            await self._waker.let_others_run()
            while not self.link.level and not self._ended:
                self.check_here()
                self._wanted = Event()
                await self._wanted.wait()
            if self._ended:
                # What cancelled the consumer may have stopped the pipeline: the cancellation
                # is what the consumer has to hear.
                await checkpoint_if_cancelled()
                return self._next_kept()
            return self.link.pop()
        finally:
            self._reading = False
            self._wanted = None

    def _next_kept(self) -> Item:
        """What a stop has left here, or the end; not even that is left by a failure."""
        with self.lock:
            if self._failure is not None or not self.link.level:
                raise self._end
            return self.link.pop()

    @property
    def _end(self) -> BaseException:
        """What to raise at the end; a failure as it was, without the frames of earlier reads."""
        failure = self._failure
        return StopAsyncIteration() if failure is None else failure.with_traceback(self._traceback)

    def line_up(self, others: list[Item]) -> None:
        """Put sentinels behind what is here, but not behind the end of input, where nobody reads on."""
        with self.lock:
            if (end := self.link.take_end()) is not None:
                others = [*others, end]
            others.sort(key=lambda each: each.outcome == END)
            if others:
                self.link.send(others, others)
        self.arrived(0)

    def flush(self) -> TakenOut:
        """Drop everything; return what it was."""
        with self.lock:
            out = self.link.take_out()
            self.dropped += out.items
        return out


class CurrentOutput:
    """The output of the current or last run; before there is one, readers wait for it here."""

    def __init__(self) -> None:
        self._output: Output | None = None
        self._waiting: dict[Event, Callable[[Callable[[], object]], object]] = {}

    def begin(self, output: Output) -> None:
        """Take the output of the run that begins; wake the readers that waited for it."""
        self._output = output
        for event, post in [*self._waiting.items()]:
            with contextlib.suppress(RuntimeError):  # its loop has ended
                post(event.set)

    async def get(self) -> Output:
        """The current one, as soon as there is one."""
        event = Event()
        self._waiting[event] = current_run_sync_soon()  # before the look
        try:
            if self._output is None:
                await event.wait()
        finally:
            del self._waiting[event]
        return cast("Output", self._output)


class OutputStream(Generic[OutT]):
    """An async iterator over the results of one run of a pipeline, in order.

    Made by :py:meth:`AsyncTaskPipeline.generate_output_stream`. The run is that in which it
    is first read; read before the first start, it waits for that. Leaving a loop over it
    by ``break`` and starting another continues where the first left off; a read that is
    cancelled loses nothing. It ends after the last result once the input is closed. When
    the pipeline is stopped, it ends after what had come as far as the output, and after a
    new start at once; when its block is left, or something fails, at once.

    Iterating raises the failure that ended the pipeline, if one did, and
    :py:exc:`anyio.BusyResourceError` if another task is reading the same output now, and
    :py:exc:`PipelineStateError` on another event loop than the pipeline's.
    """

    def __init__(self, output: Output | None, current: CurrentOutput) -> None:
        self._output = output
        self._current = current

    def __aiter__(self) -> OutputStream[OutT]:
        """Return the stream itself."""
        return self

    def __anext__(self) -> Awaitable[OutT]:
        """Wait for the next result or sentinel; a checkpoint if it has to wait."""
        output = self._output
        return self._read_first() if output is None else output.read()

    async def _read_first(self) -> Any:
        output = await self._current.get()
        output.check_here()
        self._output = output
        return await self._output.read()

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close. For code written for a generator."""
