"""A link shows how full it is: what ``pipeline.queues`` gives.

The rule: sentinels count, the depth is never above the bound, and looking changes nothing.
"""

from __future__ import annotations

import pytest

from async_task_pipeline import AsyncTaskPipeline
from tests.support.gates import AsyncGate
from tests.support.waiting import rest_of, until

pytestmark = pytest.mark.anyio


async def test_a_link_tells_how_full_it_is():
    gate = AsyncGate("held")
    pipeline = AsyncTaskPipeline(2).add_stage("gate", gate)
    async with pipeline:
        link, (output,) = pipeline.input_queue, pipeline.queues
        assert (link.qsize(), link.empty(), link.full(), repr(link)) == (0, True, False, "<Link 0/2>")
        await pipeline.process_input_data("held")
        await gate.entered()
        await pipeline.process_input_data("behind it")  # in the window, as what is in the call
        await until(link.empty)
        await pipeline.process_input_sentinel(None)  # None is an entry like any
        assert (link.qsize(), link.empty(), link.full(), repr(link)) == (1, False, False, "<Link 1/2>")
        await pipeline.process_input_data("more")
        assert (link.qsize(), link.empty(), link.full(), repr(link)) == (2, False, True, "<Link 2/2>")
        assert output.empty()
        gate.open()
        assert await rest_of(pipeline) == ["held", "behind it", None, "more"]
        assert link.empty()
