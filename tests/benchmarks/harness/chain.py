"""No library: one thread per stage over plain queues, which is what the pipeline is measured against."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import Queue
from time import perf_counter
from typing import Any

from harness.line import STAGES, identity


@contextmanager
def chained(links: list[Any], function: Callable[[Any], Any] = identity) -> Iterator[None]:
    """Have a thread between each link and the next; None ends all of them, and has to be put."""

    def work(source: Any, sink: Any) -> None:
        while (value := source.get()) is not None:
            sink.put(function(value))
        sink.put(None)

    threads = [threading.Thread(target=work, args=links[n : n + 2]) for n in range(len(links) - 1)]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join()


def through(values: Iterable[Any], bound: int, function: Callable[[Any], Any] = identity) -> float:
    """Pass the values through queues of the bound, fed by another thread; return the seconds it took."""
    links: list[Queue[Any]] = [Queue(bound) for _ in range(STAGES + 1)]
    fed = received = 0

    def feed() -> None:
        nonlocal fed
        for value in values:
            links[0].put(value)
            fed += 1
        links[0].put(None)

    feeder = threading.Thread(target=feed)
    begun = perf_counter()
    with chained(links, function):
        feeder.start()
        while links[-1].get() is not None:
            received += 1
        feeder.join()
    seconds = perf_counter() - begun
    assert received == fed
    return seconds
