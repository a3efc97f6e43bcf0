"""The loop is woken once for many reasons, from any thread, and never after its end."""

from __future__ import annotations

import threading

import anyio
import pytest
from anyio.lowlevel import checkpoint

from async_task_pipeline._posting import Waker

pytestmark = pytest.mark.anyio


async def turns(event: anyio.Event) -> None:
    """Wait for the event, and then for all that was posted before now."""
    await event.wait()
    for _ in range(3):
        await checkpoint()


async def test_many_wakes_are_one_call_on_the_loops_thread() -> None:
    calls: list[int] = []
    called = anyio.Event()

    def callback() -> None:
        calls.append(threading.get_ident())
        called.set()

    waker = Waker(callback)
    for _ in range(100):
        waker.wake()
    assert waker.pending
    assert calls == []
    await turns(called)
    assert calls == [threading.get_ident()]
    assert not waker.pending


async def test_a_wake_from_another_thread_arrives() -> None:
    called = anyio.Event()
    waker = Waker(called.set)
    await anyio.to_thread.run_sync(waker.wake)
    await called.wait()


async def test_a_wake_during_the_callback_brings_another() -> None:
    calls: list[int] = []
    called = anyio.Event()

    def callback() -> None:
        calls.append(len(calls))
        if len(calls) < 3:
            waker.wake()
        else:
            called.set()

    waker = Waker(callback)
    waker.wake()
    await turns(called)
    assert calls == [0, 1, 2]


async def test_posts_run_in_order() -> None:
    ran: list[int] = []
    called = anyio.Event()
    waker = Waker(called.set)
    assert waker.post(lambda: ran.append(1))
    assert waker.post(lambda: ran.append(2))
    assert waker.post(called.set)
    await called.wait()
    assert ran == [1, 2]


def test_after_the_end_of_the_loop_it_says_no_and_raises_nothing(anyio_backend: tuple[str, dict[str, bool]]) -> None:
    ran: list[int] = []

    async def make() -> Waker:
        return Waker(lambda: ran.append(1))

    name, options = anyio_backend
    waker = anyio.run(make, backend=name, backend_options=options)
    assert waker.post(lambda: ran.append(2)) is False
    waker.wake()
    assert ran == []
