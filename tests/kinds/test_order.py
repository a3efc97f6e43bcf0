"""G1 for several workers: the order of acceptance, or, on request, whoever is ready.

The rule: who is slow is said by a gate. Nothing passes a sentinel in either direction,
whatever the order between sentinels is.
"""

from __future__ import annotations

from functools import partial

import pytest
from anyio import create_task_group

from tests.kinds.kinds import STREAMING, put, some
from tests.support.law import assert_law
from tests.support.waiting import read

pytestmark = pytest.mark.anyio


async def test_items_leave_in_order_though_the_first_is_last_to_be_done(kind, gate):
    gate.hold("a", "e")
    pipeline = kind.pipeline(partial(kind.function("gated"), gate.address), workers=3, size=4)
    entries = ["a", "b", "marker 1", "c", "d", "e", "marker 2", "f"]
    async with pipeline, create_task_group() as tg:
        tg.start_soon(put, pipeline, entries)
        await gate.entered("a", "b", "c", "d", "e")  # the slow one does not idle the others
        await gate.left("b", "c", "d")
        assert pipeline.statistics().output_depth == 0
        gate.open("a")
        assert await read(pipeline, 5) == entries[:5]
        gate.open("e")
        assert await read(pipeline, 3) == entries[5:]
        assert_law(pipeline)
    assert gate.most <= 3


async def test_whoever_is_ready_goes_but_past_no_sentinel(kind, gate):
    gate.hold("a", "c", "d")
    pipeline = kind.pipeline(partial(kind.function("gated"), gate.address), workers=3, ordered=False, size=8)
    async with pipeline:
        output = pipeline.generate_output_stream()
        await put(pipeline, ["a", "b", "marker 1", "c", "d", "marker 2", "e"])
        assert await anext(output) == "b"  # past a
        # c and d are begun behind the sentinel, and d is done before a.
        await gate.entered("a", "c", "d")
        gate.open("d")
        await gate.left("d")
        assert pipeline.statistics().output_depth == 0
        gate.open("a")
        assert await read(pipeline, 3) == ["a", "marker 1", "d"]  # past c
        gate.open("c")
        assert await read(pipeline, 3) == ["c", "marker 2", "e"]
        assert_law(pipeline)


@pytest.mark.parametrize("ordered", [True, False])
async def test_many_items_through_narrow_links(kind, ordered):
    pipeline = kind.pipeline(kind.function("outcome"), workers=3, ordered=ordered, size=2, on_error="drop")
    pipeline.add_stage("after", lambda pair: pair[0])
    entries = [f"marker {n}" if n % 10 == 0 else "filtered" if n % 7 == 0 else n for n in range(1, 300)]
    got = []
    async with pipeline, create_task_group() as tg:

        async def feed():
            await put(pipeline, entries)
            pipeline.close_input()

        tg.start_soon(feed)
        async for each in pipeline.generate_output_stream():
            got.append(each)
            assert_law(pipeline)
    expected = [each for each in entries if each != "filtered"]
    assert sorted(got, key=expected.index) == expected
    if ordered:
        assert got == expected
    else:  # markers are where they were, and between two of them are the same items
        assert [segment(got, n) for n in range(30)] == [segment(expected, n) for n in range(30)]


def segment(entries, number):
    """What lies behind so many markers, sorted."""
    positions = [index for index, each in enumerate(entries) if str(each).startswith("marker")]
    bounds = [-1, *positions, len(entries)]
    return sorted(entries[bounds[number] + 1 : bounds[number + 1]])


@some(STREAMING)
@pytest.mark.parametrize("ordered", [True, False])
async def test_generators_side_by_side(kind, ordered):
    pipeline = kind.pipeline(kind.function("each_in"), workers=3, ordered=ordered, size=2)
    source = [[n * 10 + k for k in range(n % 5)] for n in range(1, 40)]
    async with pipeline.process(source) as results:
        got = [value async for value, _ in results]
    flat = [value for each in source for value in each]
    assert sorted(got) == flat
    for each in source:  # each generator's own order is kept in any case
        assert [value for value in got if value in each] == each
    if ordered:
        assert got == flat
    assert_law(pipeline)
