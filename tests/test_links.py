"""A link is a bounded queue that knows its depth, its peak and who reads it."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from async_task_pipeline._links import NEVER, Link, drain


def test_a_new_link_is_empty_and_wakes_nobody() -> None:
    link = Link(2)
    link.appended()
    assert (link.qsize(), link.empty(), link.full(), link.room, link.peak) == (0, True, False, 2, 0)
    assert link.notify_at == NEVER
    assert repr(link) == "<Link 0/2>"


def test_depth_room_and_peak() -> None:
    link = Link(2)
    woken: list[int] = []
    link.wake_reader = lambda: woken.append(link.qsize())
    link.buffer.append(None)  # None is an entry like any
    link.appended()
    assert (link.qsize(), link.empty(), link.full(), link.room, link.peak) == (1, False, False, 1, 1)
    link.buffer.append("x")
    link.appended()
    assert (link.full(), link.room, link.peak) == (True, 0, 2)
    link.buffer.clear()
    link.appended()
    assert (link.qsize(), link.peak) == (0, 2)
    assert woken == [1, 2, 0]
    assert repr(link) == "<Link 0/2>"


def test_more_than_the_bound_is_less_than_no_room() -> None:
    link = Link(1)
    link.buffer.extend("abc")
    assert (link.room, link.full()) == (-2, True)
    assert repr(link) == "<Link 3/1>"


def test_never_is_below_every_depth() -> None:
    assert not Link(1).qsize() <= NEVER


@given(st.lists(st.none() | st.integers()))
def test_draining_takes_everything_in_order(entries: list[int | None]) -> None:
    queue = deque(entries)
    assert drain(queue) == entries
    assert not queue
