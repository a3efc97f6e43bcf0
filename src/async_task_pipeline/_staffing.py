"""Which workers a stage gets.

The rule: what the user said a stage is decides here, once, which kind of worker makes
its calls and who deals them out; nothing downstream asks again. To add a kind is to
write its worker and name it here.
"""

from __future__ import annotations

from ._crew import Crew
from ._links import Link
from ._sessions import Tools, Worker
from ._solo import Solo
from ._staff import NewSeat, Staff
from ._stages import PipelineStage
from ._task_worker import TaskWorker
from ._thread_worker import ThreadWorker


def staffed(stage: PipelineStage, link: Link, tools: Tools, new_seat: NewSeat) -> Staff:
    """The workers of a stage."""
    workers = [_worker(stage, link, tools) for _ in range(stage.workers)]
    if stage.workers == 1:
        return Solo(stage, link, workers[0], new_seat)
    return Crew(stage, link, workers, new_seat, limit=tools.limit, wake=tools.waker.wake)


def _worker(stage: PipelineStage, link: Link, tools: Tools) -> Worker:
    if stage.kind == "loop":
        return TaskWorker(stage, link, tools)
    return ThreadWorker(stage, link, tools)
