"""Async calls, a hundred at once, over a local HTTP server: the pipeline against tasks by hand.

The client and the server are the same for all, and so is the backend within a ratio. Every ratio
is the other's µs per request over ours, so more is better.
"""

from harness.figures import Figure, Measurement, Plan, Target, figure
from harness.rounds import Contestant, Samples

TASKS = "tasks by hand"
PEERS = {"aiostream": "peers.http_aiostream", "streamable": "peers.http_streamable"}
ORDERS = {"in order": True, "as ready": False}


def named(name: str, backend: str) -> str:
    """Return the name of a contestant on a backend."""
    return f"{name}, {backend}"


def contestants(plan: Plan) -> list[Contestant]:
    """Return ours and tasks by hand on each backend, and the peers on those of asyncio."""
    found = []
    for backend in plan.backends:
        given = {
            "items": plan.size(5_000),
            "repeats": plan.repeats,
            "workers": 100,
            "delay": 0.002,
            "backend": backend,
        }
        for order, ordered in ORDERS.items():
            options = {**given, "ordered": ordered}
            found.append(Contestant(named(order, backend), "ours.http", plan.python, options, ours=True))
        found.append(Contestant(named(TASKS, backend), "peers.http_tasks", plan.python, given, ours=False))
        for peer, script in PEERS.items():
            if peer in plan.peers and backend != "trio":
                found.append(Contestant(named(peer, backend), script, plan.peers[peer], given, ours=False))
    return found


def figures(plan: Plan, samples: Samples) -> list[Figure]:
    """Return how many times the others' throughput ours is."""
    found: list[Figure] = []
    for backend in plan.backends:
        for order in ORDERS:
            rounds = samples.ratios(named(TASKS, backend), named(order, backend), "us_per_item")
            found += figure(f"x {TASKS}, {order}", backend, "x", rounds, Target(0.95))
        for peer in PEERS:
            rounds = samples.ratios(named(peer, backend), named("in order", backend), "us_per_item")
            found += figure(f"x {peer}", backend, "x", rounds)
    return found


MEASUREMENT = Measurement(contestants, figures, {"us_per_item": "µs per request"}, peers=("aiostream", "streamable"))
