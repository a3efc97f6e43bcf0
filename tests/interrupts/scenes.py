"""What the tests of interrupts share: gates to stand at, and ways to see what is left.

The rule: nothing here waits for time to pass. A gate knows who is inside, how often it
was entered, and the most calls that were ever inside at once.
"""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager

import anyio
from anyio import CancelScope, create_task_group, fail_after, get_cancelled_exc_class, to_thread
from anyio.lowlevel import checkpoint

from tests.cancelling import assert_law

PATIENCE = 60
"""Seconds until a test is given up: only a hang takes them."""


class Gate:
    """A plain stage function that blocks on the data it was told to block on, until opened."""

    def __init__(self, *blocked) -> None:
        self.blocked = blocked
        self.opened = threading.Event()
        self.calls = []
        self.inside = self.most = self.blocking = 0
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)

    def __call__(self, data):
        with self._lock:
            self.calls.append(data)
            self.inside += 1
            self.most = max(self.most, self.inside)
        try:
            if data in self.blocked:
                self._block()
        finally:
            with self._lock:
                self.inside -= 1
        return data

    def _block(self) -> None:
        with self._changed:
            self.blocking += 1
            self._changed.notify_all()
        assert self.opened.wait(PATIENCE / 2), "nobody opened the gate"

    def _wait(self, calls: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.blocking >= calls, PATIENCE / 2)

    async def entered(self, calls: int = 1) -> None:
        """Wait until so many calls in all have come to stand at the gate."""
        assert await to_thread.run_sync(self._wait, calls), "nobody came to the gate"


class AsyncGate:
    """The same for an async stage; a ``stubborn`` one swallows its cancellation."""

    def __init__(self, *blocked, stubborn: bool = False) -> None:
        self.blocked = blocked
        self.stubborn = stubborn
        self.calls, self.ended = [], []
        self.inside = self.most = self.cancelled = 0
        self.entered_event = anyio.Event()
        self.opened = anyio.Event()

    async def __call__(self, data):
        self.calls.append(data)
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            if data in self.blocked:
                await self._block()
        finally:
            self.inside -= 1
            self.ended.append(data)
        return data

    async def _block(self) -> None:
        self.entered_event.set()
        try:
            await self.opened.wait()
        except get_cancelled_exc_class():
            self.cancelled += 1
            if not self.stubborn:
                raise
            with CancelScope(shield=True):  # a cancelled scope would cancel this wait too
                await self.opened.wait()

    async def entered(self) -> None:
        """Wait until a call stands at the gate."""
        await self.entered_event.wait()


class Listener:
    """A consumer in a task of its own: what it heard, and what of it since the interrupt."""

    def __init__(self) -> None:
        self.heard = []
        self.before = 0

    async def listen(self, pipeline) -> None:
        """Read to the end of the output."""
        async for each in pipeline.generate_output_stream():
            self.heard.append(each)

    def from_now(self) -> None:
        """Call it in the step of the interrupt: what is heard later must not be stale."""
        self.before = len(self.heard)

    @property
    def since(self) -> list:
        """What was heard since."""
        return self.heard[self.before :]


@asynccontextmanager
async def listening(pipeline):
    """Run a pipeline with a listener; at the end close the input and let all of it be heard."""
    listener = Listener()
    with fail_after(PATIENCE):
        async with pipeline, create_task_group() as tg:
            tg.start_soon(listener.listen, pipeline)
            yield listener
            pipeline.close_input()
    assert_law(pipeline)


async def until(condition) -> None:
    """Let other tasks run until the condition holds; the caller's timeout is the limit."""
    while not condition():
        await checkpoint()


def waiting(pipeline) -> int:
    """How many producers wait for room; nothing public tells, as they are not inside yet."""
    return len(pipeline._AsyncTaskPipeline__run.entrance._line)


async def read(pipeline, count: int) -> list:
    """The next so many results or sentinels."""
    output = pipeline.generate_output_stream()
    return [await anext(output) for _ in range(count)]


async def rest_of(pipeline) -> list:
    """Close the input, collect everything that still comes out, and check the law."""
    pipeline.close_input()
    rest = [each async for each in pipeline.generate_output_stream()]
    assert_law(pipeline)
    return rest
