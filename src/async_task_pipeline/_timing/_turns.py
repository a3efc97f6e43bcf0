"""What became of each turn, and how soon an interrupted pipeline was quiet.

The rule: a turn's record begins with its first item and is added to, never rewritten;
the oldest is forgotten when there are too many. The loop notes and any thread reads, so each
step has a lock. Computation is wasted when an item that
it went into is dropped; a call whose results are several is counted once for all that
are dropped together.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import attrs

from ._sketch import Sketch
from ._timestamps import TIMESTAMPS_PER_STAGE, Timed

if TYPE_CHECKING:
    from ._report import InterruptStatistics, TurnStatistics

Call: TypeAlias = tuple[int, float, float]
"""The place among its item's timestamps at which a call began, and when it began and ended."""


@attrs.define(eq=False, repr=False)
class _Record:
    number: int
    started_at: float
    first_output_at: float | None = None
    interrupted: bool = False
    delivered: int = 0
    dropped: int = 0
    wasted: float = 0.0

    def statistics(self) -> TurnStatistics:
        from ._report import TurnStatistics  # noqa: PLC0415  loaded with the first report

        first = self.first_output_at
        return TurnStatistics(
            number=self.number,
            started_at=self.started_at,
            first_output_time=None if first is None else first - self.started_at,
            interrupted=self.interrupted,
            delivered=self.delivered,
            dropped=self.dropped,
            wasted_computation=self.wasted,
        )


class TurnHistory:
    """The last turns of a pipeline.

    Args:
        history: How many to remember.
    """

    def __init__(self, history: int) -> None:
        self._history = history
        self._lock = threading.RLock()
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._records: dict[int, _Record] = {}
            self._forgotten = 0
            self._interrupts = 0
            self._idle = Sketch()

    def begin(self, number: int, at: float) -> None:
        """Note that a turn begins at this instant."""
        with self._lock:
            self._of(number, at)

    def deliver(self, items: Sequence[Timed]) -> None:
        """Note items handed to the consumer, in order."""
        with self._lock:
            numbers = [timed.turn for timed in items]
            for number, count in Counter(numbers).items():
                first = items[numbers.index(number)]
                record = self._of(number, first.timestamps[0])
                record.delivered += count
                if record.first_output_at is None:
                    record.first_output_at = first.timestamps[-1]

    def drop(
        self, entries: Iterable[Timed], *, cut_short: bool = True, known: dict[int, set[Call]] | None = None
    ) -> None:
        """Note items that were dropped.

        Args:
            entries: The items, as far as they had come.
            cut_short: Whether that was an interrupt or the end, and so ends their turns.
            known: By turn, the calls of what else was dropped in the same step and has been noted;
                those of the entries are added.
        """
        with self._lock:
            for number, timeds in itertools.groupby(sorted(entries, key=_turn), _turn):
                dropped = list(timeds)
                record = self._of(number, dropped[0].timestamps[0])
                record.dropped += len(dropped)
                record.wasted += computation(dropped, None if known is None else known.setdefault(number, set()))
                record.interrupted |= cut_short

    def drop_call(self, called: Timed, results: Iterable[Timed]) -> None:
        """Note a stale call that has ended, and what came of it after the interrupt."""
        with self._lock:
            record = self._of(called.turn, called.timestamps[0])
            record.dropped += 1
            record.wasted += computation([called, *results])
            record.interrupted = True

    def drop_waiting(self, number: int, items: int) -> None:
        """Note items that were dropped while they waited to be accepted."""
        with self._lock:
            self.cut_short(number)
            if number in self._records:
                self._records[number].dropped += items

    def cut_short(self, number: int) -> None:
        """Note that an interrupt, or the end, has ended a turn."""
        with self._lock:
            if number in self._records:
                self._records[number].interrupted = True

    def interrupt(self) -> None:
        """Note an interrupt."""
        with self._lock:
            self._interrupts += 1

    def idle(self) -> Callable[[float], object]:
        """Where to note how long after the request the last stale call of an interrupt ended.

        Noted after a ``clear``, it is about something that is forgotten.
        """
        sketch = self._idle

        def note(seconds: float) -> None:
            with self._lock:
                sketch.extend([seconds])

        return note

    def turns(self) -> list[TurnStatistics]:
        """The last turns, oldest first."""
        with self._lock:
            return [record.statistics() for record in self._records.values()]

    def interrupts(self) -> InterruptStatistics:
        """All interrupts."""
        from ._report import InterruptStatistics, Percentiles  # noqa: PLC0415  loaded with the first report

        with self._lock:
            return InterruptStatistics(
                total=self._interrupts,
                with_calls=len(self._idle),
                time_to_idle=Percentiles(*self._idle.quantiles((0.5, 0.9, 0.99))),
                max_time_to_idle=self._idle.maximum,
            )

    def _of(self, number: int, at: float) -> _Record:
        record = self._records.get(number)
        if record is None:
            record = _Record(number, at)
            if number > self._forgotten:  # if not, it is of a turn that is remembered no more
                self._records[number] = record
                if len(self._records) > self._history:
                    self._forgotten = max(self._forgotten, next(iter(self._records)))
                    del self._records[next(iter(self._records))]
        return record


def _turn(timed: Timed) -> int:
    return timed.turn


def computation(entries: Iterable[Timed], known: set[Call] | None = None) -> float:
    """Seconds inside stage functions, those that several of the entries share counted once.

    Those of the known calls are not counted again, and all others become known.
    """
    calls: set[Call] = {
        (at, timed.timestamps[at], timed.timestamps[at + 1])
        for timed in entries
        for at in range(1, len(timed.timestamps) - 1, TIMESTAMPS_PER_STAGE)
    }
    if known is not None:
        calls -= known
        known |= calls
    return sum(end - start for _, start, end in calls)
