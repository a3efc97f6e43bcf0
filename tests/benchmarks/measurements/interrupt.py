"""Cost of one `interrupt()` with four stages full at 100, each inside a blocking call."""

from harness.figures import Figure, Measurement, Plan, Target, figure
from harness.rounds import Contestant, Samples


def contestants(plan: Plan) -> list[Contestant]:
    """Return this library on each backend: no peer has an interrupt to compare with."""
    return plan.on_each("ours.interrupt", repeats=3 if plan.quick else 20, bound=100)


def figures(plan: Plan, samples: Samples) -> list[Figure]:
    """Return the median and the worst of the interrupts, in milliseconds."""
    found: list[Figure] = []
    for backend in plan.backends:
        for key, name, target in (
            ("p50_us", "interrupt(), median", Target(1, at_least=False)),
            ("worst_us", "interrupt(), worst", None),
        ):
            rounds = tuple(value / 1e3 for value in samples.values(backend, key))
            found += figure(name, backend, "ms", rounds, target)
    return found


SHOWN = {"p50_us": "p50 µs", "worst_us": "worst µs", "dropped": "items dropped"}
MEASUREMENT = Measurement(contestants, figures, SHOWN)
