"""What an option costs four identity stages: µs per item with it over µs per item without.

`drop_oldest` is measured where there is room for every item, on both sides, so that the same work
is compared; beside it, where the input is always full, what an item costs that is mostly dropped.
"""

from typing import Any

from harness.figures import Figure, Measurement, Plan, Target, figure
from harness.rounds import Contestant, Samples

ITEMS = 20_000
PLAIN, ROOMY = "plain", "plain, room for all"
DROPS = 'overflow="drop_oldest"'
KEY = "us_per_item"

# option, what it is compared with, what `ours.throughput` is told
OPTIONS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("workers=4", PLAIN, {"stage": {"workers": 4}}),
    ("workers=4, ordered=False", PLAIN, {"stage": {"workers": 4, "ordered": False}}),
    ("timeout=1000.0", PLAIN, {"stage": {"timeout": 1000.0}}),
    (DROPS, ROOMY, {"pipeline": {"overflow": "drop_oldest", "max_queue_size": ITEMS}}),
    (f"{DROPS}, full", PLAIN, {"pipeline": {"overflow": "drop_oldest", "max_queue_size": 100}, "drops": True}),
    ("async", PLAIN, {"function": "on the loop"}),
    ("async, workers=10", PLAIN, {"function": "on the loop", "stage": {"workers": 10}}),
)


def contestants(plan: Plan) -> list[Contestant]:
    """Return the plain stages and those with each option, on each backend."""
    bases = [(PLAIN, {}), (ROOMY, {"pipeline": {"max_queue_size": ITEMS}})]
    common = {"items": plan.size(ITEMS), "repeats": plan.repeats, "pipeline": {"max_queue_size": 100}}
    return [
        Contestant(
            f"{name}, {backend}", "ours.throughput", plan.python, {**common, **given, "backend": backend}, ours=True
        )
        for backend in plan.backends
        for name, given in (*bases, *((name, given) for name, _, given in OPTIONS))
    ]


def figures(plan: Plan, samples: Samples) -> list[Figure]:
    """Return the cost of each option as a multiple of what it is compared with."""
    found: list[Figure] = []
    for backend in plan.backends:
        for name, base, given in OPTIONS:
            rounds = samples.ratios(f"{name}, {backend}", f"{base}, {backend}", KEY)
            target = None if given.get("drops") else Target(1.5, at_least=False)
            found += figure(f"{name} / {base}", backend, "x", rounds, target)
    return found


MEASUREMENT = Measurement(contestants, figures, {KEY: "µs per item"})
