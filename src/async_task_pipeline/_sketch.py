"""Percentiles of a stream of durations, in bounded memory.

The rule is DDSketch's (Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable
quantile sketch with relative-error guarantees", VLDB 2019): a value lands in the
bucket ``ceil(log(value) / log(gamma))``, so a percentile read back is within
``RELATIVE_ACCURACY`` of a value that was really there, whatever the distribution.

Why not the ``ddsketch`` package: it takes one value a call, in Python, and a report
of four stages takes twelve values an item; folding whole lists with C-level calls
costs about a tenth of that (``tests/benchmarks`` prints the ratio).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import repeat
from operator import mul

RELATIVE_ACCURACY = 0.01
"""One per cent: finer than the noise of any wall clock measurement."""

_GAMMA = (1 + RELATIVE_ACCURACY) / (1 - RELATIVE_ACCURACY)
_SCALE = 1 / math.log(_GAMMA)
_SMALLEST = 1e-9
"""A nanosecond: what is shorter (zero included) shares the lowest bucket, which
keeps the number of buckets below 2,700 for anything up to 10^13 seconds."""


class Sketch:
    """Counts of durations in logarithmic buckets."""

    __slots__ = ("_buckets", "_count", "_maximum", "_minimum", "_total")

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self._count = 0
        self._total = 0.0
        self._minimum = math.inf
        self._maximum = -math.inf

    def __len__(self) -> int:
        """The number of values added."""
        return self._count

    @property
    def mean(self) -> float:
        """The mean of all values, exact; 0.0 before the first."""
        return self._total / self._count if self._count else 0.0

    @property
    def minimum(self) -> float:
        """The smallest value, exact; 0.0 before the first."""
        return self._minimum if self._count else 0.0

    @property
    def maximum(self) -> float:
        """The largest value, exact; 0.0 before the first."""
        return self._maximum if self._count else 0.0

    def extend(self, values: Sequence[float]) -> None:
        """Add many durations, in seconds."""
        if not values:
            return
        self._count += len(values)
        self._total += math.fsum(values)
        smallest = min(values)
        self._minimum = min(self._minimum, smallest)
        self._maximum = max(self._maximum, max(values))
        if smallest < _SMALLEST:
            values = [max(value, _SMALLEST) for value in values]
        # The whole line runs in C: one Python-level step a value would cost more
        # than everything else the report does for an item.
        self._buckets.update(map(math.ceil, map(mul, map(math.log, values), repeat(_SCALE))))

    def quantiles(self, fractions: Sequence[float]) -> list[float]:
        """Values at the given fractions (0 to 1, ascending), each within 1 %.

        Returns zeros before the first value.
        """
        if not self._count:
            return [0.0] * len(fractions)
        found: list[float] = []
        wanted = iter([math.ceil(fraction * self._count) or 1 for fraction in fractions])
        rank = next(wanted, None)
        seen = 0
        for key in sorted(self._buckets):
            seen += self._buckets[key]
            while rank is not None and seen >= rank:
                found.append(self._representative(key))
                rank = next(wanted, None)
        return found

    def _representative(self, key: int) -> float:
        # The middle of the bucket in the sense of relative error, but never outside
        # what was observed: a percentile above the maximum would be a lie.
        middle = 2 * math.exp(key / _SCALE) / (_GAMMA + 1)
        return min(max(middle, self._minimum), self._maximum)
