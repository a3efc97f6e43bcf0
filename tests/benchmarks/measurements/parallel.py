"""Wall-clock of four equal stages that release the GIL, against the same calls in sequence."""

from harness.figures import Figure, Measurement, Plan, Target, figure
from harness.rounds import Contestant, Samples

BLOCK = 2**20


def contestants(plan: Plan) -> list[Contestant]:
    """Return one script per backend; it runs the sequential and the raw one itself."""
    return plan.on_each("ours.parallel", items=plan.size(200), block=BLOCK, repeats=plan.repeats)


def figures(plan: Plan, samples: Samples) -> list[Figure]:
    """Return the speed-up of the pipeline, and of raw threads: the machine's own limit."""
    found: list[Figure] = []
    for backend in plan.backends:
        for key, name, target in (
            ("pipeline_ms", "sequential / pipeline", Target(1.7)),
            ("threads_ms", "sequential / Queue(100) chain", None),
        ):
            found += figure(name, backend, "x", samples.within(backend, "sequential_ms", key), target)
    return found


SHOWN = {"sequential_ms": "sequential ms", "pipeline_ms": "pipeline ms", "threads_ms": "threads ms"}
MEASUREMENT = Measurement(contestants, figures, SHOWN)
