"""What a delivered item tells about its journey.

The rule: a record is made from the instants that the engine has noted in the item, when somebody
asks for it and not before. The recording methods are those of 0.1.10.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Generic, TypeVar

import attrs

from ._clock import DetailedTiming
from ._timestamps import TIMESTAMPS_PER_STAGE, Timed

if TYPE_CHECKING:
    from ._report import ItemTimingBreakdown

DataT = TypeVar("DataT")


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
        timestamps = timed.timestamps
        began = timestamps[0] if timed.created_at is None else timed.created_at
        item = cls(timed.data, start_timestamp=began, turn=timed.turn)
        for index, name in enumerate(names):
            visit = DetailedTiming(*timestamps[index * TIMESTAMPS_PER_STAGE : (index + 1) * TIMESTAMPS_PER_STAGE + 1])
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
        return self._entries.get(stage_name) if self.enable_timing else None

    def get_completion_time(self, stage_name: str) -> float | None:
        """When the stage was done with the item, or ``None``."""
        return self._completions.get(stage_name) if self.enable_timing else None

    def get_detailed_timing(self, stage_name: str) -> DetailedTiming | None:
        """The four instants of the visit, or ``None``."""
        return self._timings.get(stage_name) if self.enable_timing else None

    def get_total_latency(self) -> float | None:
        """Seconds from ``start_timestamp`` to the last completion, or ``None``."""
        if not self.enable_timing or not self._completions:
            return None
        return max(self._completions.values()) - self.start_timestamp

    def get_stage_latencies(self) -> dict[str, float] | None:
        """Seconds between one completion and the next, per stage, or ``None``."""
        if not self.enable_timing or not self._completions:
            return None
        latencies: dict[str, float] = {}
        previous = self.start_timestamp
        for name, completed in sorted(self._completions.items(), key=lambda pair: pair[1]):
            latencies[name] = completed - previous
            previous = completed
        return latencies

    def get_timing_breakdown(self) -> ItemTimingBreakdown | None:
        """The intervals per stage and in total, or ``None`` without timing.

        The record that the report uses. It answers as the dictionary of 0.1.10 too, by
        the name of a stage and by ``"totals"``; a stage of that name is in ``stages`` alone.
        """
        if not self.enable_timing or not self._timings:
            return None
        from ._breakdown import breakdown_of_visits  # noqa: PLC0415  loaded with the first report

        return breakdown_of_visits(self._timings, self.start_timestamp, self.get_total_latency() or 0.0)
