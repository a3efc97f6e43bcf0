"""What one visit of an item to one stage took, on one monotonic clock.

The rule: a record has the four timestamps that were read, and every interval is a
plain difference of two of them. Nothing is clamped: a negative interval is a bug of
ours (or of an injected clock) and has to be seen, not hidden.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from ._record import Record

Clock = Callable[[], float]
"""A monotonic clock: returns seconds; only differences mean anything."""


@attrs.frozen
class DetailedTiming(Record):
    """The four instants of one item in one stage, in seconds of the pipeline's clock.

    Attributes:
        queue_enter_time: When the stage's link accepted the item.
        processing_start_time: When the call began; for a value yielded by a
            generator, when the resumption that yielded it began.
        processing_end_time: When that call or resumption ended.
        queue_exit_time: When the next link (or the output) accepted the result.
    """

    queue_enter_time: float
    processing_start_time: float
    processing_end_time: float
    queue_exit_time: float

    @property
    def queue_wait_time(self) -> float:
        """Seconds from acceptance to the start of the call."""
        return self.processing_start_time - self.queue_enter_time

    @property
    def computation_time(self) -> float:
        """Seconds inside the stage function."""
        return self.processing_end_time - self.processing_start_time

    @property
    def transmission_time(self) -> float:
        """Seconds from the end of the call until what is downstream had room."""
        return self.queue_exit_time - self.processing_end_time
