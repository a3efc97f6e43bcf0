"""G3, a full input that loses items.

The rule: with ``overflow`` no put of an item waits; what is lost is the oldest that waits or the
newest, as was asked for; each loss is counted, and no sentinel is ever lost or overtaken.
"""

from __future__ import annotations

from functools import partial

import pytest
from anyio import WouldBlock, create_task_group, to_thread
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline
from tests.support.gates import Gate
from tests.support.law import assert_law
from tests.support.waiting import read, rest_of, until, until_waiting

pytestmark = pytest.mark.anyio

POLICIES = ("drop_oldest", "drop_newest")
KEPT = {"drop_oldest": [0, 4, 5, 6, 7, 8], "drop_newest": [0, 1, 2, 3, 4, 5]}
"""Of 9 items: three are in the window, of them one in a call, and three in the link."""


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.open()


def gated(overflow, gate, **options):
    return AsyncTaskPipeline(3, overflow=overflow, **options).add_stage("gate", gate)


async def full(pipeline, gate):
    """One item in a call, and five that wait: there is no room."""
    await pipeline.process_input_data(0)
    await gate.entered()
    for number in range(1, 6):
        await pipeline.process_input_data(number)


@pytest.mark.parametrize("timing", [False, True])
@pytest.mark.parametrize("overflow", POLICIES)
async def test_a_put_never_waits_and_the_loss_is_counted(overflow, timing, gate):
    async with gated(overflow, gate, enable_timing=timing) as pipeline:
        await pipeline.process_input_data(0)
        await gate.entered()
        for number in range(1, 9):
            await pipeline.process_input_data(number)
            assert_law(pipeline)
        now = pipeline.statistics()
        assert (now.accepted, now.dropped, now.overflowed, now.inside) == (9, 3, 3, 6)
        gate.open()
        assert await rest_of(pipeline) == KEPT[overflow]
    assert_law(pipeline)
    if timing:
        (turn,) = pipeline.get_report().turns
        assert (turn.delivered, turn.dropped, turn.interrupted) == (6, 3, False)
        assert pipeline.get_report().summary.stage_statistics["gate"].dropped_count == 3


@pytest.mark.parametrize("overflow", POLICIES)
async def test_code_that_is_not_async_never_waits_either(overflow, gate):
    async with gated(overflow, gate) as pipeline:
        await full(pipeline, gate)
        pipeline.put_input_data(6)
        for number in (7, 8):
            await to_thread.run_sync(pipeline.put_input_data, number)
        gate.open()
        assert await rest_of(pipeline) == KEPT[overflow]


@pytest.mark.parametrize("kind", ["async", "container", "thread"])
@pytest.mark.parametrize("overflow", POLICIES)
async def test_a_live_source_is_read_to_its_end(overflow, kind, gate):
    async def live():
        for number in range(6, 9):
            yield number

    sources = {"async": live(), "container": [6, 7, 8], "thread": iter(range(6, 9))}
    async with gated(overflow, gate) as pipeline:
        await full(pipeline, gate)
        await pipeline.process_input_stream(sources[kind])
        gate.open()
        assert await rest_of(pipeline) == KEPT[overflow]


async def test_a_sentinel_takes_the_place_of_the_oldest_item(gate):
    async with gated("drop_oldest", gate) as pipeline:
        await full(pipeline, gate)
        await pipeline.process_input_sentinel("first")
        await pipeline.process_input_data(6)
        for sentinel in ("second", "third", "fourth", "fifth"):
            pipeline.put_input_sentinel(sentinel)
        assert pipeline.statistics().overflowed == 6
        with pytest.raises(WouldBlock):  # nothing but sentinels waits: they are not lost
            pipeline.put_input_sentinel("sixth")
        await pipeline.process_input_data(7)
        assert pipeline.statistics().overflowed == 7
        gate.open()
        assert await rest_of(pipeline) == [0, "first", "second", "third", "fourth", "fifth"]
    assert_law(pipeline)


async def test_nothing_overtakes_a_sentinel_that_waits(gate):
    async with gated("drop_newest", gate) as pipeline, create_task_group() as tg:
        await full(pipeline, gate)
        tg.start_soon(pipeline.process_input_sentinel, "turn")
        await until_waiting(pipeline)
        await pipeline.process_input_data(6)
        assert pipeline.statistics().overflowed == 1
        gate.open()
        assert await read(pipeline, 7) == [0, 1, 2, 3, 4, 5, "turn"]
        await pipeline.process_input_data(7)
        assert await read(pipeline, 1) == [7]


@pytest.mark.parametrize("timing", [False, True])
@pytest.mark.parametrize("overflow", POLICIES)
async def test_what_ends_after_a_loss_is_heard_of_without_another_put(overflow, timing, gate):
    """What made room is looked at in a step of its own, for which the loop has to be asked."""
    async with gated(overflow, gate, enable_timing=timing) as pipeline:
        for number in range(9):
            await pipeline.process_input_data(number)
            for _ in range(5):  # all that the loop was asked for is done
                await checkpoint()
            await gate.entered()
        gate.open()
        assert await read(pipeline, 6) == KEPT[overflow]
    assert_law(pipeline)


async def test_a_batch_stage_knows_which_item_is_gone(gate):
    pipeline = AsyncTaskPipeline(2, overflow="drop_oldest")
    pipeline.add_batch_stage("gate", gate, max_size=2, max_wait=0)
    async with pipeline:
        await pipeline.process_input_data(0)
        await gate.entered()
        for number in range(1, 7):
            await pipeline.process_input_data(number)
        gate.open()
        assert await rest_of(pipeline) == [0, 3, 4, 5, 6]
    assert_law(pipeline)
    assert pipeline.statistics().overflowed == 2


async def test_an_interrupt_does_not_count_as_overflow(gate):
    async with gated("drop_oldest", gate) as pipeline:
        for number in range(3):
            await pipeline.process_input_data(number)
        await pipeline.interrupt()
        gate.open()
        assert (pipeline.statistics().dropped, pipeline.statistics().overflowed) == (3, 0)
        await pipeline.process_input_data("new")
        assert await rest_of(pipeline) == ["new"]


@pytest.mark.parametrize("value", ["drop", "", None, True])
def test_a_policy_that_does_not_exist_is_named(value):
    with pytest.raises(ValueError, match=f"overflow must be one of .*, not {value!r}"):
        partial(AsyncTaskPipeline, overflow=value)()


@pytest.mark.parametrize("by_turn", [False, True])
async def test_a_sentinel_of_a_thread_takes_the_place_of_the_oldest_item(by_turn, gate):
    pipeline = AsyncTaskPipeline(2, overflow="drop_oldest").add_stage("gate", gate)

    def dropped() -> int:
        return pipeline.statistics().overflowed

    async def put(sentinel):
        await to_thread.run_sync(turn.put_sentinel_from_thread if by_turn else pipeline.put_input_sentinel, sentinel)

    async with create_task_group() as tg, pipeline, pipeline.turn() as turn:
        await pipeline.process_input_data(0)
        await gate.entered()
        for number in (1, 2, 3):
            await pipeline.process_input_data(number)
        for count, sentinel in enumerate(["first", "second", "third"], 1):
            tg.start_soon(put, sentinel)
            await until(lambda count=count: dropped() == count)
        tg.start_soon(put, "fourth")  # nothing but sentinels waits: they are not lost
        await until_waiting(pipeline, 1)
        assert dropped() == 3
        gate.open()
        assert await read(pipeline, 5) == [0, "first", "second", "third", "fourth"]
