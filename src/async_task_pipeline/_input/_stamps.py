"""What an item is marked with when it is accepted: the instant, and its turn.

The rule: with timing off there is nothing to mark, and an item is the user's object itself.
Turns are numbered all the same; what is put without one is of the turn begun last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .._items import Timed
from .._timing import Clock
from .._turn_history import TurnHistory


class Stamps:
    """The clock and the current turn of one run.

    Args:
        clock: For timing, or ``None`` while that is off.
        numbers: Where the numbers of turns come from.
        history: Where turns are remembered, if they are.
    """

    def __init__(self, clock: Clock | None, numbers: Iterator[int], history: TurnHistory | None) -> None:
        self._clock = clock
        self._numbers = numbers
        self._history = history
        self._number = 0

    def entry(self, data: Any, created_at: float | None, number: int) -> Any:
        """The entry for one item; its marks begin when it is accepted."""
        return data if self._clock is None else Timed(data, created_at, [], number)

    def stamp(self, entries: Iterable[Timed]) -> None:
        """Mark items that are accepted now."""
        if self._clock is not None:
            now = self._clock()
            number = self._number or self._begin(now)
            for entry in entries:
                entry.marks.append(now)
                entry.turn = entry.turn or number

    def begin(self) -> int:
        """Begin a turn; return its number."""
        return self._begin(0.0 if self._clock is None else self._clock())

    def _begin(self, now: float) -> int:
        self._number = next(self._numbers)
        if self._history is not None:
            self._history.begin(self._number, now)
        return self._number

    def end(self) -> int:
        """End the current turn; return its number, 0 if none had begun."""
        number, self._number = self._number, 0
        return number
