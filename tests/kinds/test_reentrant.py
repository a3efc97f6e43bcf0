"""A reentrant stage begins the next turn beside a call that is stuck, whoever interrupts it.

The rule: an interrupt from another thread is a callback of the loop, outside any task, and
does all that one on the loop does.
"""

from __future__ import annotations

from functools import partial

import pytest
from anyio import to_thread

from tests.kinds.kinds import POOLS, some
from tests.support.law import assert_law

pytestmark = [pytest.mark.anyio, some(["thread", *POOLS])]


@pytest.mark.parametrize("where", ["on the loop", "in a thread"])
async def test_the_next_turn_starts_beside_a_call_that_is_stuck(kind, gate, where):
    stuck = ["stuck 0", "stuck 1"]
    gate.hold(*stuck)
    pipeline = kind.pipeline(partial(kind.function("gated"), gate.address), reentrant=True, workers=2)
    async with pipeline:
        output = pipeline.generate_output_stream()
        for each in stuck:
            await pipeline.process_input_data(each)
        await gate.entered(*stuck)
        if where == "on the loop":
            receipt = await pipeline.interrupt()
        else:
            receipt = await to_thread.run_sync(pipeline.interrupt_from_thread)
        assert (receipt.total, receipt.busy) == (2, ("stage",))
        await pipeline.process_input_data("new")
        assert await anext(output) == "new"
        await gate.left("new")
        assert gate.inside == stuck  # still
        assert_law(pipeline)
        gate.open()
        await gate.left(*stuck)
        await pipeline.process_input_data("last")
        assert await anext(output) == "last"
    assert_law(pipeline)
