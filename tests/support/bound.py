"""The bound on what is inside a pipeline, and what is inside while nobody reads.

The rule: the formula is read from the documentation, so what is measured is what is written there.
"""

from __future__ import annotations

import re
from pathlib import Path

from anyio import create_task_group, fail_after, to_thread
from anyio.lowlevel import checkpoint

from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]


def stated(page: str) -> list[str]:
    """The formulas of a page: for all links, the window of a stage, that of a batch stage, and values."""
    rows = re.findall(r"^\| [^|`]+ \| `([^`]*max_queue_size[^`]*)`", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    assert len(rows) == 4, (page, rows)
    return rows


LINKS, WINDOW, BATCH_WINDOW, VALUES = stated("docs/backpressure.md")


def most_inside(size: int, *stages: dict) -> int:
    """How many items there may be, for stages that were added with these options."""
    total = valued(LINKS, max_queue_size=size, stages=len(stages))
    for options in stages:
        window = BATCH_WINDOW if "max_size" in options else WINDOW
        total += valued(window, **{"max_queue_size": size, "workers": 1} | options)
    return total


def most_yielded(size: int, workers: int) -> int:
    """How many values generators may have yielded that their stage has not passed on."""
    return workers * valued(VALUES, max_queue_size=size)


def valued(formula: str, **names) -> int:
    """What a formula amounts to."""
    return eval(formula, {"__builtins__": {}}, names)


async def fill(pipeline, expected: int) -> int:
    """Feed without end while nobody reads, until so many are inside and it has had every chance to be more.

    Returns the most that were ever inside.
    """
    most = 0

    async def numbers():
        number = 0
        while True:
            yield number
            number += 1

    async with create_task_group() as tg:
        tg.start_soon(pipeline.process_input_stream, numbers())
        with fail_after(PATIENCE / 4):
            while most < expected:
                await checkpoint()
                most = max(most, pipeline.statistics().inside)
        for _ in range(20):
            await to_thread.run_sync(int)  # the workers get on
            await checkpoint()
            most = max(most, pipeline.statistics().inside)
        tg.cancel_scope.cancel()
    return most
