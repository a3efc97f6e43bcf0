"""The laws of leaving: in order, or between two controls as ready, and never twice.

The rule: hypothesis says who is given a place, which outcomes come when, and how much room
there is; a list says what has to come out.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_task_pipeline._items import ENDED, Control, Kind
from async_task_pipeline._workers._places import AsReady, InOrder, Places

WORKERS = 3
steps = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(0, WORKERS - 1), st.integers(0, 3)),
        st.tuples(st.just("work"), st.integers(0, WORKERS - 1), st.just(0)),
        st.tuples(st.just("control"), st.just(0), st.just(0)),
        st.tuples(st.just("collect"), st.integers(1, 5), st.just(0)),
        st.tuples(st.just("swap"), st.integers(0, WORKERS - 1), st.just(0)),
    ),
    max_size=60,
)


class Stage:
    """Workers that take calls and say what comes of them, one word at a time."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.boxes: list[deque[Any]] = [deque() for _ in range(WORKERS)]
        self.to_say: list[deque[Any]] = [deque() for _ in range(WORKERS)]
        self.out: deque[Any] = deque()
        self.calls: list[Any] = []  # a list of outcomes for each call, or a control
        self.running: list[int] = [0] * WORKERS

    def step(self, what: str, first: int, second: int) -> None:
        if what == "take":
            if self.to_say[first]:
                return  # one call at a time
            outcomes = [(len(self.calls), n) for n in range(second)]
            self.calls.append(outcomes)
            self.places.add(self.boxes[first])
            self.to_say[first].extend([*outcomes, ENDED])
        elif what == "work":
            if self.to_say[first]:
                self.boxes[first].append(self.to_say[first].popleft())
        elif what == "control":
            control = Control(Kind.SENTINEL)
            self.calls.append(control)
            self.places.add(control)
        elif what == "collect":
            self.collect(first)
        else:
            new = deque(self.boxes[first])
            self.places.swap(self.boxes[first], new)
            self.boxes[first] = new

    def collect(self, room: int) -> None:
        into: deque[Any] = deque()
        self.places.collect(into, room)
        assert len(into) <= room
        self.out.extend(into)

    def finish(self) -> None:
        for box, words in zip(self.boxes, self.to_say, strict=True):
            box.extend(words)
            words.clear()
        while True:
            before = len(self.out), len(self.places)
            self.collect(1)
            if (len(self.out), len(self.places)) == before:
                return

    def flat(self) -> list[Any]:
        return [each for call in self.calls for each in ([call] if type(call) is Control else call)]


@pytest.mark.parametrize("kind", [InOrder, AsReady])
@given(script=steps)
def test_all_that_is_said_leaves_once(kind: type[Places], script: list[tuple[str, int, int]]) -> None:
    stage = Stage(kind())
    for step in script:
        stage.step(*step)
        assert len(stage.places) <= len(stage.calls)
    stage.finish()
    assert len(stage.places) == 0
    assert [stage.places.calls(box) for box in stage.boxes] == [0] * WORKERS
    expected = stage.flat()
    if kind is InOrder:
        assert [*stage.out] == expected
        return
    # The controls are where they were, and between two of them is what was there before.
    assert segments([*stage.out]) == segments(expected)
    for call in stage.calls:  # and each call's outcomes are in order
        if type(call) is not Control:
            assert [each for each in stage.out if each in call] == call


def segments(entries: list[Any]) -> list[Any]:
    """What lies between controls, sorted, and the controls."""
    found: list[Any] = [[]]
    for each in entries:
        if type(each) is Control:
            found += [each, []]
        else:
            found[-1].append(each)
    return [sorted(each) if isinstance(each, list) else each for each in found]


@pytest.mark.parametrize("kind", [InOrder, AsReady])
@given(script=steps)
def test_what_is_drained_is_what_was_ready(kind: type[Places], script: list[tuple[str, int, int]]) -> None:
    stage = Stage(kind())
    for step in script:
        stage.step(*step)
    said = [each for each in stage.flat() if type(each) is Control or not any(each in words for words in stage.to_say)]
    drained = stage.places.drain()
    assert ENDED not in drained
    got = [*stage.out, *drained]
    assert segments(got) == segments(said)
    if kind is InOrder:
        assert got == said
    assert len(stage.places) == 0
    assert stage.places.drain() == []


@pytest.mark.parametrize("kind", [InOrder, AsReady])
def test_calls_are_those_that_have_not_wholly_left(kind: type[Places]) -> None:
    places, box, other = kind(), deque([1, ENDED, 2]), deque([3, ENDED])
    for each in (box, Control(Kind.SENTINEL), box, other):
        places.add(each)
    assert (places.calls(box), places.calls(other), places.calls(deque()), len(places)) == (2, 1, 0, 4)
    into: deque[Any] = deque()
    places.collect(into, 10)
    assert places.calls(box) == 1  # its second call goes on
    assert (len(places), 3 in into) == ((2, False) if kind is InOrder else (1, True))


def test_of_a_control_that_has_left_nothing_is_kept() -> None:
    places, into = InOrder(), deque[Any]()
    for _ in range(3):
        places.add(Control(Kind.SENTINEL))
        places.collect(into, 10)
    assert (len(into), len(places), len(places._calls)) == (3, 0, 0)
