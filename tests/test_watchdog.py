"""Who is overdue, and when to look again: the watchdog and its alarm, without a clock running.

The rule: the instants are far in the past or far in the future, so no test waits for one.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
from anyio import create_task_group, fail_after
from anyio.lowlevel import checkpoint

from async_task_pipeline._workers._alarm import Alarm
from async_task_pipeline._workers._watchdog import Watchdog

FAR = 1000.0


class Call:
    """The part of a session that the watchdog looks at."""

    def __init__(self, began: float | None) -> None:
        self.began = began


def kennel(*calls: Call) -> tuple[Watchdog, list[Any], list[Any]]:
    """A watchdog over these calls, those it found overdue, and what it has posted."""
    overdue: list[Any] = []
    posted: list[Any] = []
    return Watchdog(1.0, lambda: calls, overdue.append, posted.append), overdue, posted


def test_while_it_is_awake_nobody_wakes_it() -> None:
    call = Call(time.monotonic() + FAR)
    watchdog, overdue, posted = kennel(call)
    watchdog.begun()
    watchdog.begun()
    assert len(posted) == 1
    posted.pop()()
    assert overdue == []
    watchdog.begun()  # it is awake still, for the call it has seen
    assert posted == []


def test_it_finds_those_that_are_overdue_and_no_others() -> None:
    late, later, running, idle = Call(0.0), Call(time.monotonic() - 1.0), Call(time.monotonic() + FAR), Call(None)
    watchdog, overdue, posted = kennel(late, running, idle, later)
    watchdog.begun()
    posted.pop()()
    assert overdue == [late, later]


def test_with_no_call_running_it_sleeps_and_the_next_call_wakes_it() -> None:
    watchdog, overdue, posted = kennel(Call(None))
    for _ in range(3):
        watchdog.begun()
        posted.pop()()
    assert (overdue, posted) == ([], [])


@pytest.mark.anyio
async def test_an_alarm_rings_once_when_it_is_time_and_whenever_it_is_moved() -> None:
    rung: list[float] = []
    alarm = Alarm(lambda: rung.append(0))
    with fail_after(60):
        async with create_task_group() as tg:
            tg.start_soon(alarm.serve)
            for _ in range(5):
                await checkpoint()
            assert rung == []  # nothing is set
            alarm.set(time.monotonic() + FAR)
            for _ in range(5):
                await checkpoint()
            assert rung == []
            alarm.set(0.0)  # earlier, while it sleeps
            alarm.set(time.monotonic() + FAR)  # later: the earlier one counts
            while not rung:
                await checkpoint()
            for _ in range(5):
                await checkpoint()
            assert len(rung) == 1
            tg.cancel_scope.cancel()


@pytest.mark.anyio
async def test_an_alarm_may_be_set_by_its_ringing() -> None:
    rung: list[float] = []

    def ring() -> None:
        rung.append(0)
        if len(rung) < 3:
            alarm.set(0.0)

    alarm = Alarm(ring)
    alarm.set(0.0)  # before anybody serves
    with fail_after(60):
        async with create_task_group() as tg:
            tg.start_soon(alarm.serve)
            while len(rung) < 3:
                await checkpoint()
            tg.cancel_scope.cancel()
    assert len(rung) == 3
