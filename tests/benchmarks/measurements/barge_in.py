"""Barge-in on this library and on pipecat: stale items, and the time until it is quiet.

The shapes are named in `harness.barge_in`; `ours.barge_in` and `peers.pipecat` say how each is made.
"""

from harness.barge_in import SHAPES
from harness.figures import Figure, Measurement, Plan, Target, figure
from harness.rounds import Contestant, Samples

PIPECAT = "pipecat"


def contestants(plan: Plan) -> list[Contestant]:
    """Return this library on each backend, and pipecat, if it is there."""
    found = plan.on_each("ours.barge_in")
    if PIPECAT in plan.peers:
        found.append(Contestant(PIPECAT, "peers.pipecat", plan.peers[PIPECAT], {}, ours=False))
    return found


def figures(plan: Plan, samples: Samples) -> list[Figure]:
    """Return what leaked in each shape, and the time to quiet; targets are ours alone."""
    found: list[Figure] = []
    for shape in SHAPES:
        rows = [
            ("stale", "stale", ""),
            ("behind", "stale behind its own interruption", ""),
            ("quiet_ms", "quiet", "ms"),
        ]
        if shape.startswith("marker"):
            rows.append(("lost", "markers lost", ""))
        for key, label, unit in rows:
            for name in (*plan.backends, PIPECAT):
                rounds = samples.values(name, f"{shape}: {key}")
                if name != PIPECAT and not unit:
                    rounds = rounds and (max(rounds),)  # no stale item is to be lost in a median
                target = Target(0, at_least=False) if name != PIPECAT and not unit else None
                found += figure(f"{shape}: {label}", name, unit, rounds, target)
    return found


MEASUREMENT = Measurement(contestants, figures, peers=(PIPECAT,))
