"""An earlier commit of this library in the same rounds: each script of ours runs again where that commit is installed.

The two run next to each other, and the order of the two turns with every round.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import evolve

from harness.figures import Figure, figure
from harness.rounds import Contestant, Samples


def earlier(name: str) -> str:
    """Return the name of a contestant's twin."""
    return f"{name} (earlier)"


def with_earlier(contestants: Iterable[Contestant], older: Mapping[Path, Path]) -> list[Contestant]:
    """Return the contestants, each of ours before its twin; ``older`` gives the interpreters with the commit."""
    found = []
    for each in contestants:
        found.append(each)
        if each.ours and each.python in older:
            # It may well fail: the commit may lack what is measured.
            found.append(evolve(each, name=earlier(each.name), python=older[each.python], ours=False))
    return found


def new_over_old(contestants: Iterable[Contestant], samples: Samples, shown: Mapping[str, str]) -> list[Figure]:
    """Return each value that is shown of ours, or all where none is, over its twin's: of a cost, less is better."""
    found: list[Figure] = []
    for each in contestants:
        line = next(filter(None, samples.lines[each.name]), {})
        for key in shown or [key for key, value in line.items() if isinstance(value, float)]:
            backend = each.options.get("backend", "")
            label = ", ".join(part for part in each.name.split(", ") if part != backend)
            ratios = samples.ratios(each.name, earlier(each.name), key)
            value = shown.get(key, key)
            found += figure(f"{label}: {value}" if label else value, backend, "x", ratios)
    return found
