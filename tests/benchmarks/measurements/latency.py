"""Latency of a single item through four idle stages, against a raw thread chain, the loop's own, and 0.1.10.

The raw chain runs once beside each backend: on a busy machine threads may share a core or not, and
a hand-over between them then costs three times as much, for minutes at a time. By hand is the way over
the loop between any two stages with nothing but that: how near to the raw chain ours can come.
"""

from harness.figures import Figure, Measurement, Plan, Target, figure
from harness.rounds import Contestant, Samples

RAW = "SimpleQueue chain"
BY_HAND = "by hand over the loop"
ORIGINAL = "0.1.10"


def by_hand(backend: str) -> str:
    """Return the name of the threads that the loop wakes by hand, on a backend."""
    return f"{BY_HAND}, {backend}"


def beside(backend: str) -> str:
    """Return the name of the raw chain that runs next to a backend."""
    return f"{RAW} beside {backend}"


def contestants(plan: Plan) -> list[Contestant]:
    """Return this library on each backend, the raw chain and 0.1.10."""
    found = []
    items = {"items": plan.size(3_000)}
    for ours in plan.on_each("both.latency", **items):
        found += [
            ours,
            Contestant(beside(ours.name), "peers.queue_latency", plan.python, items, ours=False),
            Contestant(by_hand(ours.name), "peers.loop_latency", plan.python, ours.options, ours=False),
        ]
    if ORIGINAL in plan.peers:
        options = {"items": plan.size(1_000), "backend": "asyncio"}
        python = plan.peers[ORIGINAL]
        found.append(Contestant(ORIGINAL, "both.latency", python, options, ours=False))
    return found


def figures(plan: Plan, samples: Samples) -> list[Figure]:
    """Return p50 and p99: ours over the raw chain's (less is better), 0.1.10's over ours; and the least possible."""
    found: list[Figure] = []
    for backend in plan.backends:
        for q, target in (("p50", Target(3, at_least=False)), ("p99", None)):
            over = samples.ratios(backend, beside(backend), f"{q}_us")
            found += figure(f"{q} / {RAW}'s", backend, "x", over, target)
        least = samples.ratios(by_hand(backend), beside(backend), "p50_us")
        found += figure(f"p50 {BY_HAND} / {RAW}'s", backend, "x", least)
        found += figure(f"p50 / {BY_HAND}", backend, "x", samples.ratios(backend, by_hand(backend), "p50_us"))
        for q in ("p50", "p99"):
            under = samples.ratios(ORIGINAL, backend, f"{q}_us")
            found += figure(f"{q} of 0.1.10 / ours", backend, "x", under)
    return found


MEASUREMENT = Measurement(contestants, figures, {"p50_us": "p50 µs", "p99_us": "p99 µs"}, peers=(ORIGINAL,))
