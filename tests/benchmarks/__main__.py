"""`python tests/benchmarks`: this library against 0.1.10, raw threads and peers, in one run.

Run it with a Python that has the library installed, with `uvloop` and `trio` for those backends.
Prints ratios per backend beside the figures to reach and writes everything to a JSON file. A figure
that misses its target is marked, and fails the run only with ``--strict``: machines are noisy.
With ``--against`` an earlier commit of this library runs beside it, in the same rounds.
"""

import argparse
import json
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness.against import new_over_old, with_earlier
from harness.environments import Environments, commit, prepare
from harness.figures import Figure, Plan
from harness.line import BACKENDS
from harness.rounds import ROOT, Contestant, Samples, play
from harness.table import figures_table, samples_table
from measurements import MEASUREMENTS

NEEDS = {"asyncio": "anyio", "asyncio+uvloop": "uvloop", "trio": "trio"}


def arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description=__doc__)
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, metavar="NAME", default=[])
    parser.add_argument("--rounds", type=int, help="rounds to take the median of (default 5)")
    parser.add_argument("--against", type=commit, metavar="COMMIT", help="also run ours as of this commit, new / old")
    parser.add_argument("--quick", action="store_true", help="small sizes: does everything run?")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a target is missed")
    parser.add_argument("--envs", type=Path, default=ROOT / ".bench-envs", help="peers live here")
    parser.add_argument("--cores", type=int, help="run everything on the first N cores only (Linux)")
    given = parser.parse_args()
    given.rounds = given.rounds or (1 if given.quick else 5)
    return given


def backends() -> tuple[str, ...]:
    """Return the backends installed here, telling which are not."""
    for name, package in NEEDS.items():
        if find_spec(package) is None:
            print(f"skipped backend {name}: {package} is not installed")
    return tuple(name for name in BACKENDS if find_spec(NEEDS[name]) is not None)


def measure(name: str, plan: Plan, rounds: int, older: dict[Path, Path]) -> tuple[list[Figure], dict[str, Any], bool]:
    """Run one measurement, print it, and return its figures, its JSON and whether ours ran."""
    print(f"\n{name}", flush=True)
    measurement = MEASUREMENTS[name]
    contestants = with_earlier(measurement.contestants(plan), older)
    samples = play(contestants, rounds, timeout=60 if plan.quick else 600)
    figures = measurement.figures(plan, samples)
    compared = new_over_old(contestants, samples, measurement.shown)
    print(figures_table(figures, plan.backends))
    if compared:
        print("\n" + figures_table(compared, plan.backends, "new / old"))
    if measurement.shown:
        print("\n" + samples_table(samples, measurement))
    for failed, reason in samples.failures.items():
        # The whole of it is in the JSON file. A group of exceptions ends with a line of dashes.
        telling = [line for line in reason.splitlines() if any(map(str.isalpha, line))]
        print(f"  FAILED {failed}: {telling[-1] if telling else reason}")
    ran = not any(contestant.name in samples.failures for contestant in contestants if contestant.ours)
    figures += compared
    return figures, _as_json(contestants, figures, samples), ran


def _as_json(contestants: list[Contestant], figures: list[Figure], samples: Samples) -> dict[str, Any]:
    return {
        "figures": [figure.as_json() for figure in figures],
        "contestants": {
            contestant.name: {
                "script": contestant.module,
                "options": dict(contestant.options),
                "rounds": samples.lines[contestant.name],
            }
            for contestant in contestants
        },
        "failures": samples.failures,
    }


def machine(environments: Environments) -> dict[str, Any]:
    """Return what the figures depend on."""
    names = ("async-task-pipeline", "anyio", "trio", "uvloop", "attrs")
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": sys.version,
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "versions": {name: _version(name) for name in names},
        "peers": {name: path.parent.parent.name for name, path in environments.interpreters.items()},
        "missing": environments.missing,
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def main() -> int:
    """Run the measurements asked for and return the exit code."""
    given = arguments()
    if _version("async-task-pipeline") is None:
        print("install the library into this Python first", file=sys.stderr)
        return 2
    if given.cores:
        # The scripts inherit it. On one core thread hand-overs cost the same every time; on more,
        # whether two threads share a core changes with the machine's load, and the ratios with it.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.cores])
    names = given.only or list(MEASUREMENTS)
    wanted = {peer for name in names for peer in MEASUREMENTS[name].peers}
    environments = prepare(given.envs.resolve(), wanted, given.against)
    for peer, reason in environments.missing.items():
        print(f"skipped {peer}: {reason}")
    plan = Plan(given.quick, Path(sys.executable), environments.interpreters, backends())
    written: dict[str, Any] = {
        "machine": machine(environments),
        "rounds": given.rounds,
        "against": given.against,
        "cores": given.cores or os.cpu_count(),
        "quick": given.quick,
        "measurements": {},
    }
    every: list[Figure] = []
    all_ran = True
    for name in names:
        figures, written["measurements"][name], ran = measure(name, plan, given.rounds, environments.older)
        every += figures
        all_ran = all_ran and ran
    if given.output:
        given.output.write_text(json.dumps(written, indent=1) + "\n")
    missed = [figure for figure in every if figure.met is False]
    note = " (a quick run: not to be judged)" if given.quick else ""
    print(f"\n{len(missed)} of {len([f for f in every if f.target])} targets missed{note}")
    return 0 if all_ran and not (given.strict and missed) else 1


if __name__ == "__main__":
    sys.exit(main())
