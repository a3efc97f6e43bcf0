"""Which stage sets the pace, and what would make the pipeline faster.

The rule: the numbers of the report decide, and the same numbers stand in it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

import attrs

from .._layout import NAME, shortened
from .._stage import PipelineStage
from ._report import Bottleneck, StageStatistics

CLOSE = 0.9
"""Two stages are named if the share of one is at least so much of the other's: the next to be
limiting, as soon as the first is a tenth faster."""

ALWAYS_BUSY = 0.9
"""From here on nothing but a faster stage can help much."""

FEW = 0.5
"""Fewer items than this, on average, are nobody who waits."""


def bottlenecks(statistics: Mapping[str, StageStatistics]) -> list[Bottleneck]:
    """The stage with the greatest busy share, and those that are close to it."""
    most = max((each.busy_share for each in statistics.values()), default=0.0)
    found = [
        Bottleneck(name, each.busy_share, each.workers, each.avg_queue_depth, each.queue_depth)
        for name, each in statistics.items()
        if each.busy_share > 0 and each.busy_share >= CLOSE * most
    ]
    return sorted(found, key=lambda each: -each.busy_share)


@attrs.frozen
class Limits:
    """The numbers that tell what would make a pipeline faster.

    Attributes:
        stages: As they were added.
        statistics: What the report says of each.
        bottlenecks: The stages named.
        waiting_to_enter: Items that producers wait with, on average.
        held_up: Results of the last stage that wait for room in the output, on average.
        output_was_full: Whether the output has been full.
        cpu_share: Cores that this process was using, on average; 0.0 if nobody knows.
    """

    stages: Sequence[PipelineStage]
    statistics: Mapping[str, StageStatistics]
    bottlenecks: Sequence[Bottleneck]
    waiting_to_enter: float
    held_up: float
    output_was_full: bool
    cpu_share: float

    def advice(self) -> str:
        """What would make the pipeline faster, in a sentence; empty if nothing has been computed."""
        if not self.bottlenecks:
            return ""
        first = self.bottlenecks[0]
        if first.busy_share >= ALWAYS_BUSY:
            return self._faster_stage()
        if self.held_up >= FEW and self.output_was_full:
            return f"the consumer is the limit: {self.held_up:.0f} results wait for room in the output, on average"
        if first.avg_queue_depth >= FEW:
            return self._faster_stage()
        begin = self.statistics[self.stages[0].name]
        if begin.avg_queue_depth + self.waiting_to_enter < FEW:
            return (
                f"the source is the limit: no stage was busy for more than {first.busy_share * 100:.0f} % of the time"
            )
        return "no stage is always busy, and items wait to enter: try a larger max_queue_size, or ordered=False"

    def _faster_stage(self) -> str:
        named = [each.name for each in self.bottlenecks]
        limiting = [stage for stage in self.stages if stage.name in named]
        names = " and ".join(shortened(stage.name, NAME) for stage in limiting)
        if self._compete_for_the_gil() and all(stage.kind == "thread" for stage in limiting):
            return (
                f'move {names} to processes (executor="process"): threads compete for the GIL, '
                f"this process used {self.cpu_share * 100:.0f} % of one core"
            )
        if all(self._mostly_crossing(stage) for stage in limiting):
            return f"send more to {names} at once (add_batch_stage): the way to a process and back takes most of a call"
        cores = os.cpu_count() or 1
        if all(stage.kind in ("process", "interpreter") and stage.workers >= cores for stage in limiting):
            return f"make {names} faster: there is a worker for each of the {cores} cores"
        return f"give {names} more workers, or make a call faster"

    def _compete_for_the_gil(self) -> bool:
        """Whether threads had more to compute at once than one core's worth, and got one core."""
        with_gil = getattr(sys, "_is_gil_enabled", lambda: True)()
        threads = [each for each in self.stages if each.kind == "thread"]
        wanted = sum(self.statistics[each.name].busy_share * each.workers for each in threads)
        return bool(with_gil) and wanted >= 1.5 and 0.85 <= self.cpu_share <= 1.15

    def _mostly_crossing(self, stage: PipelineStage) -> bool:
        return stage.batch is None and stage.counts.crossing_seconds > stage.counts.seconds
