"""A pipeline as text and as a picture: what ``statistics`` says, whatever the stages are called."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from async_task_pipeline import AsyncTaskPipeline
from async_task_pipeline._layout import cells
from tests.support.gates import AsyncGate
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

Pipeline = AsyncTaskPipeline[Any, Any]


def texts(pipeline: Pipeline) -> list[str]:
    root = ET.fromstring(pipeline._repr_svg_())
    return [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}text")]


async def test_it_shows_who_waits_and_who_is_in_a_call() -> None:
    gate = AsyncGate()
    pipeline = Pipeline().add_stage("double", lambda x: 2 * x).add_stage("gate", gate, workers=2)
    async with pipeline:
        for number in range(5):
            await pipeline.process_input_data(number)
        # Not the depth alone: it is 3 as well when three have arrived and no call has begun.
        await until(lambda: gate.inside == 2 and pipeline.statistics().stages["gate"].queue_depth == 3)
        assert str(pipeline).splitlines() == [
            "pipeline, running: 5 accepted, 0 delivered, 5 inside",
            "stage      runs in  workers  waiting  in calls  passed on",
            "double      thread        1        0         0          5",
            "gate    event loop        2        3         2          0",
            "output                             0                    0",
        ]
        shown = texts(pipeline)
    assert shown == [
        *("0", "double", "thread x 1", "0 in calls"),
        *("3", "gate", "event loop x 2", "2 in calls"),
        "0",
        "5 accepted, 0 delivered, 5 inside",
    ]


@pytest.mark.parametrize(
    "name", ["</text><script>alert('&')</script>", "\u65e5" * 90, "\x1b[31m\n\x00", "x" * 200, "\ud800"]
)
def test_a_name_is_no_markup_and_breaks_no_line(name: str) -> None:
    pipeline = Pipeline().add_stage(name, print)
    shown = texts(pipeline)
    assert cells(shown[1]) <= 16
    assert shown[2:] == ["thread x 1", "0 in calls", "0", "0 accepted, 0 delivered, 0 inside"]
    assert len(str(pipeline).splitlines()) == 4
    assert max(map(cells, str(pipeline).splitlines())) <= 80
    pipeline._repr_svg_().encode()


def test_many_stages_go_on_below() -> None:
    pipeline = Pipeline()
    for index in range(9):
        pipeline.add_stage(f"stage {index}", print)
    root = ET.fromstring(pipeline._repr_svg_())
    boxes = [(int(each.get("x", "")), int(each.get("y", ""))) for each in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert len({y for _, y in boxes}) == 3
    assert len({*boxes}) == 9
    assert max(x for x, _ in boxes) + 132 < int(root.get("width", "")) < 800


def test_without_stages_there_is_little_to_see() -> None:
    assert str(Pipeline()) == "pipeline, not running: no stages"
    assert texts(Pipeline())[-1] == "0 accepted, 0 delivered, 0 inside"
