"""What `put_input_data` costs a thread while there is room, as a multiple of `queue.Queue.put`.

In bursts, as a callback of an audio device has them, and in a flood, where the threads of the stages
(the pipeline's and the queues' alike) want the GIL of whoever puts.
"""

from harness.figures import Figure, Measurement, Plan, Target, figure
from harness.rounds import Contestant, Samples

BURSTS = {"bursts of 100": (100, 100), "a flood of 5,000": (5_000, 4)}


def contestants(plan: Plan) -> list[Contestant]:
    """Return one script per backend and size of burst; it runs both sides itself."""
    return [
        Contestant(
            f"{name}, {backend}",
            "ours.put",
            plan.python,
            {"burst": burst, "bursts": bursts, "repeats": plan.repeats, "backend": backend},
            ours=True,
        )
        for backend in plan.backends
        for name, (burst, bursts) in BURSTS.items()
    ]


def figures(plan: Plan, samples: Samples) -> list[Figure]:
    """Return the cost of one put over that of the queue's."""
    found: list[Figure] = []
    for backend in plan.backends:
        for name in BURSTS:
            rounds = samples.within(f"{name}, {backend}", "pipeline_us", "queue_us")
            found += figure(f"put_input_data / Queue.put, {name}", backend, "x", rounds, Target(2, at_least=False))
    return found


SHOWN = {"pipeline_us": "put_input_data µs", "queue_us": "Queue.put µs"}
MEASUREMENT = Measurement(contestants, figures, SHOWN)
