"""CPU of 50 idle pipelines of four stages, with a consumer waiting on each."""

from harness.figures import Figure, Measurement, Plan, Target, figure
from harness.rounds import Contestant, Samples

ORIGINAL = "0.1.10"
SHOWN = {
    "percent_of_a_core": "% of a core",
    "voluntary_per_second": "switches/s",
    "involuntary_per_second": "involuntary/s",
}


def contestants(plan: Plan) -> list[Contestant]:
    """Return this library on each backend, and 0.1.10."""
    pipelines = 10 if plan.quick else 50
    seconds = 0.5 if plan.quick else 5
    options = {"pipelines": pipelines, "seconds": seconds}
    found = plan.on_each("both.idle", **options)
    if ORIGINAL in plan.peers:
        given = {**options, "backend": "asyncio"}
        found.append(Contestant(ORIGINAL, "both.idle", plan.peers[ORIGINAL], given, ours=False))
    return found


def figures(plan: Plan, samples: Samples) -> list[Figure]:
    """Return the CPU time as a share of one core, and how often the process was woken."""
    found: list[Figure] = []
    for backend in (*plan.backends, ORIGINAL):
        for key, unit in SHOWN.items():
            rounds = samples.values(backend, key)
            cpu = key == "percent_of_a_core" and backend != ORIGINAL
            target = Target(0.5, at_least=False) if cpu else None
            label = "CPU of idle pipelines" if key == "percent_of_a_core" else unit
            short = "%" if key == "percent_of_a_core" else "/s"
            found += figure(label, backend, short, rounds, target)
    return found


MEASUREMENT = Measurement(contestants, figures, SHOWN, peers=(ORIGINAL,))
