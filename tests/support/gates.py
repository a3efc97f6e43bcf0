"""A gate: a stage function that stands still on the data it was told to hold, until opened.

The rule: a gate knows who is inside, how often it was entered, and the most calls that were ever
inside at once, so no test has to guess where a call is. ``Gate`` is a plain function and blocks its
thread; ``AsyncGate`` is the same on the loop. ``Gate()`` holds whatever comes.
"""

from __future__ import annotations

import threading

import anyio
from anyio import CancelScope, get_cancelled_exc_class, to_thread

from tests.support.waiting import PATIENCE


class Gate:
    """Blocks a thread on the data it holds.

    Attributes:
        calls: The data of every call, in order.
        ended: The data of every call that is over, however it ended.
        inside: How many calls run now.
        most: The most that ever ran at once.
    """

    def __init__(self, *held) -> None:
        self._held = held
        self.calls, self.ended = [], []
        self.inside = self.most = 0
        self._blocked = 0
        self._opened = threading.Event()
        self._changed = threading.Condition()

    def __call__(self, data):
        self._enter(data)
        try:
            if self._holds(data):
                self._block()
        finally:
            self._leave(data)
        return data

    def _holds(self, data) -> bool:
        return not self._held or data in self._held

    def _enter(self, data) -> None:
        with self._changed:
            self.calls.append(data)
            self.inside += 1
            self.most = max(self.most, self.inside)

    def _leave(self, data) -> None:
        with self._changed:
            self.inside -= 1
            self.ended.append(data)

    def _arrive(self) -> None:
        with self._changed:
            self._blocked += 1
            self._changed.notify_all()

    def _block(self) -> None:
        self._arrive()
        assert self._opened.wait(PATIENCE / 2), "nobody opened the gate"

    def open(self) -> None:
        """Let everybody through, now and later."""
        self._opened.set()

    def _wait(self, calls: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._blocked >= calls, PATIENCE / 2)

    async def entered(self, calls: int = 1) -> None:
        """Wait until so many calls in all have come to stand at the gate."""
        assert await to_thread.run_sync(self._wait, calls), "nobody came to the gate"


class AsyncGate(Gate):
    """The same for an async stage; a ``stubborn`` one swallows its cancellation. Opened on the loop.

    Attributes:
        cancelled: How many calls were cancelled while they stood here.
    """

    def __init__(self, *held, stubborn: bool = False) -> None:
        super().__init__(*held)
        self.cancelled = 0
        self._stubborn = stubborn
        self._opened = anyio.Event()

    async def __call__(self, data):
        self._enter(data)
        try:
            if self._holds(data):
                await self._stand()
        finally:
            self._leave(data)
        return data

    async def _stand(self) -> None:
        self._arrive()
        try:
            await self._opened.wait()
        except get_cancelled_exc_class():
            self.cancelled += 1
            if not self._stubborn:
                raise
            with CancelScope(shield=True):  # a cancelled scope would cancel this wait too
                await self._opened.wait()


KINDS = ["thread", "thread generator", "async", "async generator"]
"""The kinds of function that a stage may be."""


def stubborn(kind: str, *held):
    """A gate that no cancellation moves, and a stage function of a kind that stands at it."""
    gate = AsyncGate(*held, stubborn=True) if kind.startswith("async") else Gate(*held)

    def generate(data):
        yield gate(data)

    async def generate_async(data):
        yield await gate(data)

    return gate, {"thread generator": generate, "async generator": generate_async}.get(kind, gate)


async def put_turn(pipeline, gate) -> None:
    """Put a turn of two items and two sentinels, and wait until the first item stands at the gate."""
    await pipeline.process_input_data("stale")
    await pipeline.process_input_sentinel("first marker")
    await pipeline.process_input_data("stale too")
    await pipeline.process_input_sentinel(None)
    await gate.entered()


async def put_held(pipeline, gate, data) -> None:
    """Put what a gate holds, and wait until its call stands there."""
    await pipeline.process_input_data(data)
    await gate.entered()
