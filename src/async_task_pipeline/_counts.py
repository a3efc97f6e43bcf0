"""What a stage has done so far, in numbers.

The rule: the counters belong to the stage, not to a run, because they outlast a stop and
start again at zero only when cleared. The loop's thread alone writes them.
"""

from __future__ import annotations


class StageCounts:
    """The counters of one stage; see :py:class:`StageFlow` for what they mean.

    The two sums of seconds are each worker's own, see :py:class:`Spending`.
    """

    __slots__ = (
        "accepted",
        "delivered",
        "dropped",
        "failed",
        "fanned_out",
        "filtered",
        "inside",
        "overflowed",
        "settled",
        "spendings",
    )

    def __init__(self) -> None:
        self.accepted: int = 0
        self.delivered: int = 0
        self.fanned_out: int = 0
        self.filtered: int = 0
        self.failed: int = 0
        self.dropped: int = 0
        self.inside: int = 0
        self.overflowed: int = 0
        self.spendings: dict[object, Spending] = {}
        self.settled: Spending = Spending()

    def settle(self) -> None:
        """Sum up what workers of an earlier run have spent, and know them no more."""
        for each in self.spendings.values():
            self.settled.seconds += each.seconds
            self.settled.unproductive += each.unproductive
        self.spendings = {}

    def spending_of(self, worker: object) -> Spending:
        """Where one worker books its seconds."""
        return self.spendings.setdefault(worker, Spending())

    @property
    def seconds(self) -> float:
        """Seconds inside the function, all workers."""
        return self.settled.seconds + sum(each.seconds for each in self.spendings.values())

    @property
    def unproductive_seconds(self) -> float:
        """Those of them that were spent on outcomes nobody gets."""
        return self.settled.unproductive + sum(each.unproductive for each in self.spendings.values())


class Spending:
    """The seconds of one worker: written by it alone, since adding to a float is two steps."""

    __slots__ = ("seconds", "unproductive")

    def __init__(self) -> None:
        self.seconds: float = 0.0
        self.unproductive: float = 0.0
