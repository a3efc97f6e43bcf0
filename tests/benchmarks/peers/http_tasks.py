"""No library: a task per request, and a limit on how many run, written by hand for each backend.

asyncio: a `TaskGroup` and a `Semaphore`. trio: a nursery and a `CapacityLimiter`. The limit is
awaited before a task is made, so that there are no more tasks than requests; a task per item, all
made at once and waiting in it, is slower.
"""

import asyncio
from time import perf_counter

import anyio
from harness.client import Client
from harness.line import BACKENDS, emit_per_item, options
from harness.server import served


async def on_asyncio(client: Client, items: int, limit: int, received: list[int]) -> None:
    """Request every number."""
    semaphore = asyncio.Semaphore(limit)

    async def request(number: int) -> None:
        try:
            received.append(await client.get(number))
        finally:
            semaphore.release()

    async with asyncio.TaskGroup() as group:
        for number in range(items):
            await semaphore.acquire()
            group.create_task(request(number))


async def on_trio(client: Client, items: int, limit: int, received: list[int]) -> None:
    """Request every number."""
    import trio

    limiter = trio.CapacityLimiter(limit)

    async def request(number: int) -> None:
        try:
            received.append(await client.get(number))
        finally:
            limiter.release_on_behalf_of(number)

    async with trio.open_nursery() as nursery:
        for number in range(items):
            await limiter.acquire_on_behalf_of(number)
            nursery.start_soon(request, number)


async def job(items: int, port: int, limit: int, backend: str) -> float:
    """Request every number and return the seconds it took."""
    client = Client(port)
    await client.connect(limit)
    received: list[int] = []
    begun = perf_counter()
    await (on_trio if backend == "trio" else on_asyncio)(client, items, limit, received)
    seconds = perf_counter() - begun
    await client.aclose()
    assert sorted(received) == list(range(items))
    return seconds


if __name__ == "__main__":
    given = options()
    with served(given["delay"]) as port:
        emit_per_item(
            None,
            lambda items: anyio.run(job, items, port, given["workers"], given["backend"], **BACKENDS[given["backend"]]),
        )
