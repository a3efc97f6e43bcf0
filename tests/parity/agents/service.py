"""A voice service: a pipeline for many calls, and one consumer for as long as it runs.

The consumer is there before the start. Each call has streams of its own; one breaks off and comes
back, one has a frame that cannot be decoded. The last call comes after a silence.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from async_task_pipeline.base.pipeline import AsyncTaskPipeline


class HungUp(str):
    __slots__ = ()


def decode(frame: tuple[str, int]) -> tuple[str, int] | None:
    if frame[1] < 0:
        raise ValueError(frame[0])
    return frame if frame[1] else None


class Service(AsyncTaskPipeline[tuple[str, int], Any]):
    def __init__(self) -> None:
        super().__init__(max_queue_size=8, enable_timing=True, return_exceptions=True)
        self.frames = 0
        self.said: defaultdict[str, list[object]] = defaultdict(list)
        self.add_stage("decode", decode)
        self.add_stage("answer", lambda frame: (frame[0], frame[1] ** 2))

    async def process_input_data(self, data: tuple[str, int], created_at: float) -> None:
        self.frames += 1
        await super().process_input_data(data, created_at)

    async def consume(self, output: AsyncIterator[Any]) -> None:
        async for result in output:
            if isinstance(result, HungUp | ValueError):
                self.said[str(result)].append(type(result).__name__)
            else:
                self.said[result[0]].append(result[1])

    async def call(self, caller: str, *streams: list[int | None]) -> None:
        for levels in streams:
            with suppress(ConnectionError):
                await self.process_input_stream(line(caller, levels))
        await self.process_input_sentinel(HungUp(caller))
        while "HungUp" not in self.said[caller]:
            await asyncio.sleep(0.01)


async def line(caller: str, levels: list[int | None]) -> AsyncIterator[tuple[str, int]]:
    for level in levels:
        await asyncio.sleep(0.001)
        if level is None:
            raise ConnectionError
        yield caller, level


async def main() -> None:
    service = Service()
    consumer = asyncio.create_task(service.consume(service.generate_output_stream()))
    await service.start()
    await asyncio.gather(
        service.call("Ada", [*range(30)]),
        service.call("Bob", [1, 2, None, 3], [4, 5]),
        service.call("Cem", [7, -1, 0, 8], [9]),
    )
    await asyncio.sleep(0.5)
    await service.call("Dee", [10, 11])
    print(*sorted(service.said.items()), sep="\n")
    print(service.frames, "frames,", service.counter, "accepted,", len(service.completed_items), "answered")
    print(service.completed_items[-1].get_timing_breakdown()["totals"]["total_latency"] > 0)
    await service.stop()
    await consumer


asyncio.run(main())
