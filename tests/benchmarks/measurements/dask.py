"""One stage on a cluster by `client.get_executor()`, against `Client.map` and `gather`, for small and large items.

The pipeline has 32 calls in flight, in order, behind a bound; `Client.map` has all at once.
"""

from harness.figures import Figure, Measurement, Plan, figure
from harness.rounds import Contestant, Samples

SIZES = {"1 KiB": (2**10, 1_000), "1 MiB": (2**20, 100)}


def named(size: str, backend: str) -> str:
    """Return the name of a contestant."""
    return f"{size}, {backend}"


def contestants(plan: Plan) -> list[Contestant]:
    """Return one script per backend and size, which runs both sides, where Dask is."""
    if "dask" not in plan.peers:
        return []
    return [
        Contestant(
            named(size, backend),
            "ours.dask",
            plan.peers["dask"],
            {
                "block": block,
                "items": plan.size(items),
                "repeats": plan.repeats,
                "workers": 32,
                "backend": backend,
            },
            ours=True,
        )
        for backend in plan.backends
        for size, (block, items) in SIZES.items()
    ]


def figures(plan: Plan, samples: Samples) -> list[Figure]:
    """Return the throughput of the pipeline over that of `Client.map`, and of the executor alone."""
    found: list[Figure] = []
    for backend in plan.backends:
        for size in SIZES:
            name = named(size, backend)
            for label, key in ((f"x Client.map, {size}", "map_us"), (f"x executor.submit, {size}", "submit_us")):
                found += figure(label, backend, "x", samples.within(name, key, "pipeline_us"))
    return found


SHOWN = {
    "map_us": "Client.map µs per item",
    "submit_us": "executor.submit",
    "pipeline_us": "pipeline",
}
MEASUREMENT = Measurement(contestants, figures, SHOWN, peers=("dask",))
