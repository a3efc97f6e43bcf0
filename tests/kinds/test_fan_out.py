"""A generator is a stream, wherever it runs: each value goes on at once, and not too many.

The rule: the generator stands at a gate before each value, so a test knows which value
it is at, and which it will not come to.
"""

from __future__ import annotations

from functools import partial

import pytest

from tests.kinds.kinds import STREAMING, some
from tests.support.law import assert_law
from tests.support.waiting import read, rest_of

pytestmark = [pytest.mark.anyio, some(STREAMING)]  # an executor gathers what a generator yields


async def test_each_value_goes_on_at_once_and_no_more_are_made_than_fit(kind, gate):
    gate.hold(1, 4)
    pipeline = kind.pipeline(partial(kind.function("fan"), gate.address), size=2)
    async with pipeline:
        output = pipeline.generate_output_stream()
        await pipeline.process_input_data(20)
        # The first is here although the generator is still about to make the second.
        assert await anext(output) == 0
        await gate.entered(1)
        gate.open(1)
        # Two wait in the output, two in the window; a fifth may not even be begun.
        await gate.entered(4)
        gate.open()
        assert await read(pipeline, 3) == [1, 2, 3]
        await gate.entered(7)
        assert "9" not in gate.arrivals
        assert await read(pipeline, 16) == [*range(4, 20)]
        await gate.entered("closed")
        assert_law(pipeline)


@pytest.mark.parametrize("end", ["interrupt", "stop"])
@pytest.mark.parametrize("stuck", ["in its function", "for room"])
async def test_what_ends_its_turn_closes_a_generator(kind, gate, end, stuck):
    in_function = stuck == "in its function"
    gate.hold(*[1] if in_function else [])
    pipeline = kind.pipeline(partial(kind.function("fan"), gate.address), size=1)
    async with pipeline:
        await pipeline.process_input_data(50)
        await pipeline.process_input_data(50)
        await gate.entered(1)
        if end == "stop":
            gate.open()
            await pipeline.stop()
        else:
            receipt = await pipeline.interrupt()
            assert receipt.busy == ("stage",)
            gate.open()
            await pipeline.process_input_data(3)
            assert await read(pipeline, 3) == [0, 1, 2]
        assert_law(pipeline)
    assert_law(pipeline)
    assert pipeline.statistics().inside == 0
    # A process that is killed closes nothing.
    turns = 1 + (end == "interrupt") - (kind.name == "process")
    if kind.name != "process":
        assert gate.arrivals.count("closed") == turns
    assert gate.arrivals.count("5") == 0


async def test_what_a_timeout_cuts_short_has_yielded_what_it_had(kind, gate):
    gate.hold(2)
    pipeline = kind.pipeline(partial(kind.function("fan"), gate.address), timeout=0.6, on_error="return")
    async with pipeline:
        output = pipeline.generate_output_stream()
        await pipeline.process_input_data(5)
        assert await read(pipeline, 2) == [0, 1]
        late = await anext(output)
        assert isinstance(late, TimeoutError)
        assert late.__notes__ == ["raised in stage 'stage' of the pipeline"]
        gate.open()
        await pipeline.process_input_data(1)
        assert await rest_of(pipeline) == [0]
        assert_law(pipeline)
    now = pipeline.statistics()
    assert (now.accepted, now.fanned_out, now.delivered, now.failed) == (2, 2, 3, 1)
    if kind.name != "interpreter":  # which nobody can reach before it has used up its credit
        assert "3" not in gate.arrivals
