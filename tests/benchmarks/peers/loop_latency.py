"""No library: four threads, each woken by the loop and waking it, one item at a time.

What is left of the latency of a pipeline whose links are the loop's if everything but the waking is
taken away: the least that any such library can reach.
"""

import threading
from queue import SimpleQueue
from time import perf_counter
from typing import Any

import anyio
from anyio.lowlevel import current_token
from harness.line import BACKENDS, STAGES, emit, identity, options, percentiles


async def job(items: int) -> list[float]:
    """Return the seconds each item took."""
    native: Any = current_token().native_token
    post = native.run_sync_soon if hasattr(native, "run_sync_soon") else native.call_soon_threadsafe
    inboxes: list[SimpleQueue[Any]] = [SimpleQueue() for _ in range(STAGES)]
    results: list[int] = []
    arrived = anyio.Event()

    def pass_on(stage: int, value: int) -> None:
        if stage < STAGES:
            inboxes[stage].put(value)
        else:
            results.append(value)
            arrived.set()

    def work(stage: int) -> None:
        while (value := inboxes[stage].get()) is not None:
            post(pass_on, stage + 1, identity(value))

    threads = [threading.Thread(target=work, args=(stage,)) for stage in range(STAGES)]
    for thread in threads:
        thread.start()
    taken = []
    for number in range(items + items // 10):
        begun = perf_counter()
        arrived = anyio.Event()
        pass_on(0, number)
        await arrived.wait()
        taken.append(perf_counter() - begun)
        assert results.pop() == number
    for inbox in inboxes:
        inbox.put(None)
    for thread in threads:
        thread.join()
    # The first ones warm caches and threads up.
    return taken[items // 10 :]


if __name__ == "__main__":
    given = options()
    seconds = anyio.run(job, given["items"], **BACKENDS[given["backend"]])
    emit(None, items=len(seconds), **percentiles(seconds))
