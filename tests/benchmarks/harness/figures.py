"""A figure is the median of what several rounds gave, beside the target it should reach."""

from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from attrs import field, frozen

from harness.rounds import Contestant, Samples


@frozen
class Target:
    """What a figure should reach: at least or at most a limit."""

    limit: float
    at_least: bool = True

    def met(self, value: float) -> bool:
        """Return whether the value reaches the target."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}"


@frozen
class Figure:
    """One number on one backend.

    Attributes:
        name: What was compared.
        backend: Where this library ran.
        unit: Of the number; ``x`` for a ratio.
        rounds: The number as each round gave it; never empty.
        target: What it should reach; None for one that is only told.
    """

    name: str
    backend: str
    unit: str
    rounds: tuple[float, ...]
    target: Target | None = None

    @property
    def reached(self) -> float:
        """The median over the rounds."""
        return median(self.rounds)

    @property
    def met(self) -> bool | None:
        """Whether the target was reached; None without one."""
        return None if self.target is None else self.target.met(self.reached)

    def as_json(self) -> dict[str, Any]:
        """Return the figure as written to the JSON file."""
        return {
            "name": self.name,
            "backend": self.backend,
            "unit": self.unit,
            "reached": self.reached,
            "rounds": list(self.rounds),
            "target": None if self.target is None else str(self.target),
            "met": self.met,
        }


@frozen
class Plan:
    """What a run has to work with.

    Attributes:
        quick: Small sizes: shows that everything runs, not how fast.
        python: The interpreter that has this library.
        peers: The interpreters of the peers that could be installed.
        backends: The backends that are installed here.
    """

    quick: bool
    python: Path
    peers: dict[str, Path]
    backends: tuple[str, ...]

    def size(self, full: int) -> int:
        """Return ``full``, or a tenth of it in a quick run."""
        return max(full // 10, 10) if self.quick else full

    @property
    def repeats(self) -> int:
        """How often a script repeats what it times."""
        return 1 if self.quick else 3

    def on_each(self, script: str, **options: Any) -> list[Contestant]:
        """Return one script of ours for each backend, of which it has the name."""
        return [
            Contestant(backend, script, self.python, {**options, "backend": backend}, ours=True)
            for backend in self.backends
        ]


@frozen
class Measurement:
    """Who takes part, and what follows from the samples.

    Attributes:
        contestants: The scripts to run, for a plan.
        figures: The figures, for a plan and the samples of its contestants.
        shown: The keys of a script's line to print, with their units.
        peers: The peers whose environments it needs.
    """

    contestants: Callable[[Plan], list[Contestant]]
    figures: Callable[[Plan, Samples], list[Figure]]
    shown: dict[str, str] = field(factory=dict)
    peers: tuple[str, ...] = ()


def figure(name: str, backend: str, unit: str, rounds: tuple[float, ...], target: Target | None = None) -> list[Figure]:
    """Return the figure in a list, or an empty one where no round has a value."""
    return [Figure(name, backend, unit, rounds, target)] if rounds else []
