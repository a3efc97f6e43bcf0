"""A stage's worker as a thread.

The rule: one thread is entered once per turn and stays; between items it looks at a
plain flag and waits, without polling, on a queue of tickets. It never touches the
loop's data: it takes from its inbox, adds to its outbox and wakes the loop, all of
which are safe from any thread.
"""

from __future__ import annotations

from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from anyio import CapacityLimiter, to_thread

from ._exceptions import raisable
from ._items import Control, Kind
from ._links import Link
from ._parking import Need, Parking
from ._posting import Waker
from ._sessions import Outcomes, no_clock, returned_awaitable
from ._stages import PipelineStage
from ._timing import Clock

_UNUSUAL = frozenset({GeneratorType, CoroutineType, AsyncGeneratorType})


class ThreadSession(Outcomes):
    """Calls a plain function on a resident thread, which is entered once per turn."""

    def __init__(self, stage: PipelineStage, link: Link, limit: int, clock: Clock | None, waker: Waker) -> None:
        super().__init__(stage, link, limit, clock)
        self._waker = waker
        self._parking = Parking()
        self._serving = False

    def unpark(self, need: Need | None = None) -> None:
        """Release the thread if it waits for this, or at all."""
        self._parking.unpark(need)

    def _has_item(self) -> bool:
        return self.stale or bool(self.inbox)

    def _has_room(self) -> bool:
        return self.stale or len(self.outbox) < self.limit

    async def work(self) -> None:
        """Serve the inbox until the end of input, staleness or failure.

        Cancelling waits for the running call: the thread is never abandoned.
        """
        try:
            # A limiter of its own: the default one is shared with the application's
            # file access, and 40 busy stages would starve it.
            await to_thread.run_sync(self._serve, limiter=CapacityLimiter(1))
        finally:
            # Matters only when asyncio cancelled this task natively, which does not wait
            # for the thread: it leaves by itself after its call.
            self.stale = True
            self.left_behind = self._serving
            self.unpark()

    def _serve(self) -> None:
        self._serving = True
        try:
            if self.resets and not self.stale and self.stage.on_interrupt is not None:
                self.stage.on_interrupt()
            self._loop()
        except GeneratorExit as exc:
            # In the future that carries it to the loop, it would look like a closing.
            raise raisable(exc) from exc
        finally:
            self._serving = False

    def _loop(self) -> None:
        """Serve the inbox; the body of the worker thread."""
        inbox, outbox, link, waker = self.inbox, self.outbox, self.link, self._waker
        function, limit = self.stage.process_fn, self.limit
        timed, clock = self.clock is not None, self.clock or no_clock
        take, give, wake = inbox.popleft, outbox.append, waker.wake
        start = end = 0.0
        while not self.stale:
            if len(outbox) >= limit:
                self._parking.park(Need.ROOM, self._has_room)
                continue
            try:
                entry = take()
            except IndexError:
                entry = result = self.called = None  # not to keep the last item alive while parked
                self._parking.park(Need.ITEM, self._has_item)
                continue
            if len(inbox) <= link.notify_at:
                wake()
            if type(entry) is Control:
                give(entry)
                wake()
                if entry.kind is Kind.END:
                    return
                continue
            try:
                if timed:
                    self.called = entry
                    start = clock()
                    result = function(entry.data)
                    end = clock()
                else:
                    result = function(entry)
            except BaseException as exc:
                self.failed(exc, start, clock())
                wake()
                continue
            if timed or result is None or type(result) in _UNUSUAL:
                self._settle(result, entry, start, end)
            else:
                give(result)
            if not waker.pending:
                wake()

    def _settle(self, result: Any, entry: Any, start: float, end: float) -> None:
        """Put what is not a plain untimed result."""
        kind = type(result)
        if kind in _UNUSUAL:
            if kind is GeneratorType:
                self._expand(result, entry, start)
            else:
                self.failed(returned_awaitable(self.stage, result), start, end)
        else:
            self.returned(result, entry, start, end)

    def _expand(self, generator: GeneratorType[Any, None, None], entry: Any, start: float) -> None:
        """Pass on each yielded value at once, as room allows."""
        clock = self.clock or no_clock
        first = True
        self.generating = True
        try:
            while self._room():
                try:
                    value = next(generator)
                except StopIteration:
                    break
                except BaseException as exc:
                    self.failed(exc, start, clock(), first=first)
                    return
                self.yielded(value, entry, start, clock(), first=first)
                first = False
                self._waker.wake()
                start = clock()
            if first:
                self.returned(None, entry, start, clock())
            elif self.clock is not None:
                self.spent(start, clock(), useful=True)
        except BaseException:
            self.had_outcome = not first
            raise
        finally:
            # In this thread, as it was run: a generator may hold thread-bound state.
            generator.close()
            self.generating = False
            self._waker.wake()

    def _room(self) -> bool:
        """Wait until an outcome has room; false if it would be stale."""
        while len(self.outbox) >= self.limit and not self.stale:
            self._parking.park(Need.ROOM, self._has_room)
        return not self.stale
