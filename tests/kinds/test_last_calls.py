"""What is still in a process when a call in the same burst ends the pipeline.

The rule: the rest of a burst is sent already, and is made. Its state is closed after it, as it
should be; but a call that stays is ended, and nobody waits for it.
"""

from __future__ import annotations

from functools import partial

import pytest

from tests.kinds import mistakes
from tests.kinds.functions import MineError, Resource
from tests.kinds.kinds import some
from tests.support.law import assert_law
from tests.support.waiting import read

pytestmark = [pytest.mark.anyio, some(["process"])]


@pytest.mark.parametrize("after", ["fast", "held"])
async def test_a_failure_that_ends_the_pipeline_waits_for_no_call_that_stays(kind, gate, after):
    gate.hold("held")
    setup = partial(Resource, gate.address)
    pipeline = kind.pipeline(mistakes.fails_or_stands, setup=setup)
    with pytest.raises(MineError):
        async with pipeline:
            output = pipeline.generate_output_stream()
            for number in range(50):  # fast ones: what comes now may be sent together
                pipeline.put_input_data(number)
            assert await read(pipeline, 50) == [*range(50)]
            for data in ("fails", after):
                pipeline.put_input_data(data)
            await anext(output)
    if "held" in gate.arrivals:
        await gate.left("held")  # killed, as the gate did not open
    assert_law(pipeline)
    made = gate.arrivals.count("made")
    assert gate.arrivals.count("closed") >= (1 if after == "fast" else 0)
    assert gate.arrivals.count("closed") <= made <= 2  # one in reserve, perhaps
    if "held" in gate.arrivals:
        assert gate.arrivals.count("closed") < made
