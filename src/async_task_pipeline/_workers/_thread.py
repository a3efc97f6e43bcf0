"""A worker that is a thread.

The rule: one of anyio's threads is entered once per shift and stays; between items it looks at a
plain flag and waits, without polling, until the loop has something for it. It never touches the
loop's data: see :py:mod:`._worker` for what it relies on. One loop serves all that happens off the
event loop, whatever the options: processes and interpreters are functions that it calls.
"""

from __future__ import annotations

import contextvars
import math
import time
from collections.abc import Callable
from types import GeneratorType
from typing import Any

from anyio import CancelScope, Event

from .._engine._item import PASSED, Batch, Item, Taken
from .._engine._loop_thread import LoopThread
from .._engine._shift import Shift
from .._engine._stage_runner import StageRunner
from .._engine._wakeup import Parking
from .._exceptions import closing_error, raisable, shown, unawaited
from .._log import logger
from ._setup import WorkerState
from ._worker import StageWorker


class ThreadShift(Shift):
    """A shift whose worker waits as a thread does."""

    __slots__ = ()

    # Narrower than in the base, which is right because it is set once, when the shift is made.
    parking: Parking  # pyright: ignore[reportIncompatibleVariableOverride]


class ThreadWorker(StageWorker[ThreadShift]):
    """Calls a plain function in a thread.

    What ``setup`` makes outlives the shifts. It is made in the first shift's thread and left in the
    last one's, or, if that has gone, in another of anyio's threads.
    """

    def __init__(self, runner: StageRunner) -> None:
        super().__init__(runner)
        self.state = WorkerState(self.stage.process_fn, self.stage.setup)
        self._copy: Callable[[], contextvars.Context]  # of the context for calls; set by each thread
        # Whether a thread is inside; on asyncio it may be when its task is not.
        self._inside = False
        if self.state.entered:
            self.ready.set()

    def new_shift(self, *, resets: bool) -> ThreadShift:
        """A shift that begins now; ``resets`` if the stage's ``on_interrupt`` comes first."""
        return ThreadShift(self, Parking(), self.runner.inbox, resets=resets)

    async def __aexit__(self, *exc_info: object) -> None:
        """Leave the state, unless a thread that could not be waited for will do it."""
        if self.stage.setup is not None and not self._inside:
            with CancelScope(shield=True):
                await LoopThread.here().run(self.leave)

    async def work(self, shift: ThreadShift) -> BaseException | None:
        """Host the thread; cancelling waits for its running call, a thread is never abandoned."""
        left = Event()
        ended: list[BaseException | None] = []

        def serve() -> None:
            # Returned, not raised: a future cannot carry StopIteration or GeneratorExit.
            ended.append(self._serve(shift))
            self.shared.waker.post(left.set)

        natively = self.native_cancellations()
        try:
            await LoopThread.here().run(serve)
        except self.shared.cancelled:
            # Of asyncio's own making it does not wait for the thread. If it was meant for this task
            # alone, the thread goes on as if nothing had happened.
            while natively.alone:
                natively.undo()
                try:
                    await left.wait()
                except self.shared.cancelled:
                    continue
                break
            else:
                shift.end()  # the thread leaves by itself after its call
                raise
        return ended[0]

    def warn_if_left_behind(self, shift: Shift) -> None:
        if self._inside and shift.current is not None:
            # As text: a log record must not keep the function's owner alive.
            logger.warning(
                "stage %r: its thread was left inside %r, which has not returned",
                self.stage.name,
                shown(self.stage.process_fn),
            )

    # -- in the thread ------------------------------------------------------------------------

    def enter(self) -> None:
        """Make the state, if there is none yet."""
        if not self.state.entered:
            self.state.enter()
            self.function = self.state.function
            self.shared.waker.post(self.ready.set)

    def leave(self) -> None:
        """Leave the state."""
        self.function = self.stage.process_fn  # nobody keeps the state
        self.state.leave()

    def _serve(self, shift: ThreadShift) -> BaseException | None:
        self._inside = True
        # The pipeline's, without the name of the loop's library, which is not this thread's: a call may run
        # a loop of its own.
        context = contextvars.copy_context()
        self._copy = context.copy
        try:
            try:
                self.enter()
                if shift.resets and not shift.over and self.stage.on_interrupt is not None:
                    context.copy().run(self.stage.on_interrupt)
                return self._work(shift)
            finally:
                # In this thread, which made it, or was the last to use it.
                if self.runner.closing or not shift.over:
                    self.leave()
        except BaseException as exc:
            return exc
        finally:
            self._inside = False

    def _work(self, shift: ThreadShift) -> BaseException | None:
        """Take, call and write until the shift is over; returns what no call may be failed by."""
        runner, waker, inbox, failures = self.runner, self.shared.waker, shift.inbox, self.runner.failures
        limited, raises = self.stage.timeout is not None, self.stage.on_error == "raise"
        expanded = shift.expanded
        taken: Taken | None
        while True:
            if expanded and not self._room(shift):
                return None
            try:
                taken = inbox.popleft()
            except IndexError:
                taken = None  # not to keep the last item alive while parked
                if self._park(shift):
                    return None
                inbox = shift.inbox = runner.inbox
                continue
            if shift.over:
                inbox.appendleft(taken)  # if it is of the next turn: not for a scope that is cancelled
                return None
            if limited:
                # Before current: whoever sees the item must see its own instant and data.
                shift.began, shift.given = time.monotonic(), taken.data
            shift.current = taken  # shown first, the look second
            if inbox is not runner.inbox:  # dropped in the instant in which it was taken
                shift.current = None
                inbox = shift.inbox = runner.inbox
                continue
            if (ended := self._call(shift, taken)) is not None:
                return ended
            shift.current = None
            if not runner.woken:
                waker.wake(runner)
            if failures and raises:
                return None  # the pipeline ends: nothing more is called

    def _call(self, shift: ThreadShift, taken: Taken) -> BaseException | None:
        """Make one call and write what came of it."""
        context = self._copy()  # what a call sets, no other sees
        start = 0.0
        if self.clocked:
            start = shift.called_at = self.clock()
        try:
            value = context.run(self.function, taken.data)
        except BaseException as exc:
            return self._failed(shift, taken, exc, start)
        if type(value) not in self.plain:
            return self._write_result(shift, taken, value, context, start)
        item: Any = taken  # and no batch: of those no type of results is known to be plain
        if self.timed:
            start, end = self.measured(start, self.clock())
            self.returned(item, value, start, end)
            return None
        item.data = value
        item.outcome = PASSED  # publishes the data
        if not self._ordered:
            self.runner.published.append(item)
        return None

    def _failed(self, shift: ThreadShift, taken: Taken, exc: BaseException, start: float) -> BaseException | None:
        if not isinstance(exc, Exception):
            self.interrupted(taken, start)
            return exc  # for the host to judge, which is in a task; current tells which call
        start, end = self.measured(start, self.clock())
        self.raised(taken, exc, start, end)
        shift.current = None
        self.recover()
        return None

    def _park(self, shift: ThreadShift) -> bool:
        """Wait until there may be something to take; whether the shift is over."""
        parking = shift.parking
        shift.given = None  # not to be kept alive, either
        parking.parked = True  # the flag first, the look second
        self.runner.idle.append(shift)
        if not self.runner.inbox and not shift.over:
            parking.wait()
        parking.parked = False
        return shift.over

    def recover(self) -> None:
        """Be able to make calls again after one that has failed."""

    def measured(self, start: float, end: float) -> tuple[float, float]:
        """From when to when the function ran, if it is known better than from outside."""
        return start, end

    def _write_result(
        self, shift: ThreadShift, taken: Taken, value: Any, context: contextvars.Context, start: float
    ) -> BaseException | None:
        """Write what is not known to be a plain result; returns what no call may be failed by."""
        kind = type(value)
        if isinstance(taken, Batch):
            kind_unawaited = unawaited(value)
            start, end = self.measured(start, self.clock())
            if kind_unawaited is not None:
                self.raised(taken, self.not_awaited(kind_unawaited), start, end)
            else:
                if kind is GeneratorType:
                    value.close()
                self.returned_batch(taken, value, start, end)
                self.note_expanded(shift, taken[-1])
            return None
        if value is not None:
            if (what := unawaited(value)) is not None:
                self.raised(taken, self.not_awaited(what), *self.measured(start, self.clock()))
                return None
            if kind is GeneratorType:
                return self._expand(shift, taken, value, context, start)
            self.remember_plain(kind)
        start, end = self.measured(start, self.clock())
        self.returned(taken, value, start, end)
        return None

    def _expand(
        self, shift: ThreadShift, item: Item, generator: Any, context: contextvars.Context, start: float
    ) -> BaseException | None:
        """Add each yielded value at once, as room allows; all steps see the same context variables."""
        ended = object()
        error: BaseException | None = None
        try:
            while self._room(shift) and not item.stale:
                if self.stage.timeout is not None:
                    shift.began = time.monotonic()
                value = context.run(next, generator, ended)
                if value is ended:
                    break
                shift.began = math.inf
                self.yielded(item, value, *self.measured(start, self.clock()))
                self.note_expanded(shift, item)
                self.shared.waker.wake(self.runner)
                start = shift.called_at = self.clock()
        except BaseException as exc:
            error = exc
        try:
            # In this thread, as it was run: a generator may have thread-bound state.
            context.run(generator.close)
        except BaseException as exc:
            error = error or closing_error(exc)
        if error is None:
            self.exhausted(item, *self.measured(start, self.clock()))
        elif isinstance(error, Exception):
            self.raised(item, error, *self.measured(start, self.clock()))
            shift.current = None
            self.recover()
        else:
            return raisable(error)
        return None

    def _room(self, shift: ThreadShift) -> bool:
        """Wait until what was yielded has left far enough for more; false if the shift is over."""
        parking = shift.parking
        while self._must_wait(shift):
            shift.began = math.inf
            shift.full = True
            parking.parked = True  # the flags first, the look second
            if self._must_wait(shift):
                parking.wait()
            parking.parked = shift.full = False
        return not shift.over

    def _must_wait(self, shift: ThreadShift) -> bool:
        return self.full(shift) and not shift.over
