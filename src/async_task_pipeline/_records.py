"""What a pipeline remembers from run to run.

The rule: only what no stage can keep is here; a stage keeps its own counters. The clock, the links
and the numbers of turns go on for ever; what is counted starts again at zero when the pipeline is
cleared.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import attrs

from ._block import Block
from ._engine._link import Link
from ._engine._output import CurrentOutput, Output
from ._engine._run import Run
from ._timing._clock import Clock
from ._timing._history import TimingHistory


@attrs.define(eq=False, repr=False)
class Records:
    """The records of one pipeline.

    Attributes:
        clock: In seconds.
        links: Of the current or last run, and before the first start: one before each stage, and one
            behind the last.
        output: Of the same run, for those who read it.
        block: The one that ``async with pipeline`` has entered: a run may end in it, and another begin.
        timing: Of the items delivered, if they are timed.
        delivered: Items handed to the consumer in the runs before the current one.
        dropped_at_output: Items dropped while they waited for the consumer, the same.
        counter_offset: What ``counter`` shows beyond what was accepted.
        turn_numbers: The number of the next turn, and of those after it.
    """

    clock: Clock
    timing: TimingHistory
    links: list[Link] = attrs.field(factory=list, init=False)
    output: CurrentOutput = attrs.field(factory=CurrentOutput, init=False)
    block: Block[Run] | None = attrs.field(default=None, init=False)
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
