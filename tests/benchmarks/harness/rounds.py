"""Rounds are interleaved: each round runs every contestant once, and what is compared stands close together.

A noisy machine slows neighbours in time alike, so ratios are taken within a round and their
median over the rounds. A measurement lists its contestants in the order in which they run; odd
rounds run backwards, so that no one always follows the same neighbour. Every run is a process of
its own: no contestant inherits threads, garbage or warm caches.
"""

import json
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

ROOT = Path(__file__).parent.parent
Line = dict[str, Any]


@frozen
class Contestant:
    """One script with its options, run by one interpreter.

    Attributes:
        name: Unique in a measurement; figures look samples up by it.
        module: The script, as ``python -m`` names it from the benchmarks' folder.
        python: The interpreter.
        options: Passed to the script as JSON.
        ours: Whether it measures this library: a failure of ours fails the run.
        rounds: Upper limit for contestants too slow to take part in every round.
    """

    name: str
    module: str
    python: Path
    options: Mapping[str, Any]
    ours: bool
    rounds: int | None = None


@frozen
class Samples:
    """The lines of each contestant by round; None where it did not take part or failed."""

    lines: dict[str, list[Line | None]]
    failures: dict[str, str] = field(factory=dict)

    def values(self, name: str, key: str) -> tuple[float, ...]:
        """Return one value of a contestant's lines, for every round in which it took part."""
        return tuple(float(line[key]) for line in self.lines.get(name, ()) if line and line[key] is not None)

    def ratios(self, upper: str, lower: str, key: str) -> tuple[float, ...]:
        """Return ``upper / lower`` of two contestants, for every round in which both took part."""
        return _ratios(zip(self.lines.get(upper, ()), self.lines.get(lower, ()), strict=False), key, key)

    def within(self, name: str, upper: str, lower: str) -> tuple[float, ...]:
        """Return ``upper / lower`` of two values of one contestant, by round."""
        lines = self.lines.get(name, ())
        return _ratios(zip(lines, lines, strict=True), upper, lower)


def _ratios(pairs: Iterable[tuple[Line | None, Line | None]], upper: str, lower: str) -> tuple[float, ...]:
    return tuple(up[upper] / low[lower] for up, low in pairs if up and low and low[lower])


def play(contestants: Sequence[Contestant], rounds: int, timeout: float) -> Samples:
    """Run every contestant once per round, in the order given; one that failed takes no further part."""
    samples = Samples({contestant.name: [] for contestant in contestants})
    for number in range(rounds):
        print(f"  round {number + 1} of {rounds}, {len(contestants)} scripts", flush=True)
        for contestant in reversed(contestants) if number % 2 else contestants:
            limit = rounds if contestant.rounds is None else contestant.rounds
            sits_out = number >= limit or contestant.name in samples.failures
            line = None if sits_out else _run(contestant, timeout, samples.failures)
            samples.lines[contestant.name].append(line)
    return samples


def _run(contestant: Contestant, timeout: float, failures: dict[str, str]) -> Line | None:
    """Run one script; a failure is recorded under the contestant's name."""
    command = [str(contestant.python), "-m", contestant.module, json.dumps(contestant.options)]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=_environment(),
            capture_output=True,
            text=True,
            check=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        failures[contestant.name] = f"no answer in {timeout:.0f} s"
        return None
    except subprocess.CalledProcessError as error:
        failures[contestant.name] = "\n".join(error.stderr.strip().splitlines()[-15:])
        return None
    line: Line = json.loads(done.stdout.splitlines()[-1])
    return line


def _environment() -> dict[str, str]:
    """Return the environment variables of a script.

    Python's own variables would change what is measured (development mode, warnings), and a
    search path that finds this library would hide 0.1.10 behind it.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
