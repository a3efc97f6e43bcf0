"""``timeout`` and ``max_failures``: how long a call may take, and how often one may fail.

The rule: a call that is over its time stands at a gate, so it can not end before; each
test waits for what the deadline brings, and measures nothing.
"""

from __future__ import annotations

from functools import partial

import pytest

from async_task_pipeline import FailureBudgetError
from tests.kinds.functions import MineError
from tests.kinds.kinds import some
from tests.support.law import assert_law
from tests.support.waiting import drain, rest_of, until

pytestmark = pytest.mark.anyio


async def test_an_overdue_call_has_failed_and_its_worker_stays_busy(kind, gate):
    gate.hold("slow")
    options = {"timeout": 0.6, "on_error": "return", "show_items": True}
    pipeline = kind.pipeline(partial(kind.function("gated"), gate.address), **options)
    async with pipeline:
        output = pipeline.generate_output_stream()
        await pipeline.process_input_data("slow")
        await pipeline.process_input_data("next")
        late = await anext(output)
        if kind.ends_calls:
            # One that was killed on its way to the gate does not come any more.
            await until(lambda: gate.departed == gate.arrivals)
        else:
            await gate.entered("slow")
            assert gate.inside == ["slow"]
            assert gate.arrivals == ["slow"]  # G14: nothing beside it
            receipt = await pipeline.interrupt()  # it is still there, and named
            assert receipt.busy == ("stage",)
            assert receipt.total == 1
            gate.open()
            await pipeline.process_input_data("next")
        assert await anext(output) == "next"
        assert await rest_of(pipeline) == []  # the late result is dropped
        assert_law(pipeline)
    assert isinstance(late, TimeoutError)
    assert str(late) == "a call of stage 'stage' took longer than 0.6 seconds"
    assert late.__notes__ == ["raised in stage 'stage' of the pipeline, for item 'slow'"]
    now = pipeline.statistics()
    assert (now.failed, now.inside) == (1, 0)
    assert gate.most == 1


async def test_by_default_an_overdue_call_ends_the_pipeline_at_its_deadline(kind, gate):
    gate.hold("slow")
    pipeline = kind.pipeline(partial(kind.function("gated"), gate.address), timeout=0.1, workers=2)
    with pytest.raises(TimeoutError, match="a call of stage 'stage' took longer") as caught:
        async with pipeline:
            try:
                await pipeline.process_input_data("slow")
                await anext(pipeline.generate_output_stream())
            finally:
                gate.open()
    assert caught.value.__notes__ == ["raised in stage 'stage' of the pipeline"]
    now = pipeline.statistics()
    assert (now.failed, now.dropped, now.inside) == (1, 0, 0)
    assert_law(pipeline)


async def test_calls_that_end_in_time_are_left_alone(kind):
    pipeline = kind.pipeline(kind.function("outcome"), timeout=30, workers=2, timing=True)
    assert await drain(pipeline, range(100)) == [(n, n) for n in range(100)]


@some(["thread", "process"])  # the loop counts them
async def test_one_failure_too_many(kind):
    pipeline = kind.pipeline(kind.function("outcome"), on_error="return", max_failures=2)
    with pytest.raises(FailureBudgetError) as caught:
        async with pipeline.process(["fails", 1, "fails", 2, "fails", 3]) as results:
            async for _ in results:
                pass
    assert str(caught.value) == "stage 'stage': 3 calls have failed, and max_failures is 2"
    assert isinstance(caught.value.__cause__, MineError)
    assert pipeline.statistics().failed >= 3
    assert_law(pipeline)


@some(["thread", "process"])
async def test_a_share_of_the_last_outcomes(kind):
    one_in_four = ["fails" if n % 4 == 0 else n for n in range(100)]
    options = {"on_error": "drop", "failure_window": 8}
    pipeline = kind.pipeline(kind.function("outcome"), max_failures=0.25, **options)
    async with pipeline.process(one_in_four) as results:
        assert len([each async for each in results]) == 75
    pipeline = kind.pipeline(kind.function("outcome"), max_failures=0.24, **options)
    with pytest.raises(FailureBudgetError, match=r"2 of the last 8 .* max_failures is 0\.24 of"):
        async with pipeline.process(one_in_four) as results:
            async for _ in results:
                pass
