"""No library: one thread per stage over `queue.Queue`, fed by another thread."""

import queue
import threading
from time import perf_counter
from typing import Any

from harness.line import STAGES, emit_per_item, identity, options

END = object()


def job(items: int, bound: int) -> float:
    """Pass the items through and return the seconds it took."""
    links: list[queue.Queue[Any]] = [queue.Queue(bound) for _ in range(STAGES + 1)]

    def work(source: queue.Queue[Any], sink: queue.Queue[Any]) -> None:
        while (value := source.get()) is not END:
            sink.put(identity(value))
        sink.put(END)

    def feed() -> None:
        for number in range(items):
            links[0].put(number)
        links[0].put(END)

    threads = [threading.Thread(target=work, args=links[n : n + 2]) for n in range(STAGES)]
    threads.append(threading.Thread(target=feed))
    received = 0
    begun = perf_counter()
    for thread in threads:
        thread.start()
    while (value := links[-1].get()) is not END:
        assert value == received
        received += 1
    for thread in threads:
        thread.join()
    seconds = perf_counter() - begun
    assert received == items
    return seconds


if __name__ == "__main__":
    emit_per_item(None, lambda items: job(items, options()["bound"]))
