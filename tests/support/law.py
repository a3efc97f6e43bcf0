"""The law of conservation, read from the counters as a user can.

The rule: ``accepted + fanned out = delivered + filtered + failed + dropped + inside``, in each
stage and in all, at every quiet moment; and no counter is ever below zero.
"""

from __future__ import annotations

from typing import Any

import attrs

from async_task_pipeline import AsyncTaskPipeline


def assert_law(pipeline: AsyncTaskPipeline[Any, Any]) -> None:
    """Every item is accounted for, in each stage and in all."""
    now = pipeline.statistics()
    for flow in (now, *now.stages.values()):
        gone = flow.delivered + flow.filtered + flow.failed + flow.dropped
        assert flow.accepted + flow.fanned_out == gone + flow.inside, now
        assert min(attrs.astuple(flow, filter=lambda at, _: at.name != "stages")) >= 0, now
