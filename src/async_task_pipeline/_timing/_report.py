"""The records of a report: what is in them and in which unit.

The rule: plain frozen data, no clock, no loop, no arithmetic beyond what a reader
could do by hand; ``model_dump`` of any of them is ready for JSON. The field
names of 0.1.10 stay and come first, in their old order; what is new follows them. All
durations are seconds of the pipeline's monotonic clock.
"""

# Annotations are no strings here: whoever resolves them would look in the public module, which does not
# have all of these before one is asked for.
from collections.abc import Iterator
from typing import Any

import attrs

from ._record import Record


# Frozen without slots: attrs then fills __dict__ directly, which makes the thousands
# of records of one report three times cheaper to build.
@attrs.frozen(slots=False)
class StageTimingDetail(Record):
    """One item in one stage.

    Attributes:
        queue_wait_time: From acceptance by the stage's link to the start of the call.
        computation_time: Inside the stage function.
        transmission_time: From the end of the call until downstream had room.
        total_stage_time: The sum of the three.
    """

    queue_wait_time: float
    computation_time: float
    transmission_time: float
    total_stage_time: float


@attrs.frozen(slots=False)
class ItemTimingTotals(Record):
    """One item over all stages.

    Attributes:
        total_computation_time: The sum of its computation in every stage.
        total_overhead_time: ``total_latency`` less ``total_computation_time``.
        total_latency: From creation to acceptance by the output.
        computation_ratio: Computation over latency, 0 to 1.
        admission_time: From the producer's ``created_at`` to acceptance by the first
            link; 0 when the producer gave none. Latency is this plus the stages.
    """

    total_computation_time: float
    total_overhead_time: float
    total_latency: float
    computation_ratio: float
    admission_time: float = 0.0


@attrs.frozen(slots=False)
class ItemTimingBreakdown(Record):
    """One delivered item: its totals, and its detail per stage in stage order.

    As a mapping it has the names of the stages, and last ``"totals"``.
    """

    totals: ItemTimingTotals
    stages: dict[str, StageTimingDetail]

    def __getitem__(self, name: str) -> Any:
        """The totals, or the detail of one stage."""
        return self.totals if name == "totals" else self.stages[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the stages, and ``"totals"``."""
        return iter([*(name for name in self.stages if name != "totals"), "totals"])

    def __len__(self) -> int:
        """How many names there are."""
        return len(self.stages.keys() | {"totals"})


@attrs.frozen
class Percentiles(Record):
    """Three percentiles of an interval, each within 0.4 % of a value that occurred."""

    p50: float
    p90: float
    p99: float


@attrs.frozen
class TimingBreakdown(Record):
    """Means of the three intervals of a stage, over delivered items.

    Attributes:
        avg_computation_time: Mean computation.
        avg_queue_wait_time: Mean queue wait.
        avg_transmission_time: Mean transmission.
        computation_ratio: Mean computation over the sum of the three means, 0 to 1.
    """

    avg_computation_time: float
    avg_queue_wait_time: float
    avg_transmission_time: float
    computation_ratio: float


@attrs.frozen
class StageStatistics(Record):
    """One stage, over all items delivered since the last :py:meth:`AsyncTaskPipeline.clear`.

    Attributes:
        avg_latency: Mean time from acceptance by the stage's link to acceptance by the next.
        min_latency: The shortest such time.
        max_latency: The longest.
        processed_count: Outcomes of the stage's calls: delivered, filtered or failed.
        avg_processing_time: Seconds inside the function per outcome, whatever became
            of it.
        timing_breakdown: Means of the three intervals.
        queue_wait: Percentiles of the queue wait.
        computation: Percentiles of the computation.
        transmission: Percentiles of the transmission.
        throughput: Outcomes per second, from the first item accepted by the pipeline
            to the last delivered; 0.0 when that is no time at all.
        filtered_count: Outcomes that were ``None``.
        failed_count: Calls that raised.
        dropped_count: Items an interrupt, a clear or a stop dropped in this stage.
        unproductive_computation_time: Seconds spent in calls that were filtered,
            failed or dropped; not part of the means above.
        workers: How many calls may run at once.
        busy_share: Seconds in calls, those that are running included, per worker and second of
            :py:attr:`LatencySummary.elapsed`: 0 to 1. More only of a stage that is reentrant, whose
            next turn begins beside an interrupted call.
        avg_queue_depth: How many items waited for a worker, on average over that time.
        queue_depth: How many wait now.
    """

    avg_latency: float
    min_latency: float
    max_latency: float
    processed_count: int
    avg_processing_time: float
    timing_breakdown: TimingBreakdown
    queue_wait: Percentiles
    computation: Percentiles
    transmission: Percentiles
    throughput: float
    filtered_count: int
    failed_count: int
    dropped_count: int
    unproductive_computation_time: float
    workers: int = 1
    busy_share: float = 0.0
    avg_queue_depth: float = 0.0
    queue_depth: int = 0


@attrs.frozen
class EfficiencyMetrics(Record):
    """How much of the latency was computation.

    Attributes:
        computation_efficiency: Mean over items of computation over latency, 0 to 1.
        overhead_ratio: One less that.
    """

    computation_efficiency: float
    overhead_ratio: float


@attrs.frozen
class Bottleneck(Record):
    """A stage that sets the pace, and what tells so; see :py:class:`StageStatistics`.

    Attributes:
        name: Of the stage.
        busy_share: How busy each of its workers was, 0 to 1.
        workers: How many it has.
        avg_queue_depth: How many items waited for them, on average.
        queue_depth: How many wait now.
    """

    name: str
    busy_share: float
    workers: int
    avg_queue_depth: float
    queue_depth: int


@attrs.frozen
class LatencySummary(Record):
    """The whole pipeline, over all delivered items.

    Attributes:
        total_items: Items delivered to the consumer.
        avg_total_latency: Mean latency from creation to acceptance by the output.
        min_total_latency: The shortest.
        max_total_latency: The longest.
        stage_statistics: Per stage, in stage order.
        overall_efficiency: Computation against everything else.
        total_latency: Percentiles of the latency.
        throughput: Items delivered per second, from the first acceptance to the last by the output.
        bottleneck: The stage with the greatest ``busy_share``, which sets the pace: the one to
            make faster first. ``None`` when no stage was busy.
        bottlenecks: That stage, and those whose share is within a tenth of its own, busiest first.
        advice: What would make the pipeline faster, in a sentence; empty when no stage was busy.
        elapsed: Seconds in which workers could have been busy: in each run from the first acceptance
            to the last event, or until now while an item is in a stage.
    """

    total_items: int
    avg_total_latency: float
    min_total_latency: float
    max_total_latency: float
    stage_statistics: dict[str, StageStatistics]
    overall_efficiency: EfficiencyMetrics
    total_latency: Percentiles
    throughput: float
    bottleneck: str | None
    bottlenecks: list[Bottleneck] = attrs.field(factory=list)
    advice: str = ""
    elapsed: float = 0.0


@attrs.frozen
class TurnStatistics(Record):
    """One turn.

    Attributes:
        number: Its number, counted from 1.
        started_at: When it began, or without a block its first item was accepted, in
            seconds of the pipeline's clock.
        first_output_time: Seconds from then until the first of its delivered results was
            in the output; ``None`` while nothing has been delivered.
        interrupted: Whether it was cut short: an interrupt ended its block, or an interrupt
            or a stop dropped some of it.
        delivered: Its results handed to the consumer.
        dropped: Its items dropped; one in a call counts when the call has ended.
        wasted_computation: Seconds that stage functions spent on the items dropped.
    """

    number: int
    started_at: float
    first_output_time: float | None
    interrupted: bool
    delivered: int
    dropped: int
    wasted_computation: float


@attrs.frozen
class InterruptStatistics(Record):
    """All interrupts.

    Attributes:
        total: How many there were.
        with_calls: How many of them made running calls stale that have all ended since.
        time_to_idle: Percentiles of the seconds from the request until the last of those
            calls had ended.
        max_time_to_idle: The longest.
    """

    total: int
    with_calls: int
    time_to_idle: Percentiles
    max_time_to_idle: float
