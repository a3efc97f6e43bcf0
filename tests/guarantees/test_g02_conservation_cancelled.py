"""G2, the law of conservation, cancelled at every await.

The rule: each scenario is cancelled at every await it has (see ``support/cancelling.py``), and
after each cut the same is asked: is every item accounted for, is what came out what had to come
out, is anything left, does it run again.
"""

from __future__ import annotations

import pytest
from anyio import CancelScope, create_task_group

from tests.support.cancelling import (
    INPUTS,
    WHOLE_LIVES,
    Cut,
    Ledger,
    Whole,
    assert_over,
    build,
    cut_everywhere,
    cut_from_beside,
    cut_input_everywhere,
    cut_output_everywhere,
    cut_when_waiting,
    expected,
    put_all,
    read,
    scope,
)
from tests.support.leftovers import tasks
from tests.support.switching import switching_every
from tests.support.waiting import until_waiting

pytestmark = pytest.mark.anyio

cuts = pytest.mark.parametrize("cut", [cut_when_waiting, cut_from_beside])
kinds = pytest.mark.parametrize("kind", ["async", "thread"])


@pytest.fixture(autouse=True)
def threads_take_turns():
    """Or the counting in ``cut_from_beside`` keeps a thread from the interpreter for 5 ms, hundreds of points."""
    with switching_every(1e-4):
        yield


@cuts
@kinds
@pytest.mark.parametrize("life", WHOLE_LIVES, ids=lambda life: life.__name__)
async def test_a_whole_life_cut_at_every_point(cut: Cut, kind: str, life: Whole) -> None:
    assert await cut_everywhere(cut, kind, life) > 3


@cuts
async def test_timed_items_cut_at_every_point(cut: Cut) -> None:
    assert await cut_everywhere(cut, "mixed", scope, timing=True) > 3


async def test_a_start_in_a_cancelled_scope_leaves_a_pipeline_that_stops() -> None:
    ledger = Ledger()
    pipeline = build("thread", ledger)
    before = tasks()
    with CancelScope() as scope:
        scope.cancel()
        await pipeline.start()
    assert scope.cancelled_caught
    await pipeline.stop()
    await assert_over(pipeline, ledger, before)


@cuts
@pytest.mark.parametrize("side", INPUTS, ids=lambda side: side.__name__)
async def test_an_input_cut_at_every_point_loses_nothing_it_accepted(cut: Cut, side: Whole) -> None:
    await cut_input_everywhere(cut, "mixed", side)


@cuts
@kinds
async def test_an_output_cut_at_every_point_loses_nothing(cut: Cut, kind: str) -> None:
    await cut_output_everywhere(cut, kind)


@kinds
async def test_a_blocked_put_and_a_blocked_read_are_cancelled_where_they_wait(kind: str) -> None:
    ledger = Ledger()
    pipeline = build(kind, ledger)
    before = tasks()
    async with pipeline:
        reached = await cut_when_waiting(lambda: read(pipeline, ledger), 1)
        assert reached
        assert ledger.got == []

        async with create_task_group() as tg:
            tg.start_soon(put_all, pipeline, ledger)
            await until_waiting(pipeline)
            tg.cancel_scope.cancel()
        fed = list(ledger.fed)
        pipeline.close_input()
        await read(pipeline, ledger)
        assert ledger.got == expected(fed)
    await assert_over(pipeline, ledger, before)
