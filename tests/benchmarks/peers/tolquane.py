"""tolquane on its threads runtime; a batch of 32 per hand-off is its own default."""

from importlib import import_module
from time import perf_counter
from typing import Any

from harness.line import STAGES, emit_per_item, options

# Imported by name: type checkers run where no peer is installed.
tolquane: Any = import_module("tolquane")


def job(items: int, bound: int) -> float:
    """Pass the items through and return the seconds it took."""
    received = 0

    def count(value: int) -> None:
        nonlocal received
        assert value == received
        received += 1

    graph = tolquane.from_iterable(range(items))
    for _ in range(STAGES):
        graph = graph >> tolquane.node(lambda value: value)
    graph = graph >> tolquane.sink(count)
    begun = perf_counter()
    tolquane.run(graph, runtime="threads", capacity=bound)
    seconds = perf_counter() - begun
    assert received == items
    return seconds


if __name__ == "__main__":
    emit_per_item("tolquane", lambda items: job(items, options()["bound"]))
