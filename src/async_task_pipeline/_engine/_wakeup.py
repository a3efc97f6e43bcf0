"""Waking the loop from a thread, a thread from the loop, and either at a given time.

The rule: nothing polls. Whoever has something for the loop names who has to look at it
(:py:meth:`Waker.wake`); however many do before the loop gets round to it, the loop is woken
once and then looks at those, and at nobody else. A wake-up costs a system call (7 to 13
microseconds on asyncio and trio), so one per item would cost more than the pipeline itself.

``from_thread.run_sync`` is not used: it is a blocking round trip, and on asyncio it can wait
for ever when the loop shuts down.
"""

from __future__ import annotations

import contextlib
import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Protocol

from anyio import Event, move_on_after
from anyio.lowlevel import checkpoint, current_token

from .._exceptions import PipelineStateError
from ._loop_thread import LoopThread

STEP_SECONDS = 0.001
"""How long the library may keep the loop before it lets others run: what an application does not
notice, and a hundred times what letting others run costs."""

ITEMS_PER_STEP = 1024
"""The most that one pump accepts, passes on or counts before others are pumped: a few tenths of a
millisecond, so that a very large bound does not make a pause for everybody else."""


def current_run_sync_soon() -> Callable[[Callable[[], object]], object]:
    """How any thread has the loop of the current task run a callback soon."""
    native: Any = current_token().native_token
    post: Callable[[Callable[[], object]], object]
    post = native.run_sync_soon if hasattr(native, "run_sync_soon") else native.call_soon_threadsafe
    return post


class Pumped(Protocol):
    """What moves items: the input, or a stage.

    Attributes:
        woken: Whether it is going to be pumped. Written by whoever wakes it, and by the loop
            before it looks.
    """

    woken: bool

    def pump(self) -> None:
        """Move what can move, in one step of the loop. Must not raise."""


class Waker:
    """Has the loop it was made on pump whatever there is something to move for.

    On asyncio the pumping happens in a callback outside any task, so it may only touch plain data
    and set events. A callback that raises would end trio's whole run.

    Args:
        failed: Is told what a pump has raised.

    Attributes:
        gone: Whether the loop was closed under the pipeline, so that no step is ever run again.
        pending: Whether a step is going to be run.
        ran_at: When the last step ended that the loop ran (:py:func:`time.perf_counter`).
        thread: The loop's.
        loop_thread: The same, and what waits for it.
    """

    __slots__ = (
        "_failed",
        "_native",
        "_post",
        "_post_here",
        "_running",
        "_stepping",
        "_woken",
        "_woken_next",
        "gone",
        "loop_thread",
        "pending",
        "ran_at",
        "thread",
    )

    def __init__(self, failed: Callable[[BaseException], object]) -> None:
        native: Any = current_token().native_token
        self.thread: int = threading.get_ident()
        self.loop_thread: LoopThread = LoopThread.here()
        self._post = current_run_sync_soon()
        self._native = native
        self.gone: Callable[[], bool]
        if hasattr(native, "run_sync_soon"):
            self._running = sys.modules["trio"].lowlevel.current_trio_token
            self._post_here = native.run_sync_soon
            self.gone = _never  # trio ends all its tasks first, the pipeline's among them
        else:
            self._running = sys.modules["asyncio"].get_running_loop
            self._post_here = native.call_soon  # no system call
            self.gone = native.is_closed
        self._failed = failed
        self._woken: deque[Pumped] = deque()
        self._woken_next: list[Pumped] = []
        self._stepping = False
        self.pending: bool = False
        self.ran_at: float = time.perf_counter()

    def wake(self, what: Pumped) -> None:
        """Schedule its pump. Safe in any thread, never blocks."""
        if not what.woken:
            what.woken = True
            self._woken.append(what)  # before pending is read: the loop clears that before it takes
            if not self.pending:
                self.pending = True
                self.post(self._run)

    def wake_here(self, what: Pumped) -> None:
        """The same, for the loop's own thread; a step that is being run comes to it."""
        if not what.woken:
            what.woken = True
            self._woken.append(what)
            # Always, whoever calls it: what is woken and never pumped is woken by nobody again.
            if not self._stepping and not self.pending:
                self.pending = True
                self._post_here(self._run)

    def wake_next(self, what: Pumped) -> None:
        """Inside a step: have it pumped in the next one, when others have run."""
        if not what.woken:
            what.woken = True
            self._woken_next.append(what)

    def pump_now(self, *those: Pumped) -> None:
        """Pump them, and whatever that wakes, before this returns; inside a step, in that."""
        for what in those:
            if not what.woken:
                what.woken = True
                self._woken.append(what)
        self.step()

    def post(self, function: Callable[[], object]) -> bool:
        """Schedule a callback on the loop; false if the loop is gone."""
        try:
            self._post(function)
        except RuntimeError:
            # The loop has ended (trio's RunFinishedError is a RuntimeError too). Whoever waits
            # for the callback was released when the pipeline's scope closed.
            return False
        return True

    def check_here(self, call: str) -> None:
        """Raise if the caller is in another thread, or on another loop of this one."""
        here = threading.get_ident() == self.thread
        if here:
            # Where no loop runs, its owner drives it step by step, and is between two.
            with contextlib.suppress(RuntimeError):
                here = self._running() is self._native
        if not here:
            raise PipelineStateError(
                f"{call} belongs on the event loop that runs the pipeline; "
                "use anyio.from_thread to call it from another thread"
            )

    def _run(self) -> None:
        # Cleared before anything is taken: what is added from here on brings its own wake-up.
        self.pending = False
        self.step()
        self.ran_at = time.perf_counter()

    def step(self) -> None:
        """Pump all that were woken, until nothing moves or the step has lasted long enough."""
        if self._stepping:
            return  # called by what is being pumped, a log handler of the user's for example
        self._stepping = True
        woken = self._woken
        began = time.perf_counter()
        try:
            while woken:
                what = woken.popleft()
                what.woken = False  # before the look: what is written from here on wakes it again
                what.pump()
                if woken and time.perf_counter() - began > STEP_SECONDS:
                    break
        except BaseException as exc:
            self._failed(exc)  # only an injected clock can raise here
        if self._woken_next:
            woken.extend(self._woken_next)
            self._woken_next.clear()
        if woken and not self.pending:
            self.pending = True
            self._post_here(self._run)
        self._stepping = False

    @property
    def keeps_loop(self) -> bool:
        """Whether the loop has run no step for about a millisecond.

        Whoever keeps putting, reading or calling without ever waiting keeps the loop, which then runs
        no step; so the last one tells for how long. A step that is run inside a put is none of the loop's.
        """
        return time.perf_counter() - self.ran_at > STEP_SECONDS

    async def let_others_run(self) -> None:
        """A checkpoint, if the loop has run no step for about a millisecond."""
        if self.keeps_loop:
            self.ran_at = time.perf_counter()  # the loop is let go here: who runs meanwhile does not keep it yet
            await checkpoint()
            self.ran_at = time.perf_counter()


def _never() -> bool:
    return False


class Parking:
    """Where one thread waits until the loop has something for it.

    The thread raises the flag first and looks again second; the loop changes the data first and
    reads the flag second. So one of the two always sees the other, and at worst there is one entry
    too many, which costs one more look.
    """

    __slots__ = ("_unparked", "parked")

    def __init__(self) -> None:
        self.parked: bool = False
        self._unparked: SimpleQueue[None] = SimpleQueue()

    def wait(self) -> None:
        """Block until unparked; after ``parked`` was set and everything looked at again."""
        self._unparked.get()

    def unpark(self) -> bool:
        """Wake the thread if it is parked; true if it was."""
        if not self.parked:
            return False
        self.parked = False
        self._unparked.put(None)
        return True


class Timer:
    """Calls a function on the loop when an instant has come.

    Instants are those of :py:func:`time.monotonic`. While none is set the timer sleeps without a
    deadline, and setting an earlier one than it sleeps for wakes it to sleep again.
    """

    def __init__(self, ring: Callable[[], object]) -> None:
        self._ring = ring
        self._at = math.inf
        self._moved = Event()

    @property
    def at(self) -> float:
        """When it rings next; infinity if it does not."""
        return self._at

    def set(self, at: float) -> None:
        """Ring at this instant, unless an earlier one is set. On the loop."""
        if at < self._at:
            self._at = at
            self._moved.set()

    async def serve(self) -> None:
        """Ring whenever it is time, for ever."""
        while True:
            self._moved = Event()
            delay = self._at - time.monotonic()
            if delay > 0:
                with move_on_after(delay):
                    await self._moved.wait()
                continue
            self._at = math.inf
            self._ring()
