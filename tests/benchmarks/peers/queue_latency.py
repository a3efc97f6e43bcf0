"""No library: one item at a time through a chain of threads over `queue.SimpleQueue`."""

import queue
import threading
from time import perf_counter
from typing import Any

from harness.line import STAGES, emit, identity, options, percentiles


def job(items: int) -> list[float]:
    """Return the seconds each item took."""
    links: list[queue.SimpleQueue[Any]] = [queue.SimpleQueue() for _ in range(STAGES + 1)]

    def work(source: queue.SimpleQueue[Any], sink: queue.SimpleQueue[Any]) -> None:
        while (value := source.get()) is not None:
            sink.put(identity(value))
        sink.put(None)

    threads = [threading.Thread(target=work, args=links[n : n + 2]) for n in range(STAGES)]
    for thread in threads:
        thread.start()
    taken = []
    for number in range(items + items // 10):
        begun = perf_counter()
        links[0].put(number)
        value = links[-1].get()
        taken.append(perf_counter() - begun)
        assert value == number
    links[0].put(None)
    for thread in threads:
        thread.join()
    # The first ones warm caches and threads up.
    return taken[items // 10 :]


if __name__ == "__main__":
    seconds = job(options()["items"])
    emit(None, items=len(seconds), **percentiles(seconds))
