"""python-pyper with one thread per task; ``throttle`` is its bound."""

from collections.abc import Iterator
from importlib import import_module
from time import perf_counter
from typing import Any

from harness.line import STAGES, emit_per_item, identity, options

# Imported by name: type checkers run where no peer is installed.
pyper: Any = import_module("pyper")


def numbers(items: int) -> Iterator[int]:
    """Yield the items: the first task of the chain."""
    yield from range(items)


def job(items: int, bound: int) -> float:
    """Pass the items through and return the seconds it took."""
    received = 0
    begun = perf_counter()
    chain = pyper.task(numbers, branch=True, throttle=bound)
    for _ in range(STAGES):
        chain = chain | pyper.task(identity, workers=1, throttle=bound)
    for value in chain(items):
        assert value == received
        received += 1
    seconds = perf_counter() - begun
    assert received == items
    return seconds


if __name__ == "__main__":
    emit_per_item("python-pyper", lambda items: job(items, options()["bound"]))
