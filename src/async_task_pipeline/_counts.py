"""What a stage has done so far, in numbers.

The rule: each counter has one writer, and is changed in the step in which what it counts happens;
none is got from others. They belong to the stage, not to a run, because they outlast a stop and
start again at zero only when cleared. See :py:class:`StageFlow` for what they mean.
"""

from __future__ import annotations


class Spent:
    """The seconds of one worker: written by it alone, since adding to a float is two steps."""

    __slots__ = ("seconds", "unproductive")

    def __init__(self) -> None:
        self.seconds: float = 0.0
        self.unproductive: float = 0.0


class StageCounts:
    """The counters of one stage.

    ``accepted`` and ``refused`` of the first stage are written by whoever puts, under the input's
    lock; everything else by the loop.

    Attributes:
        refused: Accepted and dropped at once, because a full input had no room.
        displaced: Of those dropped, what made room in a full input.
    """

    __slots__ = (
        "_earlier",
        "_workers",
        "accepted",
        "delivered",
        "displaced",
        "dropped",
        "failed",
        "fanned_out",
        "filtered",
        "refused",
    )

    def __init__(self) -> None:
        self.accepted: int = 0
        self.delivered: int = 0
        self.fanned_out: int = 0
        self.filtered: int = 0
        self.failed: int = 0
        self.dropped: int = 0
        self.refused: int = 0
        self.displaced: int = 0
        self._workers: dict[object, Spent] = {}
        self._earlier = Spent()

    def spent_by(self, worker: object) -> Spent:
        """Where one worker adds its seconds."""
        spent = self._workers.get(worker)
        if spent is None:
            spent = self._workers[worker] = Spent()
        return spent

    def forget_workers(self) -> None:
        """Keep the sums of the workers of an earlier run, and not the workers."""
        for each in self._workers.values():
            self._earlier.seconds += each.seconds
            self._earlier.unproductive += each.unproductive
        self._workers = {}

    @property
    def overflowed(self) -> int:
        """Items that a full input had no room for."""
        return self.refused + self.displaced

    @property
    def seconds(self) -> float:
        """Seconds inside the function, all workers."""
        return self._earlier.seconds + sum(each.seconds for each in [*self._workers.values()])

    @property
    def unproductive_seconds(self) -> float:
        """Those of them that were spent on outcomes nobody gets."""
        return self._earlier.unproductive + sum(each.unproductive for each in [*self._workers.values()])
