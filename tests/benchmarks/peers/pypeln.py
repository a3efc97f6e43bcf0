"""pypeln.thread with one worker per stage."""

from importlib import import_module
from time import perf_counter
from typing import Any

from harness.line import STAGES, emit_per_item, identity, options

# Imported by name: type checkers run where no peer is installed.
pypeln: Any = import_module("pypeln")


def job(items: int, bound: int) -> float:
    """Pass the items through and return the seconds it took."""
    received = 0
    begun = perf_counter()
    stage: Any = range(items)
    for _ in range(STAGES):
        stage = pypeln.thread.map(identity, stage, workers=1, maxsize=bound)
    for value in stage:
        assert value == received
        received += 1
    seconds = perf_counter() - begun
    assert received == items
    return seconds


if __name__ == "__main__":
    emit_per_item("pypeln", lambda items: job(items, options()["bound"]))
