"""In which order the outcomes of calls that run side by side leave their stage.

The rule: each call has a place, taken when its item is, and its outcomes pass in the
turn of that place. A control has a place of its own, which nothing passes in either
direction. With :py:class:`InOrder` the places are a queue; with :py:class:`AsReady`
those between two controls are equals, and whatever is ready goes.

A place is the outbox of the worker that makes the call; :py:data:`ENDED` in it says
where the call's outcomes end. Workers append to outboxes at any time; everything else
here happens under the crew's lock.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Any, Protocol, TypeAlias

from .._items import ENDED, Control
from .._links import drain

Box: TypeAlias = deque[Any]


class Places(Protocol):
    """The calls and controls of one stage that have not wholly left it."""

    def __len__(self) -> int:
        """How many places are taken."""
        ...

    def add(self, place: Box | Control) -> None:
        """Give a call, or a control, the last place."""

    def collect(self, into: Box, limit: int) -> None:
        """Move what may leave now, while there are fewer than ``limit`` entries in ``into``."""

    def calls(self, box: Box) -> int:
        """How many places the calls of one worker have."""
        ...

    def swap(self, old: Box, new: Box) -> None:
        """Let the places of a worker's calls be those of another box."""

    def drain(self) -> list[Any]:
        """Give up every place; return what was ready, in order."""
        ...


class InOrder:
    """First come, first out."""

    def __init__(self) -> None:
        self._places: deque[Box | Control] = deque()
        self._calls: Counter[int] = Counter()  # by the id of a box

    def __len__(self) -> int:
        """How many places are taken."""
        return len(self._places)

    def add(self, place: Box | Control) -> None:
        """Give a call, or a control, the last place."""
        self._places.append(place)
        if type(place) is not Control:
            self._calls[id(place)] += 1

    def collect(self, into: Box, limit: int) -> None:
        """Move what may leave now, while there are fewer than ``limit`` entries in ``into``."""
        places = self._places
        while places and len(into) < limit:
            head = places[0]
            if type(head) is Control:
                into.append(head)
            elif not _through(head, into, limit):
                return
            elif self._calls[id(head)] > 1:
                self._calls[id(head)] -= 1
            else:
                del self._calls[id(head)]
            places.popleft()

    def calls(self, box: Box) -> int:
        """How many places the calls of one worker have."""
        return self._calls[id(box)]

    def swap(self, old: Box, new: Box) -> None:
        """Let the places of a worker's calls be those of another box."""
        self._places = deque(new if place is old else place for place in self._places)
        self._calls[id(new)] = self._calls.pop(id(old), 0)

    def drain(self) -> list[Any]:
        """Give up every place; return what was ready, in order."""
        taken: list[Any] = []
        self._calls.clear()
        for place in drain(self._places):
            taken += [place] if type(place) is Control else _first_call(place)
        return taken


class AsReady:
    """Whoever is ready goes, between one control and the next."""

    def __init__(self) -> None:
        # For each worker's box, by its id, the box once for every call.
        self._segments: deque[dict[int, list[Box]] | Control] = deque()
        self._length = 0

    def __len__(self) -> int:
        """How many places are taken."""
        return self._length

    def add(self, place: Box | Control) -> None:
        """Give a call, or a control, the last place."""
        self._length += 1
        if type(place) is Control:
            self._segments.append(place)
            return
        last = self._segments[-1] if self._segments else None
        if type(last) is not dict:
            self._segments.append(last := {})
        last.setdefault(id(place), []).append(place)

    def collect(self, into: Box, limit: int) -> None:
        """Move what may leave now, while there are fewer than ``limit`` entries in ``into``."""
        while self._segments and len(into) < limit:
            head = self._segments[0]
            if type(head) is Control:
                into.append(head)
                self._length -= 1
            else:
                # Asked first, and in one go: with many workers most boxes are empty.
                for key, calls in [(key, calls) for key, calls in head.items() if calls[-1]]:
                    while calls and _through(calls[-1], into, limit):
                        calls.pop()
                        self._length -= 1
                    if not calls:
                        del head[key]
                if head:
                    return
            self._segments.popleft()

    def calls(self, box: Box) -> int:
        """How many places the calls of one worker have."""
        return sum(len(each.get(id(box), ())) for each in self._segments if type(each) is dict)

    def swap(self, old: Box, new: Box) -> None:
        """Let the places of a worker's calls be those of another box."""
        for segment in self._segments:
            if type(segment) is dict and (calls := segment.pop(id(old), [])):
                segment.setdefault(id(new), []).extend([new] * len(calls))

    def drain(self) -> list[Any]:
        """Give up every place; return what was ready, in order."""
        taken: list[Any] = []
        self._length = 0
        for segment in drain(self._segments):
            if type(segment) is Control:
                taken.append(segment)
            else:
                for calls in segment.values():
                    for box in calls:
                        taken += _first_call(box)
        return taken


def _through(box: Box, into: Box, limit: int) -> bool:
    """Move the outcomes of the box's first call; whether its last one has left."""
    while box and len(into) < limit:
        entry = box.popleft()
        if entry is ENDED:
            return True
        into.append(entry)
    return False


def _first_call(box: Box) -> list[Any]:
    """Take out what the box holds of its first call."""
    outcomes: list[Any] = []
    while box:
        entry = box.popleft()
        if entry is ENDED:
            break
        outcomes.append(entry)
    return outcomes
