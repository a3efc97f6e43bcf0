"""G11 to G14 and G8 for every kind: interrupted, stopped and cancelled in the middle of a call.

The rule: a stage stands at a gate when the interrupt comes. What its old call still does is
seen by nobody, and the gate knows how many calls were ever inside at once.
"""

from __future__ import annotations

from functools import partial

import pytest
from anyio import CancelScope, create_task_group

from tests.support.law import assert_law
from tests.support.waiting import drain, read, rest_of, until

pytestmark = pytest.mark.anyio


def gated(kind, gate, **options):
    return kind.pipeline(partial(kind.function("gated"), gate.address), **options)


@pytest.mark.parametrize("workers", [1, 3])
async def test_an_interrupt_in_the_middle_of_calls(kind, gate, workers):
    gate.hold("stale 0", "stale 1", "stale 2")
    pipeline = gated(kind, gate, workers=workers, size=8)
    async with pipeline:
        for number in range(5):
            await pipeline.process_input_data(f"stale {number}")
        await pipeline.process_input_sentinel("first marker")
        await pipeline.process_input_sentinel(None)
        await gate.entered(*[f"stale {number}" for number in range(workers)])
        accepted = pipeline.statistics().accepted
        receipt = await pipeline.interrupt(sentinel="now")
        assert (receipt.total, receipt.busy) == (accepted, ("stage",)) == (5, ("stage",))
        assert receipt.dropped["stage"].in_call >= workers
        assert pipeline.statistics().inside == 0
        assert_law(pipeline)
        # Sentinels do not wait for the calls that are stuck.
        assert await read(pipeline, 3) == ["first marker", None, "now"]
        if kind.ends_calls:
            await gate.left(*[f"stale {number}" for number in range(workers)])
        else:
            assert len(gate.inside) == workers
            gate.open()
        for data in ("new 0", "new 1"):
            await pipeline.process_input_data(data)
        assert await read(pipeline, 2) == ["new 0", "new 1"]
        assert await rest_of(pipeline) == []
        assert_law(pipeline)
    assert gate.most <= workers  # G14


async def test_a_stage_is_never_in_more_calls_than_it_has_workers(kind, gate):
    pipeline = gated(kind, gate, workers=2, size=4)
    async with pipeline:
        output = pipeline.generate_output_stream()
        for turn in range(3):
            gate.hold(f"{turn} held")
            for data in ("fast", "held", "fast too", "and more"):
                await pipeline.process_input_data(f"{turn} {data}")
            await gate.entered(f"{turn} held")
            first = await pipeline.interrupt()
            # At once again, while the old call is still there: it is named again.
            again = await pipeline.interrupt()
            assert first.busy == again.busy == ("stage",)
            assert again.total == 0
            if turn % 2:
                gate.open()
        gate.open()
        await pipeline.process_input_data("last")
        while await anext(output) != "last":
            pytest.fail("something stale")
        assert_law(pipeline)
    assert 1 <= gate.most <= 2


@pytest.mark.parametrize("end", ["stop", "cancel"])
async def test_the_end_in_the_middle_of_calls(kind, gate, end):
    gate.hold("a", "b")
    pipeline = gated(kind, gate, workers=2)
    with CancelScope() as scope:
        async with pipeline, create_task_group() as tg:
            for data in "abcd":
                await pipeline.process_input_data(data)
            await pipeline.process_input_sentinel("marker")
            await gate.entered("a", "b")
            if end == "cancel":
                scope.cancel()
            else:
                tg.start_soon(pipeline.stop)
                await until(lambda: not pipeline.running)
            if not kind.ends_calls:
                gate.open()
    assert scope.cancelled_caught is (end == "cancel")
    now = pipeline.statistics()
    assert (now.accepted, now.dropped, now.inside) == (4, 4, 0)
    assert_law(pipeline)
    await gate.left("a", "b")
    # A stopped pipeline starts again empty.
    gate.open()
    assert await drain(pipeline, ["e"]) == ["e"]
    assert gate.most == 2
