"""What keeping order costs in a stage of four workers, when one item in fifty is slow.

With the usual bound an item may wait for a slow one while the workers go on; with a small one they
soon have no place left for what they would finish.
"""

from harness.figures import Figure, Measurement, Plan, figure
from harness.rounds import Contestant, Samples

BOUNDS = (100, 10)
WORKERS = 4


def named(bound: int, backend: str) -> str:
    """Return the name of a contestant."""
    return f"bound {bound}, {backend}"


def contestants(plan: Plan) -> list[Contestant]:
    """Return one script per backend and bound; it runs in order, as ready and in sequence."""
    return [
        Contestant(
            named(bound, backend),
            "ours.order",
            plan.python,
            {
                "items": plan.size(1_000),
                "repeats": plan.repeats,
                "bound": bound,
                "backend": backend,
            },
            ours=True,
        )
        for backend in plan.backends
        for bound in BOUNDS
    ]


def figures(plan: Plan, samples: Samples) -> list[Figure]:
    """Return the throughput in order over that as ready, and both over four times that in sequence."""
    found: list[Figure] = []
    for backend in plan.backends:
        for bound in BOUNDS:
            name = named(bound, backend)
            for label, upper, lower, scale in (
                (f"in order / as ready, {bound}", "unordered", "ordered", 1),
                (f"in order / {WORKERS} x sequential, {bound}", "sequential", "ordered", WORKERS),
                (f"as ready / {WORKERS} x sequential, {bound}", "sequential", "unordered", WORKERS),
            ):
                ratios = samples.within(name, f"{upper}_ms", f"{lower}_ms")
                found += figure(label, backend, "x", tuple(ratio / scale for ratio in ratios))
    return found


SHOWN = {"sequential_ms": "sequential ms", "ordered_ms": "in order ms", "unordered_ms": "as ready ms"}
MEASUREMENT = Measurement(contestants, figures, SHOWN)
