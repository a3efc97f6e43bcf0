"""What travels through a pipeline: one object for the whole journey.

The rule: an item is its own place. A worker writes what came of a call into the item and
nowhere else, data first and the outcome last, which publishes it; the loop reads only items
that are in a window. So an item that was taken out of its window is an orphan: whatever its
call still writes into it is seen by nobody.

Sentinels, the end of input and returned exceptions travel as items that are born with an
outcome: they go into windows and never into an inbox, so no worker ever has one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Final, TypeAlias, final

from .._failure import Failure, FailureMeaning

WAITING: Final = 0
"""Accepted by a window; its call has not ended."""

PASSED: Final = 1
"""Its call returned a result, which is its data now. Also what a link carries."""

FILTERED: Final = 2
"""Its call returned ``None``."""

FAILED: Final = 3
"""Its call raised; its data is a :py:class:`Failed` now."""

EXPANDED: Final = 4
"""Its call was a generator that has ended; what it yielded is in ``children``."""

SENTINEL: Final = 5
"""Not an item of the user's data: it passes every stage, and survives interrupts."""

RETURNED: Final = 6
"""An exception that travels to the output in place of the item that failed; counted where it
failed and nowhere else, and dropped by an interrupt."""

END: Final = 7
"""The end of input: passes every stage, and survives whatever drops the rest."""

# Plain numbers, because each is compared several times per item and stage. Whatever is
# SENTINEL or more is no item to the counters.


@final
class Failed:
    """What has become of the data of an item whose call has failed.

    Attributes:
        exc: What the call has raised.
        shown: The item in words, for a line in the log.
        meaning: What it means; of a stage that asks a function, as soon as that has answered.
        failure: What that function is told.
    """

    __slots__ = ("exc", "failure", "meaning", "shown")

    def __init__(self, exc: BaseException, shown: str, meaning: FailureMeaning, failure: Failure | None = None) -> None:
        self.exc: BaseException = exc
        self.shown: str = shown
        self.meaning: FailureMeaning = meaning
        self.failure: Failure | None = failure


class Item:
    """One item, sentinel or returned exception, or the end of input.

    Attributes:
        data: The user's object: what went in, then the result of each stage.
        accepted_by: The stage that has accepted it last. Written by the loop.
        outcome: One of the constants above; written by whoever makes the call, last of all.
        children: What a generator has yielded and the loop has not passed on, or ``None``.
        stale: Whether it was taken out of its window or inbox. Written by the loop alone; a
            worker that has taken a stale item does not call the function.
        segment: Where it is in an unordered window, which alone reads and writes it.
        created_at: With timing on, the producer's or ``None``; seconds of the pipeline's clock.
        timestamps: With timing on: accepted by the first link; then for each stage: call began,
            call ended, accepted by what is behind. So the intervals of all stages sum to the latency.
        turn: With timing on, the number of its turn.
    """

    __slots__ = ("accepted_by", "children", "created_at", "data", "outcome", "segment", "stale", "timestamps", "turn")

    # Set only where they are used: five assignments fewer per item.
    accepted_by: object
    segment: Any
    created_at: float | None
    timestamps: list[float]
    turn: int

    def __init__(self, data: Any, outcome: int = PASSED) -> None:
        self.data: Any = data
        self.children: Children | None = None
        self.stale: bool = False
        self.outcome: int = outcome

    def child(self, data: Any, outcome: int, start: float, end: float) -> Item:
        """One outcome of its generator."""
        return Item(data, outcome)

    def replacement(self, data: Any, outcome: int) -> Item:
        """An item to stand in its place in the window, while its own call goes on unseen."""
        return Item(data, outcome)


class TimedItem(Item):
    """An item of a pipeline with timing on."""

    __slots__ = ()

    def __init__(
        self, data: Any, outcome: int, created_at: float | None, timestamps: list[float], turn: int = 0
    ) -> None:
        # All of it here: a call of the base's for each item would cost as much as the rest.
        self.data: Any = data
        self.children: Children | None = None
        self.stale: bool = False
        self.outcome: int = outcome
        self.created_at: float | None = created_at
        self.timestamps: list[float] = timestamps
        self.turn: int = turn

    def child(self, data: Any, outcome: int, start: float, end: float) -> TimedItem:
        """One outcome of its generator; siblings must not share what they measured."""
        return TimedItem(data, outcome, self.created_at, [*self.timestamps, start, end], self.turn)

    def replacement(self, data: Any, outcome: int) -> TimedItem:
        """An item to stand in its place in the window, while its own call goes on unseen."""
        return TimedItem(data, outcome, self.created_at, [*self.timestamps], self.turn)


class Children(deque[Item]):
    """What a generator has yielded: appended to by its worker, taken from by the loop.

    Attributes:
        passed: Whether one has left the window. The first counts as the item itself, each
            further one as fanned out. Written by the loop alone.
    """

    def __init__(self, items: Iterable[Item] = ()) -> None:
        super().__init__(items)
        self.passed: bool = False


@final
class Batch(list[Item]):
    """The items that a batch stage's function takes in one call."""

    __slots__ = ()

    @property
    def data(self) -> list[Any]:
        """What the function is called with."""
        return [item.data for item in self]

    @property
    def stale(self) -> bool:
        """Whether its items were dropped; all of a batch go together."""
        return self[0].stale


Taken: TypeAlias = Item | Batch
"""What a worker takes from an inbox."""

Inbox: TypeAlias = deque[Taken]
"""What no worker has taken yet."""
