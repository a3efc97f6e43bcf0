"""Time of `get_report()` and memory held, by the number of timed items that have passed.

Memory is counted twice: exactly, by tracemalloc, in one slow run; and as the resident set, which
also holds what the interpreter keeps for itself, in every round.
"""

from harness.figures import Figure, Measurement, Plan, Target, figure
from harness.rounds import Contestant, Samples

ORIGINAL = "0.1.10, {size}"


def sizes(plan: Plan) -> list[int]:
    """Return the numbers of items: a hundredth of the full ones in a quick run."""
    full = [10_000, 100_000, 1_000_000]
    return [size // 100 for size in full] if plan.quick else full


def contestants(plan: Plan) -> list[Contestant]:
    """Return a traced and an untraced run on each backend; 0.1.10 at the smallest size only."""
    found = [
        Contestant(
            f"{backend}, {'traced' if trace else 'resident'}",
            "both.report",
            plan.python,
            {"sizes": sizes(plan), "trace": trace, "backend": backend},
            ours=True,
            rounds=1 if trace else 3,
        )
        for backend in plan.backends
        for trace in (False, True)
    ]
    if "0.1.10" in plan.peers:
        found += [
            Contestant(
                f"0.1.10, {'traced' if trace else 'resident'}",
                "both.report",
                plan.peers["0.1.10"],
                {"sizes": sizes(plan)[:1], "trace": trace, "backend": "asyncio"},
                ours=False,
                rounds=1,
            )
            for trace in (False, True)
        ]
    return found


def figures(plan: Plan, samples: Samples) -> list[Figure]:
    """Return report times at each size, and the growth of memory between the larger two."""
    found: list[Figure] = []
    small, middle, large = sizes(plan)
    for backend in (*plan.backends, "0.1.10"):
        ours = backend in plan.backends
        for size in (small, middle, large) if ours else (small,):
            times = samples.values(f"{backend}, resident", f"report_ms_{size}")
            target = Target(10, at_least=False) if ours else None
            found += figure(f"get_report() at {size}", backend, "ms", times, target)
            held = samples.values(f"{backend}, traced", f"memory_mib_{size}")
            found += figure(f"memory at {size}", backend, "MiB", held)
        if ours:
            for kind in ("traced", "resident"):
                growth = _growth(samples, f"{backend}, {kind}", middle, large)
                name = f"growth {middle} to {large}, {kind}"
                found += figure(name, backend, "MiB", growth, Target(10, at_least=False))
    return found


def _growth(samples: Samples, name: str, middle: int, large: int) -> tuple[float, ...]:
    before = samples.values(name, f"memory_mib_{middle}")
    after = samples.values(name, f"memory_mib_{large}")
    return tuple(late - early for early, late in zip(before, after, strict=True))


MEASUREMENT = Measurement(contestants, figures, peers=("0.1.10",))
