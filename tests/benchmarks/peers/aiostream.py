"""aiostream with each call in a thread: `asyncio.to_thread` is the way it has.

One task per stage is its fastest setting here that keeps calls of a stage apart and in order.
"""

import asyncio
from importlib import import_module
from time import perf_counter
from typing import Any

from harness.line import STAGES, emit_per_item, identity

# Imported by name: type checkers run where no peer is installed.
aiostream: Any = import_module("aiostream")


async def in_thread(value: int) -> int:
    """Call the stage's function off the loop."""
    return await asyncio.to_thread(identity, value)


async def job(items: int) -> float:
    """Pass the items through and return the seconds it took."""
    received = 0
    begun = perf_counter()
    chain = aiostream.stream.iterate(range(items))
    for _ in range(STAGES):
        chain = chain | aiostream.pipe.map(in_thread, ordered=True, task_limit=1)
    async with chain.stream() as streamer:
        async for value in streamer:
            assert value == received
            received += 1
    seconds = perf_counter() - begun
    assert received == items
    return seconds


if __name__ == "__main__":
    emit_per_item("aiostream", lambda items: asyncio.run(job(items)))
