"""Time from `interrupt()` until a marker sent right behind it has come out, in a storm of them."""

from harness.figures import Figure, Measurement, Plan, Target, figure
from harness.rounds import Contestant, Samples


def contestants(plan: Plan) -> list[Contestant]:
    """Return this library on each backend."""
    return plan.on_each("ours.barrier", interrupts=plan.size(1_000))


def figures(plan: Plan, samples: Samples) -> list[Figure]:
    """Return the percentiles in milliseconds, and the stale items, of which there must be none."""
    found: list[Figure] = []
    for backend in plan.backends:
        for key, name, unit, target in (
            ("p50_us", "interrupt() to marker, p50", "ms", None),
            ("p99_us", "interrupt() to marker, p99", "ms", Target(5, at_least=False)),
            ("worst_us", "interrupt() to marker, worst", "ms", None),
            ("stale", "stale items", "", Target(0, at_least=False)),
        ):
            scale = 1e3 if unit == "ms" else 1
            rounds = tuple(value / scale for value in samples.values(backend, key))
            # No stale item is to be lost in a median.
            found += figure(name, backend, unit, (max(rounds),) if key == "stale" and rounds else rounds, target)
    return found


SHOWN = {"p50_us": "p50 µs", "p99_us": "p99 µs", "delivered": "items delivered", "stale": "stale"}
MEASUREMENT = Measurement(contestants, figures, SHOWN)
