"""Which workers a stage gets.

The rule: what the user wants a stage to be decides here, once, and nothing behind this asks again. To
add a kind of worker is to write its class in a file of its own and name it in ``KINDS``: a name that
``add_stage`` then takes as ``executor=``.
"""

from __future__ import annotations

from typing import Any

from .._engine._shift import Worker
from .._engine._stage_runner import StageRunner
from .._exceptions import shown
from .._stage import PipelineStage
from ._executor import ExecutorWorker
from ._process_worker import InterpreterWorker, ProcessWorker
from ._task import TaskWorker
from ._thread import ThreadWorker
from ._worker import StageWorker

KINDS: dict[str, type[StageWorker[Any]]] = {
    "thread": ThreadWorker,
    "loop": TaskWorker,
    "process": ProcessWorker,
    "interpreter": InterpreterWorker,
    "executor": ExecutorWorker,
}


def check_kind(stage: PipelineStage) -> None:
    """Raise if there is no such kind of worker, or it cannot do what the stage asks for."""
    if stage.kind not in KINDS:
        names = tuple(name for name in KINDS if name not in ("loop", "executor"))
        raise ValueError(f"executor of stage {stage.name!r} must be one of {names}, not {shown(stage.executor)}")
    KINDS[stage.kind].check(stage)


def workers_of(runner: StageRunner) -> list[Worker]:
    """The workers of a stage."""
    return [*KINDS[runner.stage.kind].all_of(runner)]
