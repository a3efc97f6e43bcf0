"""How busy the workers of a stage were, and of what time that is a share.

The rule: a worker is busy while it is in a call, whatever comes of that, and on the way to a process
and back. It could have been busy, in each run of the pipeline, from the first acceptance to the last
event, which is now while an item is in a stage or a call is running. So the time after the last item
and the time between two runs do not count. A pause between two items does: then it is the source that
sets the pace, and a low share says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import attrs

from .._stage import PipelineStage
from .._statistics import StageFlow


@attrs.frozen(eq=False, repr=False)
class Moment:
    """What a pipeline is doing while a report is made.

    Attributes:
        at: When that is, in seconds of the pipeline's clock.
        running: Whether the pipeline has started and not ended.
        flows: The counters of each stage.
        calls: Per stage, when each call that is running now began.
        output_was_full: Whether the output has been full in this run.
    """

    at: float
    running: bool
    flows: Mapping[str, StageFlow] = attrs.field(factory=dict)
    calls: Mapping[str, Sequence[float]] = attrs.field(factory=dict)
    output_was_full: bool = False

    @property
    def occupied(self) -> bool:
        """Whether an item is in a stage, or a call is running."""
        return any(flow.inside for flow in self.flows.values()) or any(self.calls.values())


@attrs.frozen(eq=False, repr=False)
class Span:
    """From the first acceptance to the last exit, as far as delivered items tell."""

    first: float = math.inf
    last: float = -math.inf

    def elapsed(self, stages: Sequence[PipelineStage], moment: Moment | None) -> float:
        """Seconds in which this run's workers could have been busy."""
        calls = [] if moment is None else [began for each in moment.calls.values() for began in each]
        first = min([self.first, *calls, *(stage.counts.first_call for stage in stages)])
        last = max([self.last, *(stage.counts.last_event for stage in stages)])
        if moment is not None and moment.occupied:
            last = max(last, moment.at)
        return max(last - first, 0.0)  # -inf if there was nothing


def busy_share(stage: PipelineStage, elapsed: float, moment: Moment) -> float:
    """The share of the time for which its workers could have been busy that they were."""
    counts = stage.counts
    seconds = counts.seconds + counts.crossing_seconds
    # A call may have begun since the clock was read.
    seconds += sum(max(moment.at - began, 0.0) for began in moment.calls.get(stage.name, ()))
    return seconds / (stage.workers * elapsed) if elapsed > 0 else 0.0


def queue_depth(stage: PipelineStage, mean_wait: float, elapsed: float) -> float:
    """How many items waited for a worker, on average over the time (Little's law: rate x mean wait).

    Args:
        stage: The stage.
        mean_wait: Of the results delivered; each value of a generator shows also what came before it,
            so for those the waits of the calls are taken.
        elapsed: The time.
    """
    calls, waited = stage.counts.expanded
    mean = waited / calls if calls else mean_wait
    items = max(stage.processed_count - stage.counts.fanned_out, 0)
    return mean * items / elapsed if elapsed > 0 else 0.0
