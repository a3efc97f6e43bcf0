"""G13, how an async generator may end when an interrupt cancels it.

The rule: a cancellation that the interrupt has made is a quiet end, whether the generator is in an
await or waits at its ``yield`` for room, and whether it lets the cancellation through, meets it in
its clean-up, or has a group of nothing else come out, as task groups do.
"""

from __future__ import annotations

import logging

import pytest
from anyio import get_cancelled_exc_class, sleep_forever
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline
from tests.support.law import assert_law
from tests.support.waiting import read, rest_of, until

pytestmark = pytest.mark.anyio


class Cleaning:
    """Awaits when it is left, which meets the cancellation again."""

    async def __aenter__(self):
        pass

    async def __aexit__(self, *exc_info):
        await checkpoint()


class Grouping(Cleaning):
    """The same; and what it meets comes out in a group."""

    async def __aexit__(self, *exc_info):
        try:
            await checkpoint()
        except get_cancelled_exc_class() as exc:
            raise BaseExceptionGroup("mine", [exc]) from None


class Plain(Cleaning):
    """Awaits nothing."""

    async def __aexit__(self, *exc_info):
        pass


@pytest.mark.parametrize("waits", ["in an await", "for room", "to be asked for its end", "no more"])
@pytest.mark.parametrize("ending", [Plain, Cleaning, Grouping])
async def test_the_next_item_flows(ending, waits, caplog):
    left, workers = [], 2

    async def stage(turn):
        try:
            async with ending():
                yield turn
                yield turn
                while turn == "old" and waits == "for room":
                    yield turn
                if turn == "old" and waits == "in an await":
                    await sleep_forever()
        finally:
            left.append(turn)

    pipeline = AsyncTaskPipeline(2).add_stage("stage", stage, workers=workers)
    async with pipeline:
        for number in range(1, 4):
            for _ in range(workers + 2):  # the first fills the output, so the others wait for room
                await pipeline.process_input_data("old")
            await until(lambda: pipeline.statistics().output_depth == 2)
            for _ in range(5):
                await checkpoint()
            if waits == "no more":  # but has not run since there was room
                assert await read(pipeline, 1) == ["old"]
            receipt = await pipeline.interrupt(grace=60)
            assert receipt.busy == ()
            assert_law(pipeline)
            assert left.count("old") >= number
            await pipeline.process_input_data("new")
            assert await read(pipeline, 2) == ["new", "new"]
        assert await rest_of(pipeline) == []
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []
