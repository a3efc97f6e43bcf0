"""A stage's worker as a task of the event loop.

The rule: the same session as a thread's, with awaits where the thread blocks. The
task runs inside the turn's cancel scope, so an interrupt cancels the running call as
anyio or trio would; a function that swallows its cancellation keeps the stage busy
until it ends, and what it returns is dropped.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from functools import partial
from types import GeneratorType
from typing import Any, Self

from anyio import Event
from anyio.lowlevel import checkpoint

from .._exceptions import unawaited
from .._items import Batch, Control, Kind
from .._links import Link
from .._parking import Need
from .._stage import PipelineStage
from ._sessions import Session, Tools, no_clock

CALLS_PER_CHECKPOINT = 64
"""How many calls an async stage that never waits may make before others run: enough
to make the checkpoint cheap, at a few dozen microseconds of its own work."""


class TaskWorker:
    """A worker whose sessions are part of one task, in which ``setup`` is entered and left."""

    def __init__(
        self, stage: PipelineStage, link: Link, tools: Tools, function: Callable[..., Any] | None = None
    ) -> None:
        self.stage = stage
        self.link = link
        self.tools = tools
        self.function: Callable[..., Any] = stage.process_fn if function is None else function
        self._bare = self.function
        self.closing = False
        self.ready = Event()
        self._stack = AsyncExitStack()
        if stage.setup is None:
            self.ready.set()

    def session(self) -> TaskSession:
        """A new session, for the same task."""
        return TaskSession(self)

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
        """Let the state go; clean-up that awaits under cancellation must shield itself."""
        self.function = self._bare
        await self._stack.aclose()


class TaskSession(Session):
    """Calls an async function, or iterates an async generator, in a task of the loop."""

    def __init__(self, worker: TaskWorker) -> None:
        super().__init__(worker.stage, worker.link, worker.tools, worker)
        self._worker = worker
        self._notify = worker.tools.notify
        self._waker = worker.tools.waker
        self._wanted: Event | None = None
        self._need = Need.ITEM

    def unpark(self, need: Need | None = None) -> bool:
        """Let the task look again if it waits for this, or at all."""
        if self._wanted is None or self._wanted.is_set() or (need is not None and need is not self._need):
            return False
        self._wanted.set()
        return True

    async def _park(self, need: Need) -> None:
        self._need = need
        self._wanted = Event()
        self.on_park(need)
        await self._wanted.wait()
        self._wanted = None

    async def work(self) -> None:
        """Serve the inbox until the end of input, staleness or failure."""
        calls = 0
        try:
            if self.resets and not self.stale and self.stage.on_interrupt is not None:
                waiting = self.stage.on_interrupt()
                if isinstance(waiting, Awaitable):
                    await waiting
            while not self.stale:
                if len(self.outbox) >= self.limit:
                    await self._park(Need.ROOM)
                    continue
                calls += 1
                if calls % CALLS_PER_CHECKPOINT == 0:
                    await checkpoint()
                    continue
                try:
                    entry = self.take()
                except IndexError:
                    self.called = None  # not to keep the last item alive while parked
                    if self.over:
                        return
                    await self._park(Need.ITEM)
                    continue
                if len(self.inbox) <= self.link.notify_at:
                    self._notify()
                if type(entry) is not Control:
                    await self._call(entry)
                    self.ended()
                    # While more waits: together with what else ends before the loop looks.
                    (self._waker.wake if self.inbox else self._notify)()
                    continue
                self.outbox.append(entry)
                self._notify()
                if entry.kind is Kind.END:
                    return
        finally:
            self.stale = True

    async def _call(self, entry: Any) -> None:
        """See one item, or batch, through."""
        clock = self.clock or no_clock
        data = self.data_of(entry)
        self.called = entry if self.clock is not None else None
        start = clock()
        self.begin()
        try:
            outcome: Any = self._worker.function(data)
            generator: AsyncGenerator[Any, None] | None = None
            value: Any = None
            if isinstance(outcome, AsyncGenerator):
                generator = outcome
            else:
                value = await outcome
        except BaseException as exc:
            self.failed(exc, start, clock())
            return
        finally:
            self.began = None
        if type(entry) is Batch:
            self.returned_batch(value if generator is None else generator, entry, start, clock())
        elif generator is not None:
            await self._expand(generator, entry, start)
        elif (kind := "generator" if type(value) is GeneratorType else unawaited(value)) is not None:
            self.failed(self.not_awaited(kind, on_loop=True), start, clock())
        else:
            self.returned(value, entry, start, clock())

    async def _expand(self, generator: AsyncGenerator[Any, None], entry: Any, start: float) -> None:
        """Pass on each yielded value at once, as room allows."""
        clock = self.clock or no_clock
        first = True
        self.generating = True
        try:
            while await self._room():
                self.begin()
                try:
                    value = await anext(generator)
                except StopAsyncIteration:
                    break
                except BaseException as exc:
                    self.failed(exc, start, clock(), first=first)
                    return
                finally:
                    self.began = None
                self.yielded(value, entry, start, clock(), first=first)
                first = False
                self._notify()
                start = clock()
            if first:
                self.returned(None, entry, start, clock())
            elif self.clock is not None:
                self.spent(start, clock(), useful=True)
        except BaseException:
            self.had_outcome = not first
            raise
        finally:
            # Not shielded: cleanup that has to await under cancellation must shield
            # itself, as everywhere in anyio and trio.
            await generator.aclose()
            self.generating = False

    async def _room(self) -> bool:
        """Wait until an outcome has room; false if it would be stale."""
        while len(self.outbox) >= self.limit and not self.stale:
            await self._park(Need.ROOM)
        return not self.stale
