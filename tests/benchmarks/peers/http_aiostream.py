"""aiostream with a hundred requests at once, in order."""

from importlib import import_module
from time import perf_counter
from typing import Any

import anyio
from harness.client import Client
from harness.line import BACKENDS, emit_per_item, options
from harness.server import served

# Imported by name: type checkers run where no peer is installed.
aiostream: Any = import_module("aiostream")


async def job(items: int, port: int, limit: int) -> float:
    """Request every number and return the seconds it took."""
    client = Client(port)
    await client.connect(limit)
    received = 0
    begun = perf_counter()
    chain = aiostream.stream.iterate(range(items)) | aiostream.pipe.map(client.get, ordered=True, task_limit=limit)
    async with chain.stream() as streamer:
        async for value in streamer:
            assert value == received
            received += 1
    seconds = perf_counter() - begun
    await client.aclose()
    assert received == items
    return seconds


if __name__ == "__main__":
    given = options()
    with served(given["delay"]) as port:
        emit_per_item(
            "aiostream",
            lambda items: anyio.run(job, items, port, given["workers"], **BACKENDS[given["backend"]]),
        )
