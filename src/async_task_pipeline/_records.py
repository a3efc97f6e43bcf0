"""What a pipeline remembers from run to run.

The rule: only what no stage can keep is here; a stage keeps its own counters. Numbers of
turns go on for ever; the rest starts again at zero when the pipeline is cleared.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import attrs

from ._engine._output import Output
from ._timing._history import TimingHistory


@attrs.define(slots=True, eq=False)
class Records:
    """The records of one pipeline.

    Attributes:
        timing: Of the items delivered, if they are timed.
        delivered: Items handed to the consumer in the runs before the current one.
        dropped_at_output: Items dropped while they waited for the consumer, the same.
        counter_offset: What ``counter`` shows beyond what was accepted.
        turn_numbers: The number of the next turn, and of those after it.
    """

    timing: TimingHistory
    delivered: int = attrs.field(default=0, init=False)
    dropped_at_output: int = attrs.field(default=0, init=False)
    counter_offset: int = attrs.field(default=0, init=False)
    turn_numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1), init=False)

    def take_over(self, output: Output) -> None:
        """Add what the output of a run has counted, which begins again at zero."""
        self.delivered += output.delivered
        self.dropped_at_output += output.dropped
        output.delivered = output.dropped = 0

    def clear(self) -> None:
        """Forget everything but how many turns there were."""
        self.delivered = self.dropped_at_output = self.counter_offset = 0
        self.timing.clear()
