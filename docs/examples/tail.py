"""Follow a file that grows, as ``tail -f``: ``python docs/examples/tail.py FILE [LAST LINE]``.

The source never ends by itself. Leaving the block ends it: the pipeline stops, and the file is
closed.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import anyio

from async_task_pipeline import AsyncTaskPipeline


async def follow(path: str) -> AsyncIterator[str]:
    async with await anyio.open_file(path) as file:
        line = ""
        while True:
            line += await file.readline()  # "" at the end of the file
            if line.endswith("\n"):
                yield line.rstrip("\n")
                line = ""
            else:
                await anyio.sleep(0.1)  # half a line is kept until the rest of it is written


def error(line: str) -> str | None:
    return line if "ERROR" in line else None  # None: the item ends here


async def main(path: str, last: str | None = None) -> None:
    pipeline = AsyncTaskPipeline().add_stage("error", error)
    async with pipeline.process(follow(path)) as errors:
        async for line in errors:
            print(line)
            if line == last:
                break


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
