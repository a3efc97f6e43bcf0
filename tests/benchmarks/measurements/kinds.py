"""What one item costs in a stage of each kind, as a multiple of what it costs in a thread.

One identity stage, one worker, a bound of 100. `ProcessPoolExecutor.map`, which hands items over
without order, bound or event loop to keep, is the raw reference for what goes to a process.
"""

from pathlib import Path

from harness.environments import INTERPRETERS
from harness.figures import Figure, Measurement, Plan, figure
from harness.rounds import Contestant, Samples

# figure, kind, workers, items
KINDS: tuple[tuple[str, str, int, int], ...] = (
    ("thread", "thread", 1, 50_000),
    ("loop", "loop", 1, 50_000),
    ("process", "process", 1, 20_000),
    ("ThreadPoolExecutor", "ThreadPoolExecutor", 1, 5_000),
    ("ProcessPoolExecutor", "ProcessPoolExecutor", 1, 5_000),
    ("ProcessPoolExecutor, 100 in flight", "ProcessPoolExecutor", 100, 5_000),
)
# On the Python that has interpreters, beside its own thread.
NEWER: tuple[tuple[str, str, int, int], ...] = (
    ("thread, newer Python", "thread", 1, 50_000),
    ("interpreter", "interpreter", 1, 20_000),
)
CHUNKS = {1: 5_000, 64: 50_000}
KEY = "us_per_item"


def mapped(chunk: int) -> str:
    """Return the name of a raw reference."""
    return f"ProcessPoolExecutor.map, chunks of {chunk}"


def contestants(plan: Plan) -> list[Contestant]:
    """Return each kind on each backend, and the raw references."""
    found = [
        Contestant(
            mapped(chunk),
            "peers.pool_map",
            plan.python,
            {"items": plan.size(items), "repeats": plan.repeats, "chunk": chunk},
            ours=False,
        )
        for chunk, items in CHUNKS.items()
    ]
    newer = plan.peers.get(INTERPRETERS)
    for backend in plan.backends:
        found += _of_kinds(plan, KINDS, plan.python, backend)
        if newer is not None:
            found += _of_kinds(plan, NEWER, newer, backend)
    return found


def _of_kinds(plan: Plan, kinds: tuple[tuple[str, str, int, int], ...], python: Path, backend: str) -> list[Contestant]:
    return [
        Contestant(
            f"{name}, {backend}",
            "ours.kinds",
            python,
            {
                "items": plan.size(items),
                "repeats": plan.repeats,
                "kind": kind,
                "workers": workers,
                "backend": backend,
            },
            ours=True,
        )
        for name, kind, workers, items in kinds
    ]


def figures(plan: Plan, samples: Samples) -> list[Figure]:
    """Return the cost of each kind over that of a thread, and of the raw references over a process stage."""
    found: list[Figure] = []
    for backend in plan.backends:
        for kinds in (KINDS, NEWER):
            thread = kinds[0][0]
            for name, *_ in kinds[1:]:
                rounds = samples.ratios(f"{name}, {backend}", f"{thread}, {backend}", KEY)
                found += figure(f"{name} / {thread}", backend, "x", rounds)
        for chunk in CHUNKS:
            rounds = samples.ratios(mapped(chunk), f"process, {backend}", KEY)
            found += figure(f"{mapped(chunk)} / process", backend, "x", rounds)
        name = KINDS[-1][0]
        rounds = samples.ratios(mapped(1), f"{name}, {backend}", KEY)
        found += figure(f"{mapped(1)} / {name}", backend, "x", rounds)
    return found


MEASUREMENT = Measurement(contestants, figures, {KEY: "µs per item"}, peers=(INTERPRETERS,))
