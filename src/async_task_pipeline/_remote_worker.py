"""A stage's worker as another process, or another interpreter, seen from here.

The rule: a thread speaks with the far end, so nothing here can block the loop, and what
the far end says becomes outcomes exactly as a thread's own calls do. Small items travel
in bursts, as many as take about ``BURST_SECONDS``, so that a burst never holds up much;
slow ones travel alone.

A process can be ended, so an interrupt ends the running call at once and the next turn
gets a fresh process. When a process dies by itself, the call it was in has failed; what
else was in its burst is sent to a new process, one at a time, until it is clear which.
"""

from __future__ import annotations

import pickle
import time
from collections import deque
from typing import Any

from anyio import CancelScope, CapacityLimiter, Event, to_thread

from ._exceptions import RemoteCallError, WorkerDiedError
from ._far_ends import FarEnd, FarEndClosedError, Spares
from ._items import Batch, Control, Kind
from ._links import Link
from ._parking import Need
from ._remote_peer import Said, Word, unpacked_exception
from ._sessions import Tools, no_clock, not_a_list, not_awaited
from ._stages import PipelineStage
from ._thread_worker import ThreadSession, ThreadWorker

BURST_SECONDS = 0.001
"""What a burst may take: ten times what it costs to send one."""

MOST_ITEMS = 64
"""In one burst: a round trip is then a small part of what an item costs anyway."""


class RemoteWorker(ThreadWorker):
    """A worker at a far end, which outlives its sessions unless it is killed."""

    def __init__(self, stage: PipelineStage, link: Link, tools: Tools, spares: Spares) -> None:
        super().__init__(stage, link, tools)
        self.ready = Event()
        self.far: FarEnd | None = None
        self.busy = False
        self._killed: FarEnd | None = None
        self.burst = 1
        self._spares = spares
        self._may_burst = stage.timeout is None and stage.batch is None

    def session(self) -> RemoteSession:
        """A new session, which has its own thread here and the far end there."""
        return RemoteSession(self)

    def enter(self) -> None:
        """Have a far end that is ready."""
        if self.far is not None and self.far is self._killed:
            # For a call that ended in that very moment, so that nobody has missed it yet.
            self.far.fate()
            self.far = None
        if self.far is None:
            self.busy = False
            self.far = self._spares.take()
        if self.closing and not self.far.is_ready():
            self.kill()  # whoever closes looked before it was there
        try:
            self.far.wait_ready()
        except FarEndClosedError as exc:
            far, self.far = self.far, None
            fate = far.fate()
            if self.closing:
                return
            raise WorkerDiedError(f"stage {self.stage.name!r}: the worker {fate} before it was ready") from exc
        self.tools.waker.post(self.ready.set)

    def leave(self) -> None:
        """Have the far end leave, or end it if it is in a call."""
        far, self.far = self.far, None
        if far is None:
            return
        if self.busy and far.kill():
            far.fate()
        else:
            far.leave()

    def kill(self) -> None:
        """End the far end, if that can be done. On the loop, or while closing."""
        far = self.far
        if far is not None and far.kill():
            self._killed = far

    @property
    def end(self) -> FarEnd:
        """The far end; none is an end that has closed."""
        if self.far is None:
            raise FarEndClosedError
        return self.far

    async def __aexit__(self, *exc_info: object) -> None:
        """Leave no far end behind."""
        with CancelScope(shield=True):
            await to_thread.run_sync(self._leave_with_spares, limiter=CapacityLimiter(1))

    def _leave_with_spares(self) -> None:
        try:
            self.leave()
        finally:
            self._spares.close()

    def adapt(self, calls: int, seconds: float, *, generated: bool) -> None:
        """Choose the size of the next bursts from how long one took."""
        if generated:
            self._may_burst = False
        if not self._may_burst:
            self.burst = 1
        elif seconds * 2 < BURST_SECONDS and calls >= self.burst:
            self.burst = min(MOST_ITEMS, self.burst * 2)
        elif seconds > BURST_SECONDS:
            self.burst = max(1, self.burst // 2)


class RemoteSession(ThreadSession):
    """Has a function called at a far end."""

    def __init__(self, worker: RemoteWorker) -> None:
        super().__init__(worker)
        self._remote = worker
        self._said: deque[Said] = deque()
        self._sent_at = self._offset = 0.0
        # How many entries are to be sent alone, after a death among them; and how often
        # sending has failed since something was received.
        self._suspects = 0
        self._refused = 0
        self._generated = False
        self._now = self.clock or no_clock
        # Of the call that is being heard of: whether it has had no outcome yet, and whether
        # what it still yields is ignored.
        self._first, self._discard = True, False
        # What an interrupted call raised, until nothing more is to be heard of it.
        self._late_failure: BaseException | None = None

    def abandon(self) -> None:
        """End the running call at once, if the far end can be ended."""
        remote = self._remote
        if remote.busy or (remote.closing and remote.far is not None and not remote.far.is_ready()):
            remote.kill()

    def serve_turn(self) -> None:
        """Serve the link in bursts; the body of the worker thread."""
        while not self.stale:
            room = self.limit - len(self.outbox)
            if room <= 0:
                self._parking.park(Need.ROOM, self._has_room)
                continue
            # A share of what waits, or other workers stand idle while it waits behind a slow item.
            share = max(1, len(self.inbox) // self.stage.workers)
            burst, control = self._take(min(self._remote.burst, room, share))
            if burst:
                self._see_through(burst)
            elif control is None:
                self.called = None
                if self.over:
                    return
                self._parking.park(Need.ITEM, self._has_item)
            if control is not None:
                self.outbox.append(control)
                self._waker.wake()
                if control.kind is Kind.END:
                    return

    def _take(self, most: int) -> tuple[deque[Any], Control | None]:
        burst: deque[Any] = deque()
        while len(burst) < most:
            try:
                entry = self.take()
            except IndexError:
                break
            if len(self.inbox) <= self.link.notify_at:
                self._waker.wake()
            if type(entry) is Control:
                return burst, entry
            burst.append(entry)
        return burst, None

    def _see_through(self, entries: deque[Any]) -> None:
        """Have all calls made, whatever becomes of far ends meanwhile."""
        while entries and not self.stale:
            waiting_for = 0
            began = time.perf_counter()
            try:
                waiting_for = sent = self._send(entries)
                while waiting_for:
                    self._receive(entries[0])
                    entries.popleft()
                    waiting_for -= 1
                    self._suspects -= self._suspects > 0
                self._refused = 0
                self._remote.adapt(sent, time.perf_counter() - began, generated=self._generated)
                self._remote.busy = False
            except FarEndClosedError:
                far, self._remote.far = self._remote.far, None
                self._remote.busy = False
                fate = "" if far is None else far.fate()
                if not self.stale:
                    self._died(entries, waiting_for, fate)
            except BaseException:
                # Of a call that ends the pipeline. If nothing is running after it, the far end
                # can be asked to leave.
                self._remote.busy = waiting_for > 1 or self._discard
                raise
        if self._late_failure is not None:
            raise self._late_failure

    def _send(self, entries: deque[Any]) -> int:
        """Send as many of the entries as go into one request; return how many."""
        calls: list[bytes] = []
        far = self._remote.far
        for entry in [*entries][: 1 if self._suspects else None]:
            try:
                calls.append(pickle.dumps(self._data_of(entry), pickle.HIGHEST_PROTOCOL))
            except Exception as exc:
                if calls:
                    break  # its turn comes with the next request
                error = RemoteCallError(f"an item cannot be sent to the worker: {self._data_of(entry)!r} ({exc})")
                error.__cause__ = exc
                self._refuse(entries.popleft(), error)
                return 0
        self._remote.busy = True
        if self.stale or far is None:
            return 0  # an interrupt that looked before that has ended nothing
        self._said.clear()
        self._sent_at = self._now()
        far.send((max(1, self.limit - len(self.outbox)), calls))
        return len(calls)

    def _data_of(self, entry: Any) -> Any:
        if type(entry) is Batch:
            return self.data_of(entry)
        return entry if self.clock is None else entry.data

    def _refuse(self, entry: Any, error: Exception) -> None:
        """Let the call for an entry have failed before it, or while nobody could see it."""
        now = self._now()
        self.called = entry if self.clock is not None else None
        self.failed(error, now, now, first=not self.yielded_any)
        self.generating = False
        self.ended()
        self._waker.wake()

    def _died(self, entries: deque[Any], waiting_for: int, fate: str) -> None:
        """Go on after a far end has died, blaming the call that it was in if that is clear."""
        self._refused += not waiting_for
        if waiting_for == 1 or self.yielded_any or self._refused > 1:
            self._suspects -= self._suspects > 0
            self._refused = 0
            self._refuse(entries.popleft(), WorkerDiedError(f"stage {self.stage.name!r}: the worker {fate} in a call"))
        else:
            self._suspects = waiting_for
        self._remote.enter()

    def _receive(self, entry: Any) -> None:
        """Turn what is said of one call into outcomes."""
        self.called = entry if self.clock is not None else None
        self._first, self._discard = True, False
        over = False
        try:
            while not over:
                self.begin()
                said = self._next()
                self.began = None
                if said[0] is Word.NO_CREDIT:
                    self._ask_for_more()
                elif self.stale or self._discard:
                    over = self._ignore(said)
                else:
                    over = self._book(entry, said)
        except BaseException:
            self.had_outcome = not self._first
            raise
        self.generating = False
        self.ended()
        self._waker.wake()

    def _book(self, entry: Any, said: Said) -> bool:
        """Put what is said into the outbox; whether it was the last word on the call."""
        word, packed, start, end = said
        if type(entry) is Batch and word in (Word.YIELDED, Word.EXHAUSTED):
            self._discard = word is Word.YIELDED
            self.failed(not_a_list(self.stage, entry, "a generator"), start, end)
            return not self._discard
        if word is Word.EXHAUSTED:
            if self._first:
                self.returned(None, entry, start, end)
            elif self.clock is not None:
                self.spent(start, end, useful=True)
            return True
        try:
            value = self._value(word, packed)
        except BaseException as exc:
            # A value that cannot be unpickled here is the failure of its call; over there
            # the generator goes on, and what it yields is ignored.
            self._discard = word is Word.YIELDED
            self.failed(exc, start, end, first=self._first)
            return not self._discard
        if word is Word.YIELDED:
            self._generated = self.generating = True
            self.yielded(value, entry, start, end, first=self._first)
            self._first = False
            self._waker.wake()
            return False
        if type(entry) is Batch:
            self.returned_batch(value, entry, start, end)
        else:
            self.returned(value, entry, start, end)
        return True

    def _ignore(self, said: Said) -> bool:
        """Hear out a call that is stale; whether it was the last word on it."""
        word, packed, _, _ = said
        if word is Word.RAISED and packed is not None and not self._discard:
            self._late_failure = unpacked_exception(packed)
        return word is not Word.YIELDED

    def _next(self) -> Said:
        """The next word, with instants of our clock."""
        while not self._said:
            elapsed, said = self._remote.end.receive()
            now = self._now()
            if self.clock is time.perf_counter:
                # Half of what the round trip took besides is the way there: queue wait.
                offset = self._sent_at + (now - self._sent_at - elapsed) / 2
                self._said.extend((word, packed, offset + start, offset + end) for word, packed, start, end in said)
            else:  # what the far end has measured is of another clock
                self._said.extend((word, packed, self._sent_at, now) for word, packed, _, _ in said)
        return self._said.popleft()

    def _ask_for_more(self) -> None:
        """Have a generator go on when there is room, or end if nobody wants the rest."""
        wanted = not self._discard and self._room()
        self._sent_at = self._now()
        self._remote.end.send(self.limit - len(self.outbox) if wanted else 0)

    def _value(self, word: Word, packed: bytes | None) -> Any:
        """What a call returned or yielded; raises what it raised."""
        if word is Word.RAISED and packed is not None:
            error = unpacked_exception(packed)
            if error is not None:
                raise error
        if packed is None:
            return None
        try:
            value = pickle.loads(packed)  # noqa: S301  we started what sent it
        except Exception as exc:
            raise RemoteCallError(f"a result cannot be unpickled here: {exc!r}") from exc
        if word is Word.AWAITABLE:
            raise not_awaited(self.stage, value)
        return value
