"""A worker alone: what only a crew can do is nothing here, and says so.

The rule: a stage of which more is asked, such as a timeout, gets a crew; so nobody relies on
these answers, but all the same they must not take anything away.
"""

from __future__ import annotations

from types import SimpleNamespace

from async_task_pipeline._links import Link
from async_task_pipeline._stage import PipelineStage
from async_task_pipeline._workers._sessions import Tools
from async_task_pipeline._workers._solo import Solo
from async_task_pipeline._workers._staff import NOTHING
from async_task_pipeline._workers._thread_worker import ThreadWorker


def test_nothing_is_taken_out_of_turn_and_no_call_is_written_off() -> None:
    stage, link = PipelineStage("stage", lambda value: value), Link(10)
    tools = Tools(limit=10, clock=None, waker=SimpleNamespace(), notify=lambda: None)

    def new_seat(worker, seated):
        return SimpleNamespace(session=seated(worker.session()))

    solo = Solo(stage, link, ThreadWorker(stage, link, tools), new_seat)
    link.buffer.append("item")
    assert solo.drop_oldest() is NOTHING
    (seat,) = solo.seats
    assert not solo.write_off(seat.session, TimeoutError())
    assert not seat.session.stale
    assert list(link.buffer) == ["item"]
    assert list(solo.outbox) == []
