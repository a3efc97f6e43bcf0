"""A stage's worker as a thread.

The rule: one thread is entered once per turn and stays; between items it looks at a
plain flag and waits, without polling, on a queue of tickets. It never touches the
loop's data: it takes an entry, adds to its outbox and wakes the loop, all of which are
safe from any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Self

from anyio import CancelScope, CapacityLimiter, Event, to_thread

from .._exceptions import raisable, unawaited
from .._items import Batch, Control, Kind
from .._links import Link
from .._parking import Need, Parking
from .._stage import PipelineStage
from ._sessions import Session, Tools, no_clock
from ._setup import Preparation

_UNUSUAL = frozenset({GeneratorType, CoroutineType, AsyncGeneratorType})


class ThreadWorker:
    """A worker whose sessions are threads; what ``setup`` made outlives them.

    The state is made in the first session's thread and let go in the last one's, or, if
    that has gone, in another of anyio's threads.

    Attributes:
        closing: Whether no session follows the present one.
        in_use: Whether a thread may be in a call.
    """

    def __init__(self, stage: PipelineStage, link: Link, tools: Tools) -> None:
        self.stage = stage
        self.link = link
        self.tools = tools
        self.ready = Event()
        self.closing = False
        self.in_use = False
        self._preparation = Preparation(stage.process_fn, stage.setup)
        if self._preparation.entered:
            self.ready.set()

    def session(self) -> ThreadSession:
        """A new session, which has its own thread."""
        return ThreadSession(self)

    def enter(self) -> None:
        """Make the state, in a session's thread, if there is none yet."""
        if not self._preparation.entered:
            self._preparation.enter()
            self.tools.waker.post(self.ready.set)

    def leave(self) -> None:
        """Let the state go, in the thread that was the last to use it if that is still there."""
        self._preparation.leave()

    @property
    def function(self) -> Callable[..., Any]:
        """What is called with an item's data."""
        return self._preparation.function

    async def __aenter__(self) -> Self:
        """Do nothing: the first session's thread makes the state."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Let the state go."""
        self.closing = True
        # A thread that asyncio would not wait for is still in use: it will see to it.
        if self.stage.setup is not None and not self.in_use:
            with CancelScope(shield=True):
                await to_thread.run_sync(self.leave, limiter=CapacityLimiter(1))


class ThreadSession(Session):
    """Calls a plain function on a resident thread, which is entered once per turn."""

    def __init__(self, worker: ThreadWorker) -> None:
        super().__init__(worker.stage, worker.link, worker.tools, worker)
        self._worker = worker
        self._waker = worker.tools.waker
        self._parking = Parking()
        self._serving = False

    def unpark(self, need: Need | None = None) -> bool:
        """Release the thread if it waits for this, or at all."""
        return self._parking.unpark(need)

    def _has_item(self) -> bool:
        self.on_park(Need.ITEM)
        return self.stale or self.over or bool(self.available())

    def _has_room(self) -> bool:
        self.on_park(Need.ROOM)
        return self.stale or len(self.outbox) < self.limit

    async def work(self) -> None:
        """Serve the inbox until the end of input, staleness or failure.

        Cancelling waits for the running call: the thread is never abandoned.
        """
        try:
            # A limiter of its own: the default one is shared with the application's
            # file access, and 40 busy stages would starve it.
            broke = await to_thread.run_sync(self._served, limiter=CapacityLimiter(1))
            if broke is not None:
                try:
                    raise broke
                finally:
                    del broke  # or it would keep itself, and all it came through, until collected
        finally:
            # Matters only when asyncio cancelled this task natively, which does not wait
            # for the thread: it leaves by itself after its call.
            self.stale = True
            self.left_behind = self._serving
            self.unpark()

    def _served(self) -> BaseException | None:
        """Serve, and return what that raised: the way out of a thread is not made for every exception."""
        try:
            self._serve()
        except BaseException as exc:
            return exc
        return None

    def _serve(self) -> None:
        self._serving = self._worker.in_use = True
        try:
            self._worker.enter()
            if self.resets and not self.stale and self.stage.on_interrupt is not None:
                self.stage.on_interrupt()
            self.serve_turn()
        except (GeneratorExit, StopIteration) as exc:
            # In the future that carries it to the loop, it would look like something else.
            raise raisable(exc) from exc
        finally:
            self._worker.in_use = False
            if self._worker.closing or not self.stale:  # no session of this worker follows
                self._worker.leave()
            self._serving = False

    def serve_turn(self) -> None:
        """Serve the link; the body of the worker thread."""
        serve = self._loop_in_crew if self.sorted else self._loop
        serve(self._worker.function)

    def _loop(self, function: Callable[..., Any]) -> None:
        inbox, outbox, link, waker = self.inbox, self.outbox, self.link, self._waker
        timed, clock, limit = self.clock is not None, self.clock or no_clock, self.limit
        take, give, wake = self.take, outbox.append, waker.wake
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

    def _loop_in_crew(self, function: Callable[..., Any]) -> None:
        """The same for one of several, which is dealt items alone."""
        while not self.stale:
            if len(self.outbox) >= self.limit:
                self._parking.park(Need.ROOM, self._has_room)
                continue
            try:
                entry = self.take()
            except IndexError:
                entry = self.called = None
                if self.over:
                    return
                self._parking.park(Need.ITEM, self._has_item)
                continue
            if len(self.inbox) <= self.link.notify_at:
                self._waker.wake()
            self._call(function, entry)

    def _call(self, function: Callable[..., Any], entry: Any) -> None:
        """See one item, or batch, through."""
        timed, clock = self.clock is not None, self.clock or no_clock
        data = self.data_of(entry)
        self.called = entry if timed else None
        start = clock()
        self.begin()
        try:
            result = function(data)
        except BaseException as exc:
            self.began = None
            self.failed(exc, start, clock())
        else:
            self.began = None
            if type(entry) is Batch:
                self.returned_batch(result, entry, start, clock())
            else:
                self._settle(result, entry, start, clock())
        self.ended()
        self._waker.wake()

    def _settle(self, result: Any, entry: Any, start: float, end: float) -> None:
        """Put what is not a plain untimed result."""
        if type(result) is GeneratorType:
            self._expand(result, entry, start)
        elif (kind := unawaited(result)) is not None:
            self.failed(self.not_awaited(kind), start, end)
        else:
            self.returned(result, entry, start, end)

    def _expand(self, generator: GeneratorType[Any, None, None], entry: Any, start: float) -> None:
        """Pass on each yielded value at once, as room allows."""
        clock = self.clock or no_clock
        first = True
        self.generating = True
        try:
            while self._room():
                self.begin()
                try:
                    value = next(generator)
                except StopIteration:
                    break
                except BaseException as exc:
                    self.failed(exc, start, clock(), first=first)
                    return
                finally:
                    self.began = None
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
