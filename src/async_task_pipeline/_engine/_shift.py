"""One stay of a worker inside its cancel scope.

The rule: a shift ends when an interrupt or a timeout has met the call it is in, and the worker's
next shift begins when that call has ended, never earlier. So a scope that was cancelled hits one
call and no other, and a stage never runs more calls at once than it has workers. An idle worker
keeps its shift.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any, Protocol

from anyio import CancelScope, Event

from ._item import Inbox, Item, Taken
from ._wakeup import Parking


class TaskParking:
    """Where a task waits until there is something for it; the counterpart of :py:class:`Parking`."""

    __slots__ = ("_wanted", "parked")

    def __init__(self) -> None:
        self.parked: bool = False
        self._wanted: Event  # of each wait its own

    async def wait(self) -> None:
        """Wait until unparked; nothing runs between the last look and this."""
        self._wanted = Event()
        self.parked = True
        try:
            await self._wanted.wait()
        finally:
            self.parked = False

    def unpark(self) -> bool:
        """Wake the task if it is parked; true if it was."""
        if not self.parked:
            return False
        self.parked = False
        self._wanted.set()
        return True


class Worker(Protocol):
    """What makes the calls of a stage, one at a time.

    Attributes:
        ready: Set when calls can be made, or never will be.
        resets: Whether the next shift begins with the stage's ``on_interrupt``. Set by an
            interrupt, taken back by that shift.
    """

    ready: Event
    resets: bool

    async def live(self) -> None:
        """Come to life, make calls until the stage closes, and leave nothing behind. Must not raise."""

    async def work_shifts(self) -> None:
        """One shift after another, until the stage closes or a shift was replaced."""

    def cut_short(self) -> None:
        """End the running call, if there is a way to other than cancelling it; must not block."""

    def warn_if_left_behind(self, shift: Shift) -> None:
        """Log it if a thread is in a call of this shift that could not be waited for."""


class Shift:
    """A worker at work, until the next interrupt or timeout that meets its call.

    Args:
        worker: Whose it is.
        parking: Where the worker waits.
        resets: See below.

    Attributes:
        given: What the running call was made with, if the stage has a timeout, which has to tell after
            the item has its result. Written before ``current``.
        current: What the worker has taken and not given back, from before its call to after its
            outcome was written. Written by the worker, except that the loop reads it.
        inbox: That from which ``current`` was taken. Written by the worker, while ``current`` is ``None``.
        began: When the running call, or step of a generator, began (:py:func:`time.monotonic`), if
            the stage has a timeout; infinity between steps. Written before ``current``.
        called_at: With timing on, or where a function is asked about failures: when the running call, or
            step of a generator, began, in seconds of the pipeline's clock. Of the one before until then; see :py:meth:`.StageRunner.calls_since`.
        over: Whether the worker has to leave its scope. Written by the loop.
        resets: Whether the stage's ``on_interrupt`` comes before the first call.
        dropped: What an interrupt has dropped with this shift's call, for the report.
        expanded: Items whose calls have yielded what may not have left yet, in this shift or in those
            before it. Of the shift, and not of the worker, which may be in two if the stage is
            reentrant: only its own thread touches it.
        full: Whether the worker waits until what its generators have yielded has left. Written by
            the worker, before it parks.
        replaced: Whether the next shift began beside this one, because the stage is reentrant.
    """

    __slots__ = (
        "began",
        "called_at",
        "current",
        "dropped",
        "expanded",
        "full",
        "given",
        "inbox",
        "over",
        "parking",
        "replaced",
        "resets",
        "scope",
        "worker",
    )

    def __init__(self, worker: Worker, parking: Parking | TaskParking, inbox: Inbox, *, resets: bool) -> None:
        self.worker: Worker = worker
        self.inbox: Inbox = inbox
        self.parking: Parking | TaskParking = parking
        self.scope: CancelScope = CancelScope()
        self.given: Any = None
        self.current: Taken | None = None
        self.began: float = math.inf
        self.called_at: float = -math.inf
        self.over: bool = False
        self.resets: bool = resets
        self.full: bool = False
        self.dropped: Taken | None = None
        self.expanded: deque[Item] = deque()
        self.replaced: bool = False

    @property
    def idle(self) -> bool:
        """Whether the worker waits for something to take."""
        return self.parking.parked and self.current is None and not self.full

    def end(self) -> None:
        """End the shift once its call has ended, and end the call if that can be done."""
        self.over = True  # the flag first, the look second
        if not self.idle:  # or it sees the flag before it makes a call, and there is nothing to cancel
            self.scope.cancel()
        self.parking.unpark()
        self.worker.cut_short()

    def abandon(self) -> None:
        """The same where the loop never runs again, from any thread; a task has gone with its loop."""
        self.over = True  # the flag first, then whoever waits for it
        if isinstance(self.parking, Parking):
            self.parking.unpark()
            self.worker.cut_short()
            self.worker.warn_if_left_behind(self)
