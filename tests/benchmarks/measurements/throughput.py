"""Throughput through four identity stages: what one item costs, against everyone.

Every ratio is the peer's µs per item over ours, so more is better, within one round. Bounds are
the same on both sides where the peer has one.
"""

from itertools import zip_longest
from typing import Any

from harness.figures import Figure, Measurement, Plan, Target, figure
from harness.rounds import Contestant, Samples

OURS = 50_000

# name, peer whose environment runs it (None: ours), script, items, options
PEERS: tuple[tuple[str, str | None, str, int, dict[str, Any]], ...] = (
    ("0.1.10, timing off", "0.1.10", "both.throughput", 5_000, {"timing": False, "bound": 100}),
    ("0.1.10, timing on", "0.1.10", "both.throughput", 5_000, {"timing": True, "bound": 100}),
    ("Queue(100) chain", None, "peers.queue_chain", 30_000, {"bound": 100}),
    ("Queue(1024) chain", None, "peers.queue_chain", 30_000, {"bound": 1024}),
    ("tolquane, 1024", "tolquane", "peers.tolquane", 50_000, {"bound": 1024}),
    ("tolquane, 100", "tolquane", "peers.tolquane", 50_000, {"bound": 100}),
    ("pypeln.thread, 100", "pypeln", "peers.pypeln", 10_000, {"bound": 100}),
    ("python-pyper, 100", "python-pyper", "peers.pyper", 20_000, {"bound": 100}),
    ("aiostream, to_thread", "aiostream", "peers.aiostream", 2_000, {}),
    ("streamable, threads", "streamable", "peers.streamable", 5_000, {"threads": 100}),
)

# figure, peer, our bound, our timing, target
COMPARED: tuple[tuple[str, str, int, bool, Target | None], ...] = (
    ("x 0.1.10, timing off", "0.1.10, timing off", 100, False, Target(50)),
    ("x 0.1.10, timing on", "0.1.10, timing on", 100, True, Target(20)),
    ("x Queue(100) chain", "Queue(100) chain", 100, False, Target(2)),
    ("x Queue(1024) chain", "Queue(1024) chain", 1024, False, None),
    ("x tolquane, 1024", "tolquane, 1024", 1024, False, Target(1)),
    ("x tolquane, 100", "tolquane, 100", 100, False, None),
    ("x pypeln.thread, 100", "pypeln.thread, 100", 100, False, None),
    ("x python-pyper, 100", "python-pyper, 100", 100, False, None),
    ("x aiostream, to_thread", "aiostream, to_thread", 100, False, None),
    ("x streamable, threads", "streamable, threads", 100, False, None),
)

# They run beside ours on each backend, and the others once.
AIMED_AT = {peer for _, peer, _, _, target in COMPARED if target}


def beside(peer: str, backend: str, plan: Plan) -> str:
    """Return the name of a peer as it runs beside a backend."""
    return f"{peer}, beside {backend if peer in AIMED_AT else plan.backends[0]}"


def ours(backend: str, bound: int, timing: bool, feed: str = "iterable") -> str:
    """Return the name of a job by `process()`."""
    return f"{backend}, process({feed}), {bound}, timing {_on(timing)}"


def same_source(backend: str, timing: bool) -> str:
    """Return the name of a job by the source that 0.1.10 runs too."""
    return f"{backend}, as in 0.1.10, 100, timing {_on(timing)}"


def _on(timing: bool) -> str:
    return "on" if timing else "off"


def contestants(plan: Plan) -> list[Contestant]:
    """Return our variants on each backend, and the peers that are there."""
    found = []
    for backend in plan.backends:
        pairs = zip_longest(_ours(plan, backend), _peers(plan, backend))
        found += [contestant for pair in pairs for contestant in pair if contestant is not None]
    return found


def _peers(plan: Plan, backend: str) -> list[Contestant]:
    """Return the peers that run beside ours on a backend: all on the first, then those with a target."""
    found = []
    for name, peer, script, items, options in PEERS:
        python = plan.python if peer is None else plan.peers.get(peer)
        if python is not None and (backend == plan.backends[0] or name in AIMED_AT):
            given = {"items": plan.size(items), "repeats": plan.repeats, "backend": "asyncio"}
            found.append(Contestant(beside(name, backend, plan), script, python, given | options, ours=False))
    return found


def _ours(plan: Plan, backend: str) -> list[Contestant]:
    common = {"items": plan.size(OURS), "repeats": plan.repeats, "backend": backend}
    variants = [(bound, timing, "iterable") for bound in (100, 1024) for timing in (False, True)]
    variants.append((100, False, "async iterable"))
    jobs = [
        Contestant(
            ours(backend, bound, timing, feed),
            "ours.throughput",
            plan.python,
            {**common, "pipeline": {"max_queue_size": bound, "enable_timing": timing}, "feed": feed},
            ours=True,
        )
        for bound, timing, feed in variants
    ]
    return jobs + [
        Contestant(
            same_source(backend, timing),
            "both.throughput",
            plan.python,
            {**common, "bound": 100, "timing": timing},
            ours=True,
        )
        for timing in (False, True)
    ]


def figures(plan: Plan, samples: Samples) -> list[Figure]:
    """Return every comparison on every backend."""
    found: list[Figure] = []
    key = "us_per_item"
    for backend in plan.backends:
        for name, peer, bound, timing, target in COMPARED:
            rounds = samples.ratios(beside(peer, backend, plan), ours(backend, bound, timing), key)
            found += figure(name, backend, "x", rounds, target)
        for timing in (False, True):
            name = f"x 0.1.10, the same source, timing {_on(timing)}"
            peer = beside(f"0.1.10, timing {_on(timing)}", backend, plan)
            rounds = samples.ratios(peer, same_source(backend, timing), key)
            found += figure(name, backend, "x", rounds)
        timed = samples.ratios(ours(backend, 100, True), ours(backend, 100, False), key)
        found += figure("timing on / off, 100", backend, "x", timed, Target(2.5, at_least=False))
    return found


MEASUREMENT = Measurement(
    contestants, figures, {"us_per_item": "µs per item"}, peers=tuple(sorted({peer for _, peer, *_ in PEERS if peer}))
)
