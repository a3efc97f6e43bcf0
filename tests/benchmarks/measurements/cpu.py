"""Wall-clock of pure-Python work in other processes and interpreters, against the same calls in sequence.

In four stages of one worker each, and in one stage of two workers that does the work of all four.
Interpreters run where a Python that has them was found.
"""

from harness.environments import INTERPRETERS
from harness.figures import Figure, Measurement, Plan, Target, figure
from harness.rounds import Contestant, Samples

SHAPES = {"4 stages": 1, "1 stage x 2": 2}


def named(executor: str, shape: str, backend: str) -> str:
    """Return the name of a contestant."""
    return f"{executor}, {shape}, {backend}"


def contestants(plan: Plan) -> list[Contestant]:
    """Return one script per backend, kind and shape; it runs the sequential and the pooled one itself."""
    pythons = {"process": plan.python, "interpreter": plan.peers.get(INTERPRETERS)}
    return [
        Contestant(
            named(executor, shape, backend),
            "ours.cpu",
            python,
            {
                "items": plan.size(200),
                "repeats": plan.repeats,
                "executor": executor,
                "workers": workers,
                "backend": backend,
            },
            ours=True,
        )
        for backend in plan.backends
        for executor, python in pythons.items()
        for shape, workers in SHAPES.items()
        if python is not None
    ]


def figures(plan: Plan, samples: Samples) -> list[Figure]:
    """Return the speed-up of the pipeline, and of a pool of processes: the machine's own limit."""
    found: list[Figure] = []
    for backend in plan.backends:
        for executor in ("process", "interpreter"):
            for shape in SHAPES:
                name = named(executor, shape, backend)
                for key, label, target in (
                    ("pipeline_ms", f"sequential / {executor}, {shape}", Target(1.7)),
                    ("pool_ms", f"  sequential / Pool(2) beside {executor}, {shape}", None),
                ):
                    found += figure(label, backend, "x", samples.within(name, "sequential_ms", key), target)
    return found


SHOWN = {
    "sequential_ms": "sequential ms",
    "pipeline_ms": "pipeline ms",
    "pool_ms": "Pool(2) ms",
    "start_ms": "start ms",
}
MEASUREMENT = Measurement(contestants, figures, SHOWN, peers=(INTERPRETERS,))
