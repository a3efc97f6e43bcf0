"""G15, records: what was a dictionary or a pydantic model in 0.1.10 can be read as one.

The rule: a record has attributes, answers as a mapping of them, and can be dumped; a docstring says what
0.1.10 did if that was something else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import attrs
import pytest

from async_task_pipeline import AsyncTaskPipeline, DetailedTiming, PipelineItem
from tests.support.waiting import drain

pytestmark = pytest.mark.anyio


async def reported():
    pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("double", lambda x: 2 * x).add_stage("text", str)
    assert await drain(pipeline, [1, 2]) == ["2", "4"]
    return pipeline


async def test_a_breakdown_answers_as_a_dictionary():
    """0.1.10: it was one."""
    (item, _) = (await reported()).completed_items
    breakdown = item.get_timing_breakdown()
    assert isinstance(breakdown, Mapping)
    assert list(breakdown) == [*breakdown.keys()] == ["double", "text", "totals"]
    assert breakdown["totals"]["total_latency"] == breakdown.totals.total_latency == item.get_total_latency()
    assert breakdown["double"]["computation_time"] == breakdown.stages["double"].computation_time
    assert "totals" in breakdown
    assert "text" in breakdown
    assert "other" not in breakdown
    assert len(breakdown) == 3
    stages = {name: detail["total_stage_time"] for name, detail in breakdown.items() if name != "totals"}
    assert stages == {name: detail.total_stage_time for name, detail in breakdown.stages.items()}
    assert breakdown.get("other") is None
    with pytest.raises(KeyError):
        breakdown["other"]


def test_a_stage_named_totals_is_in_stages_alone():
    """0.1.10: it vanished."""
    item = PipelineItem("x", start_timestamp=0.0)
    for name in ("totals", "stages"):
        item.record_detailed_timing(name, DetailedTiming(0.0, 1.0, 2.0, 3.0))
        item.record_completion_time(name, 3.0)
    breakdown = item.get_timing_breakdown()
    assert list(breakdown) == ["stages", "totals"]
    assert len(breakdown) == 2
    assert breakdown["totals"]["total_latency"] == 3.0
    assert breakdown.stages["totals"].total_stage_time == 3.0


async def test_each_record_of_a_report_answers_as_a_mapping_of_its_attributes():
    """0.1.10: attributes, and a model that can be dumped."""
    report = (await reported()).get_report()
    records = [report]
    for record in records:  # and what is found in it
        for name, value in record.items():
            if name != "totals" and name not in getattr(record, "stages", ()):
                assert value is getattr(record, name)
            inside = value if isinstance(value, list) else value.values() if type(value) is dict else [value]
            records += [each for each in inside if attrs.has(type(each))]
        assert len(record) == len([*record])
    assert len({type(record) for record in records}) == 12
    assert report["summary"]["stage_statistics"]["text"]["timing_breakdown"]["computation_ratio"] >= 0
    with pytest.raises(KeyError):
        report["model_dump"]


async def test_a_report_can_be_dumped():
    report = (await reported()).get_report()
    assert report.model_dump() == attrs.asdict(report)
    assert json.loads(report.model_dump_json()) == report.model_dump()
    assert json.loads(report.model_dump_json(indent=2)) == report.model_dump()
    assert "\n" in report.model_dump_json(indent=2)
    assert report.item_breakdowns[0].model_dump().keys() == {"totals", "stages"}
    visit = DetailedTiming(0.0, 1.0, 2.0, 3.0)
    assert visit.model_dump_json().startswith('{"queue_enter_time":0.0,"processing_start_time":1.0')
    assert visit["queue_exit_time"] == 3.0


async def test_the_summary_can_be_asked_for_alone():
    """0.1.10: only its README had it."""
    pipeline = await reported()
    assert pipeline.get_latency_summary() == pipeline.get_report().summary
    pipeline.clear()
    assert pipeline.get_latency_summary() is None


@pytest.mark.parametrize("off", ["from the first on", "later"])
def test_an_item_with_timing_switched_off_says_none(off):
    item = PipelineItem("x", enable_timing=off == "later", start_timestamp=0.0)
    item.record_entry_time("stage", 1.0)
    item.record_completion_time("stage", 3.0)
    item.record_detailed_timing("stage", DetailedTiming(1.0, 1.0, 2.0, 3.0))

    def answers():
        of_stage = [item.get_entry_time, item.get_completion_time, item.get_detailed_timing]
        whole = [item.get_total_latency, item.get_stage_latencies, item.get_timing_breakdown]
        return [*(get("stage") for get in of_stage), *(get() for get in whole)]

    assert (None in answers()) is (off != "later")
    item.enable_timing = False
    assert answers() == [None] * 6
