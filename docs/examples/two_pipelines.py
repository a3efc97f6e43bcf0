"""One pipeline feeds another: bounds of its own for each part, back-pressure through both."""

from __future__ import annotations

import anyio

from async_task_pipeline import AsyncTaskPipeline


async def main() -> None:
    numbers = AsyncTaskPipeline(max_queue_size=100).add_stage("parse", int)
    images = AsyncTaskPipeline(max_queue_size=2).add_stage("draw", lambda number: "#" * number)
    async with numbers.process(["1", "2", "3"]) as parsed, images.process(parsed) as drawn:
        async for image in drawn:
            print(image)


if __name__ == "__main__":
    anyio.run(main)
