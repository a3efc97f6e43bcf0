"""Which workers a stage gets.

The rule: what the user said a stage is decides here, once, which kind of worker makes
its calls and who deals them out; nothing downstream asks again. To add a kind is to
write its worker and name it here.
"""

from __future__ import annotations

from concurrent.futures import Executor

from ._links import Link
from ._remote._staff import remote_workers
from ._stage import PipelineStage
from ._workers._batches import BatchCrew
from ._workers._crew import Crew
from ._workers._executor_worker import on_executor
from ._workers._sessions import Tools, Worker
from ._workers._solo import Solo
from ._workers._staff import NewSeat, Service, Staff
from ._workers._task_worker import TaskWorker
from ._workers._thread_worker import ThreadWorker


def staffed(stage: PipelineStage, link: Link, tools: Tools, new_seat: NewSeat, *, dealt: bool) -> Staff:
    """The workers of a stage; ``dealt`` if others than they take out what waits for them."""
    services: list[Service] = []
    workers: list[Worker]
    if stage.kind in ("process", "interpreter"):
        remote, service = remote_workers(stage, link, tools)
        workers = [*remote]
        services.append(service)
    else:
        workers = [_worker(stage, link, tools) for _ in range(stage.workers)]
    staff: Staff
    if stage.batch is not None:
        staff = BatchCrew(stage, link, workers, new_seat, size=stage.batch, limit=tools.limit, wake=tools.waker.wake)
    elif stage.workers == 1 and stage.timeout is None and not dealt:
        staff = Solo(stage, link, workers[0], new_seat)
    else:
        staff = Crew(stage, link, workers, new_seat, limit=tools.limit, wake=tools.waker.wake)
    staff.services += services
    return staff


def _worker(stage: PipelineStage, link: Link, tools: Tools) -> Worker:
    if stage.kind == "loop":
        return TaskWorker(stage, link, tools)
    if isinstance(stage.executor, Executor):
        return TaskWorker(stage, link, tools, on_executor(stage.executor, stage, tools.waker))
    return ThreadWorker(stage, link, tools)
