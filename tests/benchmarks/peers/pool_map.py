"""No library: `ProcessPoolExecutor.map` with one process, which is there before the time is taken."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from time import perf_counter

from harness.line import emit_per_item, identity, options


def job(items: int, pool: ProcessPoolExecutor, chunk: int) -> float:
    """Map the items and return the seconds it took."""
    pool.submit(identity, 0).result()
    received = 0
    begun = perf_counter()
    for value in pool.map(identity, range(items), chunksize=chunk):
        assert value == received
        received += 1
    seconds = perf_counter() - begun
    assert received == items
    return seconds


if __name__ == "__main__":
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        emit_per_item(None, lambda items: job(items, pool, options()["chunk"]))
