"""How a script talks to the harness: options in as one JSON argument, one JSON line out.

This module runs in the environments of the peers too, so it imports the standard library only.
"""

import json
import sys
from collections.abc import AsyncIterator, Callable
from importlib.metadata import version
from statistics import median
from typing import Any

STAGES = 4

# What `anyio.run` takes for each backend that the figures name.
BACKENDS: dict[str, dict[str, Any]] = {
    "asyncio": {"backend": "asyncio"},
    "asyncio+uvloop": {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    "trio": {"backend": "trio"},
}


def identity(value: int) -> int:
    """Return the value: what is measured is everything around the call."""
    return value


async def on_loop(value: int) -> int:
    """Return the value, on the loop."""
    return value


async def numbers(items: int) -> AsyncIterator[int]:
    """Yield the items as an async source that never waits."""
    for number in range(items):
        yield number


def options() -> dict[str, Any]:
    """Return the options the harness passed to this script."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    return given


def emit(distribution: str | None, **values: Any) -> None:
    """Print the script's one line: its values, and the version of the distribution measured."""
    found = version(distribution) if distribution else "stdlib"
    print(json.dumps({"version": found, "python": sys.version.split()[0], **values}))


def emit_per_item(distribution: str | None, job: Callable[[int], float]) -> None:
    """Time ``job(items)``, which returns seconds, after a warm-up, and print µs per item."""
    given = options()
    items: int = given["items"]
    job(max(items // 10, 1))
    costs = [job(items) / items * 1e6 for _ in range(given["repeats"])]
    emit(distribution, items=items, us_per_item=median(costs), repeats=costs)


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Return p50 and p99 of the samples, in µs."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return {f"p{q}_us": ordered[round(last * q / 100)] * 1e6 for q in (50, 99)}
