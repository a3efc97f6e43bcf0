"""Which workers a stage gets.

The rule: what the user wants a stage to be decides here, once, and nothing behind this asks again. To
add a kind of worker is to write its class in a file of its own and name in ``KINDS`` what returns it: a name
that ``add_stage`` then takes as ``executor=``. What only some programs use is imported for the first stage
that asks for it, since it would be two thirds of what importing the package takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._engine._shift import Worker
from .._engine._stage_runner import StageRunner
from .._exceptions import shown
from .._stage import PipelineStage
from ._task import TaskWorker
from ._thread import ThreadWorker
from ._worker import StageWorker


def _process() -> type[StageWorker[Any]]:
    from ._process_worker import ProcessWorker  # noqa: PLC0415  with all of multiprocessing

    return ProcessWorker


def _interpreter() -> type[StageWorker[Any]]:
    from ._process_worker import InterpreterWorker  # noqa: PLC0415  the same

    return InterpreterWorker


def _executor() -> type[StageWorker[Any]]:
    from ._executor import ExecutorWorker  # noqa: PLC0415

    return ExecutorWorker


KINDS: dict[str, Callable[[], type[StageWorker[Any]]]] = {
    "thread": lambda: ThreadWorker,
    "loop": lambda: TaskWorker,
    "process": _process,
    "interpreter": _interpreter,
    "executor": _executor,
}


def check_kind(stage: PipelineStage) -> None:
    """Raise if there is no such kind of worker, or it cannot do what the stage asks for."""
    if stage.kind not in KINDS:
        names = tuple(name for name in KINDS if name not in ("loop", "executor"))
        raise ValueError(f"executor of stage {stage.name!r} must be one of {names}, not {shown(stage.executor)}")
    KINDS[stage.kind]().check(stage)


def workers_of(runner: StageRunner) -> list[Worker]:
    """The workers of a stage."""
    return [*KINDS[runner.stage.kind]().all_of(runner)]
