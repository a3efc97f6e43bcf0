"""Counting what was taken out of a pipeline, and freeing it: afterwards, a slice at a time.

The rule: a step that drops items swaps containers, and looks at no item but those in calls, however
many there are. What is in the containers then is written by nobody any more, so it may be looked at
later with the same result; until it was, it counts as inside. To free a million objects holds the loop
as long as to count them, so they are freed in the same slices.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any, TypeAlias

import attrs

from .._counts import StageCounts
from ._item import EXPANDED, FAILED, FILTERED, PASSED, SENTINEL, WAITING, Children, Item
from ._wakeup import ITEMS_PER_STEP, Waker

Container: TypeAlias = list[Any] | deque[Any] | dict[Any, None] | set[Any]

Work: TypeAlias = Iterator[int]
"""Yields after each slice how much was in it."""

Note: TypeAlias = Callable[[list[Item]], object]
"""What the report hears of items that were dropped."""


@attrs.frozen(eq=False, repr=False)
class TakenOut:
    """All that was in a link or a window.

    Attributes:
        entries: Where its entries are, each once.
        items: How many items they counted as.
        others: Those of them that are no items, in order.
        rest: What else is to be freed.
    """

    entries: list[Container]
    items: int
    others: list[Item]
    rest: list[Container] = attrs.field(factory=list)


@attrs.define(eq=False, repr=False)
class Tally:
    """What was dropped in one stage, as far as it is counted; see :py:class:`DroppedItems`."""

    queued: int = 0
    in_call: int = 0
    finished: int = 0


class Counting:
    """What was taken out and is not counted yet, and what is to be freed.

    Attributes:
        woken: See :py:class:`.Pumped`.
    """

    def __init__(self, waker: Waker) -> None:
        self.woken = False
        self._waker = waker
        self._uncounted: deque[Work] = deque()
        self._rest: deque[Work] = deque()

    @property
    def done(self) -> bool:
        """Whether all is counted, and freed."""
        return not (self._uncounted or self._rest)

    def count(self, work: Work) -> None:
        """Have something counted."""
        self._uncounted.append(work)

    def free(self, containers: Iterable[Container], note: Note | None = None) -> None:
        """Free what needs no counting, once the rest is counted."""
        self._rest.append(_free(containers, note))

    def then(self, function: Callable[[], object]) -> None:
        """Call this when all is done that was to be done till now, now if it is."""
        if self.done:
            function()
        else:
            self._rest.append(_call(function))

    def pump(self) -> None:
        """Do so much, and go on in the next step."""
        done = 0
        while not self.done and done < ITEMS_PER_STEP:
            done += _do(self._uncounted or self._rest)
        if not self.done:
            self._waker.wake_next(self)

    def finish_counting(self) -> None:
        """Count all the rest at once."""
        while self._uncounted:
            _do(self._uncounted)

    def finish(self) -> None:
        """Do all the rest at once."""
        while not self.done:
            _do(self._uncounted or self._rest)


def _do(works: deque[Work]) -> int:
    """Do the next slice of the first; return how much that was."""
    work = works.popleft()  # out of reach of a log handler that clears the pipeline
    done = next(work, None)
    if done is None:
        return 0
    works.appendleft(work)
    return done


@attrs.frozen(eq=False, repr=False)
class Dropped:
    """How what one interrupt drops in one stage is counted.

    Attributes:
        counts: The stage's, as they were then: they may be cleared meanwhile.
        tally: For the receipt.
        note: For the report.
        count_failure: Counts a call that has failed.
        counting: Where what is counted is freed.
    """

    counts: StageCounts
    tally: Tally
    note: Note | None
    count_failure: Callable[[Item, StageCounts], None]
    counting: Counting

    def queued(self, items: int) -> None:
        """Count items that waited for a worker."""
        self.tally.queued += items
        self.counts.dropped += items

    def in_call(self, *, begun: bool) -> None:
        """Count an item in a call; ``begun`` if an outcome of it has left, which stood for it."""
        self.tally.in_call += 1
        self.counts.dropped += 1
        self.counts.fanned_out += begun

    def count(self, containers: Iterable[Container]) -> Work:
        """Count entries of the window by what they were when they were taken out.

        Those that are stale were in calls, and are counted.
        """
        counts, each = self.counts, chain.from_iterable(containers)
        while entries := [*islice(each, ITEMS_PER_STEP)]:
            waiting = [item for item in entries if item.outcome == WAITING and not item.stale and item.children is None]
            finished = [item for item in entries if item.outcome == PASSED and not item.stale]
            both = len(waiting) + len(finished)
            counts.uncounted -= both
            self.queued(len(waiting))
            self.tally.finished += len(finished)
            counts.dropped += len(finished)
            if self.note is not None:
                self.note([*waiting, *finished])
            if both < len(entries):
                yield from self._count_rest(entries)
            yield len(entries)

    def note_waiting(self, items: list[Item]) -> None:
        """Note those that were in no call; one that was is noted when its call has ended."""
        if self.note is not None:
            self.note([item for item in items if not item.stale])

    def _count_rest(self, entries: list[Item]) -> Work:
        counts = self.counts
        for item in entries:
            if item.stale:
                continue
            if item.outcome == FILTERED:
                counts.uncounted -= 1
                counts.filtered += 1
            elif item.outcome == FAILED:
                counts.uncounted -= 1
                self.count_failure(item, counts)
            elif item.outcome == EXPANDED and item.children is not None:
                if not item.children.passed:  # the first of them stands for the item
                    counts.uncounted -= 1
                    counts.fanned_out -= 1
                yield from self.count_children(item.children)
            elif item.outcome == WAITING and item.children is not None:
                # The end of the run met its generator's worker first.
                counts.uncounted -= not item.children.passed
                self.in_call(begun=item.children.passed)
                yield from self.count_children(item.children)

    def count_children(self, children: Children) -> Work:
        """Count what a generator has yielded, each as one more than its item."""
        for part in slices([children]):
            self.counts.fanned_out += len(part)
            self.counts.uncounted += len(part)
            yield from self.count([part])
            self.counting.free([part])


def _call(function: Callable[[], object]) -> Work:
    function()
    yield from ()


def slices(containers: Iterable[Container]) -> Iterator[list[Any]]:
    """Everything, taken out so much at a time."""
    for each in containers:
        while each:
            if isinstance(each, list):
                part = each[-ITEMS_PER_STEP:]  # at its end, which moves nothing
                del each[-ITEMS_PER_STEP:]
            elif isinstance(each, dict):
                part = [each.popitem()[0] for _ in range(min(len(each), ITEMS_PER_STEP))]
            else:
                pop = each.popleft if isinstance(each, deque) else each.pop
                part = []
                with contextlib.suppress(IndexError):  # of an inbox a worker may take the last meanwhile
                    part = [pop() for _ in range(min(len(each), ITEMS_PER_STEP))]
            yield part


def _free(containers: Iterable[Container], note: Note | None) -> Work:
    for part in slices(containers):
        if note is not None:
            note([entry for entry in part if entry.outcome < SENTINEL])
        yield len(part)
