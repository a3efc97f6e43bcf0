"""What travels through a link, and what a delivered item tells about its journey.

The rule: a link carries either an item or a :py:class:`Control`. With timing off an
item is the user's object itself, so that an untimed pipeline allocates nothing per
item; with timing on it is a :py:class:`Timed` around the object. A ``Control`` is
never user-made, so no value a user can send is mistaken for one, ``None`` included.
"""

from __future__ import annotations

import enum
import time
from typing import Any, Generic, TypeVar, final

import attrs

from ._report import ItemTimingBreakdown, ItemTimingTotals, StageTimingDetail
from ._timing import DetailedTiming

DataT = TypeVar("DataT")

MARKS_PER_STAGE = 3
"""Instants added per stage: accepted, call began, call ended. The next stage's
acceptance is this one's exit, so the intervals of all stages sum to the latency."""


class Kind(enum.Enum):
    """What a :py:class:`Control` says. The first three travel; the rest stay in a stage."""

    SENTINEL = enum.auto()
    END = enum.auto()
    RETURNED = enum.auto()
    FILTERED = enum.auto()
    EXTRA = enum.auto()
    FAILED = enum.auto()
    ENDED = enum.auto()


@final
class Control:
    """Anything but an item: a sentinel, the end of input, or a word from a worker."""

    __slots__ = ("kind", "value")

    def __init__(self, kind: Kind, value: Any = None) -> None:
        self.kind = kind
        self.value = value


TRAVELLING = frozenset({Kind.SENTINEL, Kind.END, Kind.RETURNED})
"""What goes from link to link; a returned exception is stale data to an interrupt, the
other two last."""

FILTERED = Control(Kind.FILTERED)
"""The call's outcome was ``None``: its item ends here."""

EXTRA = Control(Kind.EXTRA)
"""One more outcome follows from a call whose item has had its first."""

ENDED = Control(Kind.ENDED)
"""The call has had its last outcome; said where a crew sorts the outcomes of its workers."""


@final
class Batch(list[Any]):
    """Items that a batch stage's function takes in one call."""

    __slots__ = ()


def divided(entries: list[Any]) -> tuple[int, int]:
    """How many of the entries are items, and how many are controls that last."""
    controls = [entry for entry in entries if type(entry) is Control]
    return len(entries) - len(controls), sum(each.kind is not Kind.RETURNED for each in controls)


def weight(entries: list[Any]) -> int:
    """How many of the items inside a stage these entries stand for."""
    weights = {Kind.FILTERED: 1, Kind.FAILED: 1, Kind.EXTRA: -1}
    return sum(weights.get(each.kind, 0) if type(each) is Control else 1 for each in entries)


@final
class Timed:
    """An item under way, with the instants read so far."""

    __slots__ = ("created_at", "data", "marks", "turn")

    def __init__(self, data: Any, created_at: float | None, marks: list[float], turn: int = 0) -> None:
        self.data = data
        self.created_at = created_at
        self.marks = marks
        self.turn = turn


def item_breakdown(timed: Timed, names: tuple[str, ...]) -> ItemTimingBreakdown:
    """The intervals of one delivered item, stage by stage."""
    marks = timed.marks
    stages: dict[str, StageTimingDetail] = {}
    computation = 0.0
    for index, name in enumerate(names):
        enter, start, end, leave = marks[index * MARKS_PER_STAGE : (index + 1) * MARKS_PER_STAGE + 1]
        computation += end - start
        stages[name] = StageTimingDetail(start - enter, end - start, leave - end, leave - enter)
    began = marks[0] if timed.created_at is None else timed.created_at
    return ItemTimingBreakdown(_totals(computation, marks[-1] - began, marks[0] - began), stages)


def _totals(computation: float, latency: float, admission: float) -> ItemTimingTotals:
    ratio = computation / latency if latency > 0 else 0.0
    return ItemTimingTotals(computation, latency - computation, latency, ratio, admission)


@attrs.define(slots=True)
class PipelineItem(Generic[DataT]):
    """One item and the timing of its journey.

    A pipeline hands these out in ``completed_items``; the recording methods are those
    of 0.1.10 and do nothing while ``enable_timing`` is false, as every getter then
    returns ``None``.

    Attributes:
        data: The result delivered.
        enable_timing: Whether timing is kept.
        start_timestamp: When the item was created: ``created_at`` if the producer
            gave one, otherwise the moment the pipeline accepted it. Seconds of the
            pipeline's clock (:py:func:`time.perf_counter` by default).
        turn: The number of the turn it belongs to.
    """

    data: DataT
    enable_timing: bool = True
    start_timestamp: float = attrs.field(factory=time.perf_counter)
    turn: int = attrs.field(default=0, repr=False)
    _entries: dict[str, float] = attrs.field(init=False, factory=dict, repr=False)
    _completions: dict[str, float] = attrs.field(init=False, factory=dict, repr=False)
    _timings: dict[str, DetailedTiming] = attrs.field(init=False, factory=dict, repr=False)

    @classmethod
    def _from_timed(cls, timed: Timed, names: tuple[str, ...]) -> PipelineItem[DataT]:
        marks = timed.marks
        began = marks[0] if timed.created_at is None else timed.created_at
        item = cls(timed.data, start_timestamp=began, turn=timed.turn)
        for index, name in enumerate(names):
            visit = DetailedTiming(*marks[index * MARKS_PER_STAGE : (index + 1) * MARKS_PER_STAGE + 1])
            item.record_entry_time(name, visit.queue_enter_time)
            item.record_detailed_timing(name, visit)
            item.record_completion_time(name, visit.queue_exit_time)
        return item

    def record_entry_time(self, stage_name: str, at: float | None = None) -> None:
        """Record that the item entered a stage, ``at`` seconds or now."""
        if self.enable_timing:
            self._entries[stage_name] = time.perf_counter() if at is None else at

    def record_completion_time(self, stage_name: str, at: float | None = None) -> None:
        """Record that a stage is done with the item, ``at`` seconds or now."""
        if self.enable_timing:
            self._completions[stage_name] = time.perf_counter() if at is None else at

    def record_detailed_timing(self, stage_name: str, detailed_timing: DetailedTiming) -> None:
        """Record the four instants of a visit."""
        if self.enable_timing:
            self._timings[stage_name] = detailed_timing

    def get_entry_time(self, stage_name: str) -> float | None:
        """When the item entered the stage, or ``None``."""
        return self._entries.get(stage_name)

    def get_completion_time(self, stage_name: str) -> float | None:
        """When the stage was done with the item, or ``None``."""
        return self._completions.get(stage_name)

    def get_detailed_timing(self, stage_name: str) -> DetailedTiming | None:
        """The four instants of the visit, or ``None``."""
        return self._timings.get(stage_name)

    def get_total_latency(self) -> float | None:
        """Seconds from ``start_timestamp`` to the last completion, or ``None``."""
        if not self._completions:
            return None
        return max(self._completions.values()) - self.start_timestamp

    def get_stage_latencies(self) -> dict[str, float] | None:
        """Seconds between one completion and the next, per stage, or ``None``."""
        if not self._completions:
            return None
        latencies: dict[str, float] = {}
        previous = self.start_timestamp
        for name, completed in sorted(self._completions.items(), key=lambda pair: pair[1]):
            latencies[name] = completed - previous
            previous = completed
        return latencies

    def get_timing_breakdown(self) -> ItemTimingBreakdown | None:
        """The intervals per stage and in total, or ``None`` without timing.

        0.1.10 returned one dictionary in which a stage named ``totals`` vanished; this
        is the record the report uses.
        """
        if not self._timings:
            return None
        latency = self.get_total_latency()
        first = min(visit.queue_enter_time for visit in self._timings.values())
        stages = {
            name: StageTimingDetail(
                visit.queue_wait_time,
                visit.computation_time,
                visit.transmission_time,
                visit.queue_exit_time - visit.queue_enter_time,
            )
            for name, visit in self._timings.items()
        }
        computation = sum(detail.computation_time for detail in stages.values())
        totals = _totals(computation, latency or 0.0, first - self.start_timestamp)
        return ItemTimingBreakdown(totals, stages)
