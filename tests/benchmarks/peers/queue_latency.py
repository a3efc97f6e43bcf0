"""No library: one item at a time through a chain of threads over `queue.SimpleQueue`."""

from queue import SimpleQueue
from time import perf_counter
from typing import Any

from harness.chain import chained
from harness.line import STAGES, emit, options, percentiles


def job(items: int) -> list[float]:
    """Return the seconds each item took."""
    links: list[SimpleQueue[Any]] = [SimpleQueue() for _ in range(STAGES + 1)]
    taken = []
    with chained(links):
        for number in range(items + items // 10):
            begun = perf_counter()
            links[0].put(number)
            value = links[-1].get()
            taken.append(perf_counter() - begun)
            assert value == number
        links[0].put(None)
    # The first ones warm caches and threads up.
    return taken[items // 10 :]


if __name__ == "__main__":
    seconds = job(options()["items"])
    emit(None, items=len(seconds), **percentiles(seconds))
