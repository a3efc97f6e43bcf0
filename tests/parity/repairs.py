"""The faults of 0.1.10 that our voice agents show, and what comes instead.

The rule: a difference between 0.1.10 and ours is allowed by its very lines, with the name of the
fault. One that 0.1.10 does not show as written is an error: then the agent proves nothing.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple


class UnmetError(Exception):
    """0.1.10 has not done what it is here for."""


class Repair(NamedTuple):
    """A line that 0.1.10 prints by a fault, the line behind it, and the line that should be in its place, if any."""

    fault: str
    printed: str
    before: str
    instead: str | None = None


REPAIRS = {
    "utterances.py": (
        Repair(
            "a stale word after the interrupt, and a lost marker",
            printed="heard <tell>",
            before="heard <stop>",
            instead="heard the end of 2",
        ),
    ),
    "threads.py": (Repair("a stale word after the clear", printed="SEVEN", before="TEN"),),
}


def repaired(lines: list[str], repairs: Iterable[Repair]) -> list[str]:
    """Return what would have been printed without the faults.

    Raises:
        UnmetError: If one of them is not there, or more than once.
    """
    lines = list(lines)
    for repair in repairs:
        shown = (repair.printed, repair.before)
        places = [at for at, pair in enumerate(pairwise(lines)) if pair == shown]
        if len(places) != 1:
            raise UnmetError(f"0.1.10 shows {repair.fault} {len(places)} times, not once")
        lines[places[0] : places[0] + 1] = [] if repair.instead is None else [repair.instead]
    return lines
