"""The kinds of stage, and what is shared between their tests.

The rule: a test that says ``kind`` runs for each of them, and states no more of a kind
than the contract does; what one kind alone can do has tests of its own.
"""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import attrs
import pytest

from async_task_pipeline import AsyncTaskPipeline
from tests.kinds import functions
from tests.kinds.gates import Gate


@attrs.frozen
class Kind:
    """One way to run a stage.

    Attributes:
        name: What the kind is called.
        options: What ``add_stage`` is told.
    """

    name: str
    options: dict

    def function(self, name: str):
        """The function of this name, or that of its like for the loop."""
        return getattr(functions, f"{name}_on_loop" if self.name == "loop" else name)

    def pipeline(self, process_fn, *, size: int = 100, timing: bool = False, **options) -> AsyncTaskPipeline:
        """A pipeline of one stage of this kind, ``"stage"``."""
        pipeline = AsyncTaskPipeline(size, timing)
        add = pipeline.add_batch_stage if "max_size" in options else pipeline.add_stage
        add("stage", process_fn, **self.options, **options)
        return pipeline

    @property
    def remote(self) -> bool:
        """Whether what goes in and out is pickled by the library."""
        return self.name in ("process", "interpreter")

    @property
    def streams(self) -> bool:
        """Whether what a generator yields goes on before it has ended."""
        return "pool" not in self.name

    @property
    def ends_calls(self) -> bool:
        """Whether an interrupt ends a running call."""
        return self.name in ("loop", "process")


@pytest.fixture(scope="session")
def pools():
    """Real executors, for all tests: to start processes is what costs."""
    with (
        ThreadPoolExecutor(3) as threads,
        ProcessPoolExecutor(3, mp_context=get_context("spawn")) as processes,
    ):
        yield {"pool of threads": threads, "pool of processes": processes}


NEW = pytest.mark.skipif(sys.version_info < (3, 13), reason="interpreters need Python 3.13")
KINDS = [
    "thread",
    "loop",
    "process",
    pytest.param("interpreter", marks=NEW),
    "pool of threads",
    "pool of processes",
]
_NAMED = {"process": {"executor": "process"}, "interpreter": {"executor": "interpreter"}}


@pytest.fixture(params=KINDS)
def kind(request) -> Kind:
    """Each kind of stage."""
    name = request.param
    if "pool" in name:
        return Kind(name, {"executor": request.getfixturevalue("pools")[name]})
    return Kind(name, _NAMED.get(name, {}))


@pytest.fixture
def gate():
    """A gate that holds nobody yet."""
    with tempfile.TemporaryDirectory() as folder, Gate(Path(folder) / "gate") as open_gate:
        yield open_gate
        open_gate.open()
