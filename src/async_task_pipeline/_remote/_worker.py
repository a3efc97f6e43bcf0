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
import threading
import time
from collections import deque
from typing import Any

from anyio import CancelScope, CapacityLimiter, Event, to_thread

from .._exceptions import RemoteCallError, WorkerDiedError, shown
from .._items import Control, Kind
from .._links import Link
from .._parking import Need
from .._stage import PipelineStage
from .._workers._sessions import Tools
from .._workers._thread_worker import ThreadWorker
from ._calls import RemoteCalls
from ._far_ends import FarEnd, FarEndClosedError, Spares

BURST_SECONDS = 0.001
"""What a burst may take: ten times what it costs to send one."""

MOST_ITEMS = 64
"""In one burst: a round trip is then a small part of what an item costs anyway."""


LAST_CALLS_SECONDS = 0.5
"""What the rest of a burst gets after a call in it has ended the pipeline: far more than a
burst should take, so that the state is let go, and little enough to wait."""


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
        spare = False
        if self.far is None:
            self.busy = False
            self.far, spare = self._spares.take()
        fate = self._wait_ready(self.far)
        if fate is not None and spare and not self.closing:
            # It died while nobody needed it, which is no fault of the stage's.
            self.far, _ = self._spares.take()
            fate = self._wait_ready(self.far)
        if fate is None:
            self.tools.waker.post(self.ready.set)
        elif not self.closing:
            raise WorkerDiedError(f"stage {self.stage.name!r}: the worker {fate} before it was ready")

    def _wait_ready(self, far: FarEnd) -> str | None:
        """Wait for the far end; tell how it ended, if it did."""
        if self.closing and not far.is_ready():
            self.kill()  # whoever closes looked before it was there
        try:
            far.wait_ready()
        except FarEndClosedError:
            self.far = None
            return far.fate()
        return None

    def leave(self) -> None:
        """Have the far end leave; end it if it stays in a call."""
        far, self.far = self.far, None
        if far is None:
            return
        # It is in calls still if one of a burst has ended the pipeline and others come after it.
        deadline = threading.Timer(LAST_CALLS_SECONDS, far.kill)
        if self.busy:
            deadline.start()
        try:
            far.leave()
        finally:
            deadline.cancel()

    def kill(self) -> None:
        """End the far end, if that can be done. On the loop, or while closing."""
        far = self.far
        if far is not None and far.kill():
            self._killed = far

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


class RemoteSession(RemoteCalls):
    """Has a function called at a far end."""

    def __init__(self, worker: RemoteWorker) -> None:
        super().__init__(worker)
        self._remote = worker
        # How many entries are to be sent alone, after a death among them; and how often
        # sending has failed since something was received.
        self._suspects = 0
        self._refused = 0

    @property
    def end(self) -> FarEnd:
        """The far end; none is as one that has ended."""
        if self._remote.far is None:
            raise FarEndClosedError
        return self._remote.far

    def abandon(self) -> None:
        """Be stale, and end the running call at once if the far end can be ended."""
        super().abandon()
        remote = self._remote
        far = remote.far  # the thread may let go of it at any moment
        if remote.busy or (remote.closing and far is not None and not far.is_ready()):
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
                # Of a call that ends the pipeline.
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
                calls.append(pickle.dumps(self.data_of(entry), pickle.HIGHEST_PROTOCOL))
            except BaseException as exc:
                if calls:
                    break  # its turn comes with the next request
                what = f"{shown(self.data_of(entry))} ({shown(exc)})"
                error = RemoteCallError(f"an item cannot be sent to the worker: {what}")
                error.__cause__ = exc
                self._refuse(entries.popleft(), error)
                return 0
        self._remote.busy = True
        if self.stale or far is None:
            return 0  # an interrupt that looked before that has ended nothing
        self._said.clear()
        self._sent_at = self._now()
        far.send((self.credit(far), calls))
        return len(calls)

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
