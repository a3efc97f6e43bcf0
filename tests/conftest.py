"""What every test shares: the three backends, a limit, and the demand that no worker outlives a test.

The rule: nothing else is global. A test that needs more says so in its own file.
"""

from __future__ import annotations

import functools
import inspect
import threading
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
from anyio import fail_after

from tests.support.backends import ASYNCIO_LOOPS, TRIO
from tests.support.leftovers import threads_at_work
from tests.support.waiting import PATIENCE


@pytest.fixture(params=[*ASYNCIO_LOOPS, TRIO])
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """Run every test marked ``anyio`` on each backend."""
    return request.param


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Cancel a test on the loop that hangs, in half the time after which pytest-timeout breaks it off."""
    seconds = float(config.getoption("timeout") or config.getini("timeout")) / 2
    for item in items:
        test = getattr(item, "obj", None)
        # One of hypothesis is many examples, and has a limit for each.
        if item.get_closest_marker("anyio") and inspect.iscoroutinefunction(test) and not hasattr(test, "hypothesis"):
            item.obj = limited(test, seconds)


def limited(test: Callable[..., Awaitable[None]], seconds: float) -> Callable[..., Awaitable[None]]:
    """The test, which is cancelled and has failed if it takes so long."""

    @functools.wraps(test)
    async def in_time(*args: object, **kwargs: object) -> None:
        with fail_after(seconds):
            await test(*args, **kwargs)

    return in_time


@pytest.fixture(autouse=True)
def no_thread_left_behind() -> Iterator[None]:
    """Fail a test after which a worker thread is still inside the library or a stage.

    Idle threads of anyio and trio are theirs, and may stay. A test that leaves a stage
    function stuck on purpose releases it at its end: the thread gets a moment to leave.
    """
    before = {thread.ident for thread in threading.enumerate()}
    yield
    limit = time.monotonic() + PATIENCE / 2
    left = threads_at_work(before)
    while left and time.monotonic() < limit:
        # Polled, because trio's threads do not end with their work: there is nothing to join.
        time.sleep(0.001)
        left = threads_at_work(before)
    if left:
        stacks = "\n".join(left)
        pytest.fail(f"{len(left)} worker thread(s) still at work after the test:\n{stacks}", pytrace=False)
