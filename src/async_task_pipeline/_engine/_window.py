"""What a stage has accepted and not passed on, and in which order it leaves.

The rule: an item leaves when it has an outcome and nothing before it has to go first. With
:py:class:`InOrder` that is the item at the front. With :py:class:`AsReady` items between two
sentinels are equals, and of the first such segment whatever has an outcome leaves; nothing
overtakes a sentinel, and no sentinel overtakes anything.

Windows are plain data of the loop's thread. Workers have the items themselves and write
outcomes into them at any moment, so each item is looked at once and handled by what it is
then: a step of a window reads an outcome before it reads what that outcome publishes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import groupby
from typing import Protocol

from ._counting import Container, TakenOut
from ._item import END, EXPANDED, FILTERED, PASSED, SENTINEL, WAITING, Item


class Window(Protocol):
    """Either kind.

    Attributes:
        fanned_out: How many outcomes beyond the first of their call have left.
        others: The entries that are no items, in order.
    """

    fanned_out: int
    others: deque[Item]

    def __len__(self) -> int:
        """How many entries it has, sentinels included."""
        ...

    @property
    def items(self) -> int:
        """How many items; one whose generator goes on after its first outcome has left is none."""
        ...

    def accept(self, burst: list[Item], others: Sequence[Item]) -> None:
        """Take in a burst, of which these are no items."""

    def take_back(self, entries: list[Item]) -> None:
        """Take in, in order, what :py:meth:`take_out` has taken out."""

    def finished(self, published: deque[Item], most: int) -> None:
        """Note that there is something to pass on of the first of these items, which are taken out of them."""

    def leave(self, room: int, most: int) -> tuple[list[Item], bool]:
        """Take out what may leave now: of what needs room at most ``room``, and about ``most`` in all.

        Returns those items, and whether all of them were passed, so that nobody has to look
        at each again.
        """
        ...

    def replace(self, old: Item, new: Item) -> None:
        """Put ``new`` in the place of ``old``, which is an orphan then."""

    def remove(self, item: Item) -> None:
        """Take out one item that no worker has taken."""

    def take_out(self) -> TakenOut:
        """Take out everything, in order as far as there is one; in one step, however much it is."""
        ...


class InOrder:
    """First come, first out."""

    def __init__(self) -> None:
        self.fanned_out = 0
        self.others: deque[Item] = deque()
        self._entries: deque[Item] = deque()
        self._begun = 0  # items of which an outcome has left

    def __len__(self) -> int:
        """How many entries it has."""
        return len(self._entries)

    @property
    def items(self) -> int:
        """How many items."""
        return len(self._entries) - len(self.others) - self._begun

    def accept(self, burst: list[Item], others: Sequence[Item]) -> None:
        """Take in a burst."""
        self._entries.extend(burst)
        if others:
            self.others.extend(others)

    def take_back(self, entries: list[Item]) -> None:
        """Take in what was taken out."""
        self.accept(entries, [*filter(is_no_item, entries)])
        self._begun += sum(map(has_begun, entries))

    def finished(self, published: deque[Item], most: int) -> None:
        """Do nothing: in order, the front of the window is looked at in each step anyway."""

    def leave(self, room: int, most: int) -> tuple[list[Item], bool]:
        """Take out what may leave now."""
        entries, plain = self._entries, True
        room = min(room, most)
        passed = 0
        for head in entries:  # how many at the front were passed, which mostly is all there is to leave
            if head.outcome != PASSED or passed >= room:
                break
            passed += 1
        leaving = [entries.popleft() for _ in range(passed)]
        room -= passed
        while entries and len(leaving) < most:
            head = entries[0]
            outcome = head.outcome
            if outcome == PASSED:
                if room <= 0:
                    break
                room -= 1
                leaving.append(entries.popleft())
                continue
            if outcome == WAITING and not head.children:
                break
            plain = False
            if outcome in (WAITING, EXPANDED):
                room = self._expand(head, leaving, room)
                if head.children or outcome == WAITING:
                    break
                self._begun -= entries.popleft().children is not None
                continue
            if outcome != FILTERED:
                if room <= 0:
                    break
                room -= 1
            if outcome >= SENTINEL:
                self.others.popleft()
            leaving.append(entries.popleft())
        return leaving, plain

    def _expand(self, item: Item, leaving: list[Item], room: int) -> int:
        room, first, further = expand(item, leaving, room)
        self._begun += first
        self.fanned_out += further
        return room

    def replace(self, old: Item, new: Item) -> None:
        """Put ``new`` in the place of ``old``."""
        self._entries[self._entries.index(old)] = new

    def remove(self, item: Item) -> None:
        """Take out one item that no worker has taken."""
        self._entries.remove(item)

    def take_out(self) -> TakenOut:
        """Take out everything, in order."""
        out = TakenOut([self._entries], self.items, [*self.others])
        self._entries = deque()
        self.others.clear()
        self._begun = 0
        return out


class Segment:
    """The items between two sentinels, or one entry that is no item."""

    __slots__ = ("items", "ready")

    def __init__(self) -> None:
        # In the order of acceptance, which matters to whoever counts them when they are dropped.
        self.items: dict[Item, None] = {}
        self.ready: deque[Item] = deque()


class AsReady:
    """Whatever has an outcome, between one sentinel and the next."""

    def __init__(self) -> None:
        self.fanned_out = 0
        self._segments: deque[Segment | Item] = deque()
        self.others: deque[Item] = deque()
        self._length = 0
        self._begun = 0

    def __len__(self) -> int:
        """How many entries it has."""
        return self._length

    @property
    def items(self) -> int:
        """How many items."""
        return self._length - len(self.others) - self._begun

    def accept(self, burst: list[Item], others: Sequence[Item]) -> None:
        """Take in a burst."""
        segments = self._segments
        for no_items, entries in groupby(burst, is_no_item) if others else [(False, burst)]:
            if no_items:
                segments.extend(entries)
                continue
            segment = segments[-1] if segments else None
            if not isinstance(segment, Segment):
                segment = Segment()
                segments.append(segment)
            for item in entries:
                item.segment = segment
                segment.items[item] = None
        self._length += len(burst)
        self.others.extend(others)

    def take_back(self, entries: list[Item]) -> None:
        """Take in what was taken out."""
        self.accept(entries, [*filter(is_no_item, entries)])
        self._begun += sum(map(has_begun, entries))
        for item in entries:
            if not is_no_item(item) and (item.outcome != WAITING or item.children):
                item.segment.ready.append(item)

    def finished(self, published: deque[Item], most: int) -> None:
        """Note that there is something to pass on."""
        for _ in range(min(len(published), most)):
            item = published.popleft()
            if not item.stale:
                item.segment.ready.append(item)

    def leave(self, room: int, most: int) -> tuple[list[Item], bool]:
        """Take out what may leave now."""
        leaving: list[Item] = []
        plain = True
        room = min(room, most)
        while self._segments and len(leaving) < most:
            head = self._segments[0]
            if isinstance(head, Segment):
                room, only_passed = self._leave_segment(head, leaving, room, most)
                plain = plain and only_passed
                if head.items:
                    break
            else:
                if room <= 0:
                    break
                room -= 1
                plain = False
                leaving.append(head)
                self._length -= 1
                self.others.popleft()
            self._segments.popleft()
        return leaving, plain

    def _leave_segment(self, segment: Segment, leaving: list[Item], room: int, most: int) -> tuple[int, bool]:
        items, ready, plain = segment.items, segment.ready, True
        before = len(leaving)
        # What was passed, which mostly is all there is to leave.
        while ready and room > 0 and (item := ready[0]).outcome == PASSED and item in items:
            del items[item]
            leaving.append(ready.popleft())
            room -= 1
        self._length -= len(leaving) - before
        while ready and len(leaving) < most:
            item = ready[0]
            if item not in items:
                ready.popleft()  # noted twice
                continue
            outcome = item.outcome
            plain = plain and outcome == PASSED
            if outcome in (WAITING, EXPANDED):
                room, first, further = expand(item, leaving, room)
                self._begun += first
                self.fanned_out += further
                if item.children:
                    break  # for want of room
                ready.popleft()
                if outcome == EXPANDED:
                    self._begun -= 1
                    self._length -= 1
                    del items[item]
                continue
            if outcome != FILTERED:
                if room <= 0:
                    break
                room -= 1
            leaving.append(ready.popleft())
            self._length -= 1
            del items[item]
        return room, plain

    def replace(self, old: Item, new: Item) -> None:
        """Put ``new`` in the place of ``old``."""
        segment = new.segment = old.segment
        del segment.items[old]
        segment.items[new] = None
        segment.ready.append(new)

    def remove(self, item: Item) -> None:
        """Take out one item that no worker has taken."""
        del item.segment.items[item]
        self._length -= 1

    def take_out(self) -> TakenOut:
        """Take out everything."""
        entries: list[Container] = []
        rest: list[Container] = []
        for each in self._segments:
            if isinstance(each, Segment):
                entries.append(each.items)
                rest.append(each.ready)
                each.items, each.ready = {}, deque()  # an orphan keeps its segment, not all that was in it
            else:
                entries.append([each])
        out = TakenOut(entries, self.items, [*self.others], rest)
        self._segments.clear()
        self.others.clear()
        self._length = self._begun = 0
        return out


def expand(item: Item, leaving: list[Item], room: int) -> tuple[int, int, int]:
    """Take out what a generator has yielded, as far as there is room for it.

    Returns the room left; 1 if the first outcome of the call was among it, else 0; and how many
    were further ones.
    """
    children = item.children
    if children is None:
        return room, 0, 0
    before = len(leaving)
    while children:
        if children[0].outcome != FILTERED:
            if room <= 0:
                break
            room -= 1
        leaving.append(children.popleft())
    moved = len(leaving) - before
    first = moved > 0 and not children.passed
    if first:
        children.passed = True
    return room, int(first), moved - first


def is_no_item(entry: Item) -> bool:
    """Whether it is a sentinel, a returned exception or the end of input."""
    return entry.outcome >= SENTINEL


def has_begun(entry: Item) -> bool:
    """Whether an outcome of it has left while it is still here."""
    return entry.children is not None and entry.children.passed


def lasting(entries: list[Item], *, sentinels: bool) -> list[Item]:
    """Those of the entries that survive: sentinels if so wanted, and the end of input always."""
    return [each for each in entries if each.outcome == END or (sentinels and each.outcome == SENTINEL)]
