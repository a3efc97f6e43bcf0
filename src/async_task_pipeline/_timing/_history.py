"""What a pipeline remembers of the items it has delivered.

The rule: the last of them are kept whole, and of all what can be folded. Items are collected in small
batches, which are folded together; a report folds what is pending first, so it includes the item
delivered a moment ago. Only the loop records; any thread may fold and read, so what is folded has a lock,
and what is pending a deque.
"""

from __future__ import annotations

import operator
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, overload

from .._stage import PipelineStage
from ._busy import Moment, Span
from ._folded import Folded
from ._item import PipelineItem
from ._timestamps import Timed
from ._turns import TurnHistory

if TYPE_CHECKING:
    from ._analysis import PipelineAnalysis
    from ._report import ItemTimingBreakdown

BATCH = 256
"""Large enough that folding is cheap per item, small enough that a fold (about a
millisecond for four stages) is not felt on the loop."""


class _Usage:
    """How many cores this process has used, on average, from the start of a run to the last fold."""

    __slots__ = ("_began", "_cpu", "share")

    def __init__(self) -> None:
        self._began, self._cpu = time.perf_counter(), time.process_time()
        self.share = 0.0

    def look(self) -> None:
        """Take the share as it is now."""
        seconds = time.perf_counter() - self._began
        self.share = (time.process_time() - self._cpu) / seconds if seconds > 0 else 0.0


class TimingHistory:
    """What a pipeline remembers of the items it has delivered.

    Args:
        history: How many items to keep whole.
    """

    def __init__(self, history: int) -> None:
        self.history = history
        self._lock = threading.RLock()
        self.turns: TurnHistory = TurnHistory(history)
        self._names: tuple[str, ...] = ()
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        self.turns.clear()
        self._forget_items()
        self._earlier = 0.0
        self._span = Span()
        self._usage = _Usage()

    def _forget_items(self) -> None:
        self._pending: deque[Timed] = deque()
        # The names an item's timestamps belong to travel with it: stages may be added
        # between two runs of one pipeline. An item that somebody has put here is as it was.
        self._recent: deque[tuple[Timed, tuple[str, ...]] | PipelineItem[Any]] = deque(maxlen=self.history)
        self._breakdowns: deque[ItemTimingBreakdown] = deque(maxlen=self.history)
        self._unbroken = 0
        self._folded = Folded()

    def begin(self, names: Sequence[str]) -> None:
        """Take items of a run with these stages from now on."""
        with self._lock:
            self._fold()
            self._names = tuple(names)
            self._usage = _Usage()

    def end_run(self, stages: Sequence[PipelineStage]) -> None:
        """Add up what there was of a run, before the next one begins."""
        with self._lock:
            self._fold()
            self._earlier += self._span.elapsed(stages, None)
            self._span = Span()

    def record(self, timed: Timed) -> None:
        """Take in one delivered item."""
        self._pending.append(timed)
        if len(self._pending) >= BATCH:
            with self._lock:
                self._fold()

    def _fold(self) -> None:
        pending = [self._pending.popleft() for _ in range(len(self._pending))]
        if not pending:
            return
        self.turns.deliver(pending)
        self._recent.extend(zip(pending, repeat(self._names), strict=False))
        self._unbroken = min(self._unbroken + len(pending), self.history)
        first, last = self._folded.fold(pending, self._names)
        self._span = Span(min(self._span.first, first), max(self._span.last, last))
        self._usage.look()

    def __len__(self) -> int:
        """How many items are remembered whole."""
        with self._lock:
            return min(len(self._recent) + len(self._pending), self.history)

    def entry(self, index: int) -> PipelineItem[Any]:
        """One of them, the oldest being 0; nothing is folded for it, nor made for the others."""
        with self._lock:
            index += len(self._recent) + len(self._pending) - len(self)
            if index >= len(self._recent):
                return PipelineItem._from_timed(self._pending[index - len(self._recent)], self._names)
            return _whole(self._recent[index])

    def entries(self) -> list[PipelineItem[Any]]:
        """All of them, oldest first."""
        with self._lock:
            self._fold()
            recent = [*self._recent]
        return [_whole(entry) for entry in recent]

    def replace(self, items: Iterable[PipelineItem[Any]]) -> None:
        """Replace the delivered items by these."""
        new = list(items)
        with self._lock:
            self._forget_items()
            for item in new:
                self._add(item)

    def append(self, item: PipelineItem[Any]) -> None:
        """Take in an item as delivered last."""
        with self._lock:
            self._fold()
            self._add(item)

    def _add(self, item: PipelineItem[Any]) -> None:
        self._recent.append(item)
        self._unbroken = min(self._unbroken + 1, self.history)
        self._folded.add(item)

    def report(self, stages: Sequence[PipelineStage], moment: Moment, *, details: bool) -> PipelineAnalysis | None:
        """The report of everything recorded, or ``None`` before the first outcome."""
        from ._reporting import make_report  # noqa: PLC0415  loaded with the first report

        with self._lock:
            self._fold()
            if not len(self._folded) and not any(stage.processed_count for stage in stages):
                return None
            elapsed = self._earlier + self._span.elapsed(stages, moment)
            breakdowns = self._item_breakdowns() if details else []
            return make_report(
                self._folded, stages, moment, breakdowns, self.turns, elapsed=elapsed, cpu_share=self._usage.share
            )

    def _item_breakdowns(self) -> list[ItemTimingBreakdown]:
        from ._breakdown import item_breakdown  # noqa: PLC0415  loaded with the first report

        # Only what has come since the last report is worked out: polling is cheap.
        for entry in list(self._recent)[len(self._recent) - min(self._unbroken, len(self._recent)) :]:
            if not isinstance(entry, PipelineItem):
                self._breakdowns.append(item_breakdown(*entry))
            elif (breakdown := entry.get_timing_breakdown()) is not None:
                self._breakdowns.append(breakdown)
        self._unbroken = 0
        return list(self._breakdowns)


class CompletedItems(Sequence[PipelineItem[Any]]):  # noqa: PLW1641  as a list has none
    """The last items delivered, oldest first, with their timing; looks like a list.

    What is looked at is made then, so that looking at the last one after each delivery is
    cheap. Two looks at one item give equal objects.
    """

    def __init__(self, history: TimingHistory) -> None:
        self._history = history

    def __len__(self) -> int:
        """How many there are, at most ``timing_history``."""
        return len(self._history)

    @overload
    def __getitem__(self, index: int) -> PipelineItem[Any]: ...

    @overload
    def __getitem__(self, index: slice) -> list[PipelineItem[Any]]: ...

    def __getitem__(self, index: int | slice) -> PipelineItem[Any] | list[PipelineItem[Any]]:
        """One of them, or a list of several."""
        if isinstance(index, slice):
            return self._history.entries()[index]
        count = len(self)
        at = operator.index(index)
        if not -count <= at < count:
            raise IndexError("completed_items index out of range")
        return self._history.entry(at % count)

    def __iter__(self) -> Iterator[PipelineItem[Any]]:
        """Iterate over those that there are now."""
        return iter(self._history.entries())

    def __eq__(self, other: object) -> bool:
        """Compare as a list."""
        if not isinstance(other, (list, CompletedItems)):
            return NotImplemented
        return [*self] == [*other]

    def __repr__(self) -> str:
        """Show it as a list."""
        return repr([*self])

    def append(self, item: PipelineItem[Any]) -> None:
        """Append an item as the last delivered."""
        self._history.append(item)

    def clear(self) -> None:
        """Forget them, and the report of them."""
        self._history.replace([])

    def copy(self) -> list[PipelineItem[Any]]:
        """Those that there are now, as a list."""
        return [*self]


def _whole(entry: tuple[Timed, tuple[str, ...]] | PipelineItem[Any]) -> PipelineItem[Any]:
    return entry if isinstance(entry, PipelineItem) else PipelineItem._from_timed(*entry)
