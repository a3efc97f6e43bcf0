"""What a stage has done so far, in numbers.

The rule: each counter has one writer, and is changed in the step in which what it counts happens;
none is got from others. They belong to the stage, not to a run, because they outlast a stop and
start again at zero only when cleared. See :py:class:`StageFlow` for what they mean.
"""

from __future__ import annotations

import math


class Spent:
    """What the calls of one worker took: written by it alone, since adding to a float is two steps.

    Attributes:
        seconds: Inside the function.
        unproductive: Those of them that were spent on outcomes nobody gets.
        crossing: Besides, on the way to where the function runs and back.
        expanded: Calls that were generators.
        waited: Seconds that the items of those had waited for their call.
        first: When the first call began; infinity before it.
        ended: When the last call, or step of a generator, ended. Written before ``seconds``, so
            that a call whose seconds are there is not taken for one that still runs.
    """

    __slots__ = ("crossing", "ended", "expanded", "first", "seconds", "unproductive", "waited")

    def __init__(self, first: float = math.inf) -> None:
        self.seconds: float = 0.0
        self.unproductive: float = 0.0
        self.crossing: float = 0.0
        self.expanded: int = 0
        self.waited: float = 0.0
        self.first: float = first
        self.ended: float = -math.inf


class StageCounts:
    """The counters of one stage.

    ``accepted`` and ``refused`` of the first stage are written by whoever puts, under the input's
    lock; everything else by the loop.

    Args:
        since: When counting began, in seconds of the pipeline's clock.

    Attributes:
        refused: Accepted and dropped at once, because a full input had no room.
        displaced: Of those dropped, what made room in a full input.
        dropped_at: When an interrupt, or the end of the run, last dropped an item, with timing on.
        by_worker: What each worker of the current or last run has spent.
        uncounted: Taken out of the window by an interrupt, and not counted yet.
    """

    __slots__ = (
        "_earlier",
        "accepted",
        "by_worker",
        "delivered",
        "displaced",
        "dropped",
        "dropped_at",
        "failed",
        "fanned_out",
        "filtered",
        "refused",
        "since",
        "uncounted",
    )

    def __init__(self, since: float = -math.inf) -> None:
        self.since: float = since
        self.accepted: int = 0
        self.delivered: int = 0
        self.fanned_out: int = 0
        self.filtered: int = 0
        self.failed: int = 0
        self.dropped: int = 0
        self.refused: int = 0
        self.displaced: int = 0
        self.dropped_at: float = -math.inf
        self.by_worker: dict[object, Spent] = {}
        self.uncounted: int = 0
        self._earlier = Spent()

    def first_of(self, worker: object, start: float) -> tuple[Spent, float]:
        """Where one worker adds what it spends, and when the first call that counts began.

        Of a call that has outlasted a ``clear`` only the rest counts.
        """
        first = max(start, self.since)
        spent = self.by_worker[worker] = Spent(first)
        return spent, first

    def forget_workers(self) -> None:
        """Keep the sums of the workers of an earlier run, and not the workers."""
        earlier = self._earlier
        for each in self.by_worker.values():
            earlier.seconds += each.seconds
            earlier.unproductive += each.unproductive
            earlier.crossing += each.crossing
            earlier.expanded += each.expanded
            earlier.waited += each.waited
        self.by_worker = {}
        self.dropped_at = -math.inf

    def _all(self) -> list[Spent]:
        return [self._earlier, *self.by_worker.values()]

    @property
    def overflowed(self) -> int:
        """Items that a full input had no room for."""
        return self.refused + self.displaced

    @property
    def seconds(self) -> float:
        """Seconds inside the function, all workers."""
        return sum(each.seconds for each in self._all())

    @property
    def unproductive_seconds(self) -> float:
        """Those of them that were spent on outcomes nobody gets."""
        return sum(each.unproductive for each in self._all())

    @property
    def crossing_seconds(self) -> float:
        """Seconds that calls were on the way to where the function runs and back, all workers."""
        return sum(each.crossing for each in self._all())

    @property
    def expanded(self) -> tuple[int, float]:
        """How many calls were generators, and the seconds that their items had waited for them."""
        return sum(each.expanded for each in self._all()), sum(each.waited for each in self._all())

    @property
    def first_call(self) -> float:
        """When the first call of the current or last run began that has ended; infinity if none has."""
        return min((each.first for each in [*self.by_worker.values()]), default=math.inf)

    @property
    def last_event(self) -> float:
        """When the last of its calls ended, or items were dropped; of the current or last run."""
        return max([self.dropped_at, *(each.ended for each in [*self.by_worker.values()])])
