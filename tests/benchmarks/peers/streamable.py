"""streamable with threads: a hundred per stage, in order, the fastest of 1, 2, 8 and 100."""

from importlib import import_module
from time import perf_counter
from typing import Any

from harness.line import STAGES, emit_per_item, identity, options

# Imported by name: type checkers run where no peer is installed.
streamable: Any = import_module("streamable")


def job(items: int, threads: int) -> float:
    """Pass the items through and return the seconds it took."""
    received = 0
    begun = perf_counter()
    chain = streamable.stream(range(items))
    for _ in range(STAGES):
        chain = chain.map(identity, concurrency=threads)
    for value in chain:
        assert value == received
        received += 1
    seconds = perf_counter() - begun
    assert received == items
    return seconds


if __name__ == "__main__":
    emit_per_item("streamable", lambda items: job(items, options()["threads"]))
