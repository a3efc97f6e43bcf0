"""Try again what fails now and then, and keep what fails for good."""

from __future__ import annotations

from collections import Counter

import anyio
import stamina

from async_task_pipeline import AsyncTaskPipeline

attempts = Counter[str]()


@stamina.retry(on=ConnectionError, attempts=3, wait_initial=0.01)
async def fetch(name: str) -> str:  # a request that fails once, or always
    attempts[name] += 1
    if name == "gone" or attempts[name] == 1:
        raise ConnectionError(name)
    return f"{name} after {attempts[name]} attempts"


async def main() -> None:
    pipeline = AsyncTaskPipeline(on_error="return").add_stage("fetch", fetch, workers=4)
    async with pipeline.process(["one", "gone", "two"]) as results:
        async for result in results:
            if isinstance(result, Exception):
                print("failed:", repr(result))  # in place of its item: write it down, go on
            else:
                print(result)


if __name__ == "__main__":
    anyio.run(main)
