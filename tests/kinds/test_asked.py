"""G9: An ``on_error`` function is asked about a failure wherever the call was made.

The rule: it is called in this process, in a thread or on the loop as it is itself, and not where the call was.
"""

from __future__ import annotations

import os
from functools import partial

import pytest

from async_task_pipeline import WorkerDiedError
from tests.kinds import functions
from tests.kinds.functions import MineError
from tests.kinds.kinds import some
from tests.support.waiting import drain

pytestmark = pytest.mark.anyio


class Desk:
    """Keeps the records, and where it was called."""

    def __init__(self):
        self.records, self.processes = [], []

    def __call__(self, failure):
        self.records.append(failure)
        self.processes.append(os.getpid())
        return "return" if failure.item == "fails" else "drop"


async def test_it_is_asked(kind):
    desk = Desk()
    pipeline = kind.pipeline(kind.function("outcome"), workers=3, on_error=desk)
    failure, *results = await drain(pipeline, ["fails", 1, "no file", 2])
    assert (type(failure), results) == (MineError, [(1, 1), (2, 2)])
    assert [type(record.exception) for record in sorted(desk.records, key=lambda record: record.item)] == [
        MineError,
        FileNotFoundError,
    ]
    assert all(record.started_at <= record.failed_at for record in desk.records)
    assert set(desk.processes) == {os.getpid()}
    assert pipeline.statistics().failed == 2


@some(["process"])
async def test_about_the_item_whose_process_has_died(kind, gate):
    desk = Desk()
    pipeline = kind.pipeline(partial(functions.mortal, gate.address), on_error=desk)
    assert await drain(pipeline, [1, "dies", 2]) == [1, 2]
    (record,) = desk.records
    assert (record.item, type(record.exception)) == ("dies", WorkerDiedError)
