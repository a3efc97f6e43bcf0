"""A worker that is a task of the event loop.

The rule: the same as a thread's, with awaits where the thread blocks. The task runs inside the
shift's cancel scope, so an interrupt cancels the running call as anyio or trio would; a function that
swallows its cancellation keeps the stage busy until it ends, and what it returns is dropped.

A call's context variables are those of where the pipeline was started. A task cannot be given them
anew, so after a call that has changed them the worker goes on in a fresh task; a call that has not
costs one comparison of two contexts, which are equal if they are the same inside.
"""

from __future__ import annotations

import contextvars
import math
import time
from collections.abc import AsyncGenerator, Awaitable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from functools import partial
from types import CoroutineType, GeneratorType
from typing import Any, Self

from anyio import create_task_group

from .._engine._item import PASSED, Batch, Item, Taken
from .._engine._shift import Shift, TaskParking
from .._engine._stage_runner import StageRunner
from .._exceptions import closing_error, raisable, unawaited
from .._native import NativeCancellations, cancelled_from_outside
from ._worker import StageWorker


class TaskShift(Shift):
    """A shift whose worker waits as a task does."""

    __slots__ = ()

    # Narrower than in the base, which is right because it is set once, when the shift is made.
    parking: TaskParking  # pyright: ignore[reportIncompatibleVariableOverride]


class TaskWorker(StageWorker[TaskShift]):
    """Awaits an async function, or iterates an async generator, in a task of the loop."""

    def __init__(self, runner: StageRunner) -> None:
        super().__init__(runner)
        self._stack = AsyncExitStack()
        self._context_changed = False
        if self.stage.setup is None:
            self.ready.set()

    def new_shift(self, *, resets: bool) -> TaskShift:
        """A shift that begins now; ``resets`` if the stage's ``on_interrupt`` comes first."""
        return TaskShift(self, TaskParking(), self.runner.inbox, resets=resets)

    async def __aenter__(self) -> Self:
        """Make the state."""
        if self.stage.setup is not None:
            made = self.stage.setup()
            state = await made if isinstance(made, Awaitable) else made
            if isinstance(state, AbstractAsyncContextManager):
                state = await self._stack.enter_async_context(state)
            elif isinstance(state, AbstractContextManager):
                state = self._stack.enter_context(state)
            self.function = partial(self.function, state)
            self.ready.set()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Leave the state; clean-up that awaits under cancellation must shield itself."""
        if self.stage.setup is not None:
            self.function = self.stage.process_fn  # and nobody keeps the state
            await self._stack.aclose()

    async def work_shifts(self) -> None:
        """One shift after another; in a fresh task after anything that has changed context variables."""
        self._context_changed = changed(self.shared.context)  # by what has made the state
        if not self._context_changed:
            await super().work_shifts()
        shifts = super().work_shifts
        while self._context_changed and not self.runner.closing:
            self._context_changed = False
            async with create_task_group() as tasks:
                self.shared.context.copy().run(tasks.start_soon, shifts)

    def must_move(self) -> bool:
        """Whether the next shift has to be worked by another task."""
        return self._context_changed

    async def work(self, shift: TaskShift) -> BaseException | None:
        """Make calls until the shift is over."""
        natively = self.native_cancellations()
        runner, waker, inbox, context = self.runner, self.shared.waker, shift.inbox, self.shared.context
        limited, raises = self.stage.timeout is not None, self.stage.on_error == "raise"
        await self._reset(shift)
        taken: Taken | None
        woken = True
        while not (shift.over or self._context_changed):
            if waker.keeps_loop:
                await waker.let_others_run()
            if shift.expanded and not await self._room(shift):
                return None
            inbox = shift.inbox = runner.inbox  # another one after an interrupt
            if not inbox:
                taken = None  # not to keep the last item alive while parked
                await self._park(shift, natively)
                woken = True
                continue
            taken = inbox.popleft()
            if woken:
                woken = False
                runner.unpark_idle()  # for what it leaves, in case the call has to wait
            if limited:
                shift.began, shift.given = time.monotonic(), taken.data
            shift.current = taken
            if (ended := await self._call(shift, taken, natively)) is not None:
                return ended
            shift.current = None
            if natively.pending():
                natively.undo()
            if not inbox:
                waker.pump_now(runner)
            elif not runner.woken:
                waker.wake_here(runner)  # together with what else ends before the loop looks
            if raises and runner.failures:
                return None  # the pipeline ends: nothing more is called
            self._context_changed = changed(context)
        return None

    async def _reset(self, shift: TaskShift) -> None:
        if shift.resets and self.stage.on_interrupt is not None:
            waiting = self.stage.on_interrupt()
            if isinstance(waiting, Awaitable):
                await waiting
            self._context_changed = changed(self.shared.context)

    async def _park(self, shift: TaskShift, natively: NativeCancellations) -> None:
        """Wait until there may be something to take."""
        shift.given = None  # not to be kept alive, either
        self.runner.idle.append(shift)
        try:
            await shift.parking.wait()
        except self.shared.cancelled:
            if not natively.alone:
                raise
            natively.undo()  # by somebody who meant this task, and met it while it was idle

    async def _call(self, shift: TaskShift, taken: Taken, natively: NativeCancellations) -> BaseException | None:
        """Make one call and write what came of it; returns what no call may be failed by."""
        start = shift.called_at = self.clock() if self.clocked else 0.0
        try:
            value: Any = self.function(taken.data)
            kind = type(value)
            # A coroutine, mostly, which is asked first: to ask an abstract class costs as much as a call.
            expands = kind is not CoroutineType and issubclass(kind, AsyncGenerator)
            value = value if expands else await value
        except Exception as exc:
            self.raised(taken, exc, start, self.clock())
        except self.shared.cancelled as exc:
            if (error := self._uncalled_for(shift, exc, natively)) is None:
                self.interrupted(taken, start)
                raise
            self.raised(taken, error, start, self.clock())
        except BaseException as exc:
            self.interrupted(taken, start)
            if self.only_cancelled(exc):
                raise
            return exc
        else:
            if isinstance(taken, Batch):
                self._write_batch(shift, taken, value, start)
            elif expands:
                return await self._expand(shift, taken, value, start, natively)
            elif type(value) not in self.plain:
                self._write_result(taken, value, start)
            elif self.timed:
                self.returned(taken, value, start, self.clock())
            else:
                taken.data = value
                taken.outcome = PASSED  # publishes the data
                if not self._ordered:
                    self.runner.published.append(taken)
        return None

    def _write_result(self, item: Item, value: Any, start: float) -> None:
        """Write what is not known to be a plain result."""
        kind = type(value)
        if value is not None:
            what = "generator" if kind is GeneratorType else unawaited(value)
            if what is not None:
                self.raised(item, self.not_awaited(what, on_loop=True), start, self.clock())
                return
            self.remember_plain(kind)
        self.returned(item, value, start, self.clock())

    def _write_batch(self, shift: Shift, batch: Batch, value: Any, start: float) -> None:
        what = None if isinstance(value, AsyncGenerator) else unawaited(value)
        if what is not None:
            self.raised(batch, self.not_awaited(what, on_loop=True), start, self.clock())
        else:
            self.returned_batch(batch, value, start, self.clock())
            self.note_expanded(shift, batch[-1])

    def _uncalled_for(
        self, shift: TaskShift, exc: BaseException, natively: NativeCancellations
    ) -> BaseException | None:
        """The failure that a cancellation is which nobody meant for the shift or the run; else ``None``."""
        if shift.over:
            return None
        if natively.alone:
            natively.undo()
        elif cancelled_from_outside():
            return None
        return raisable(exc, self.shared.cancelled)

    async def _expand(
        self,
        shift: TaskShift,
        item: Item,
        generator: AsyncGenerator[Any, None],
        start: float,
        natively: NativeCancellations,
    ) -> BaseException | None:
        """Add each yielded value at once, as room allows."""
        clock = self.clock
        error: BaseException | None = None
        try:
            while await self._room(shift):
                shift.began = time.monotonic()
                try:
                    value = await anext(generator)
                except StopAsyncIteration:
                    break
                shift.began = math.inf
                self.yielded(item, value, start, clock())
                self.note_expanded(shift, item)
                self.shared.waker.wake_here(self.runner)
                await self.shared.waker.let_others_run()
                start = shift.called_at = clock()
        except self.shared.cancelled as exc:
            error = self._uncalled_for(shift, exc, natively)
            if error is None:
                self.interrupted(item, start)
                await self._close(generator)
                raise
        except BaseException as exc:
            if self.only_cancelled(exc):
                await self._close(generator)
                raise
            error = exc
        closing = await self._close(generator)
        error = error or closing
        natively.undo()
        if error is None:
            self.exhausted(item, start, clock())
        elif isinstance(error, Exception):
            self.raised(item, error, start, clock())
        else:
            return raisable(error)
        return None

    async def _close(self, generator: AsyncGenerator[Any, None]) -> BaseException | None:
        """Close a generator, and return what that raised if it is a real error.

        Not shielded: clean-up that has to await under cancellation must shield itself, as everywhere
        in anyio and trio.
        """
        try:
            await generator.aclose()
        except self.shared.cancelled:
            raise
        except BaseException as exc:
            if self.only_cancelled(exc):
                raise
            return closing_error(exc)
        return None

    async def _room(self, shift: TaskShift) -> bool:
        """Wait until what was yielded has left far enough for more; false if the shift is over."""
        while self.full(shift) and not shift.over:
            shift.began = math.inf
            shift.full = True
            try:
                await shift.parking.wait()
            finally:
                shift.full = False
        return not shift.over


def changed(context: contextvars.Context) -> bool:
    """Whether the current context variables are others than these."""
    try:
        return contextvars.copy_context() != context
    except BaseException:
        return True  # values are anybody's, and may compare in any way
