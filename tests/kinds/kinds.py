"""The kinds of stage, and what may be asked of each.

The rule: a test that takes ``kind`` runs for all kinds that the library has, and states no more of one
than the contract does; a test about some of them says which: ``some(STREAMING)``.
"""

from __future__ import annotations

import sys

import attrs
import pytest

from async_task_pipeline import AsyncTaskPipeline
from async_task_pipeline._workers._kinds import KINDS
from async_task_pipeline._workers._thread import ThreadWorker
from tests.kinds import functions

NEW = pytest.mark.skipif(sys.version_info < (3, 13), reason="interpreters need Python 3.13")
INTERPRETER = pytest.param("interpreter", marks=NEW)
POOLS = ("pool of threads", "pool of processes")

REMOTE = ("process", INTERPRETER)
"""Where the library sends what goes in and comes out."""

STREAMING = ("thread", "loop", *REMOTE)
"""Where what a generator yields goes on before it has ended; also where setup is possible."""

KNOWN = (*STREAMING, *POOLS)
ALL = (*KNOWN, "toy")


class ToyWorker(ThreadWorker):
    """A kind that the library does not know: all it takes is this class and its name in the registry.

    Its code is a thread's, so it is tried only with what tells that it is used at all.
    """

    def measured(self, start: float, end: float) -> tuple[float, float]:
        """From when to when the function ran, as any kind may know better."""
        return start, end


KINDS["toy"] = lambda: ToyWorker


def some(kinds):
    """Have a test run for these kinds alone."""
    return pytest.mark.parametrize("kind", kinds, indirect=True)


async def put(pipeline, entries):
    """Put what is called a marker as a sentinel, and everything else as data."""
    for each in entries:
        if str(each).startswith("marker"):
            await pipeline.process_input_sentinel(each)
        else:
            await pipeline.process_input_data(each)


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
        """The function of this name, or its like for the loop, which is the same if it stands at no gate."""
        plain = getattr(functions, name)
        if self.name != "loop":
            return plain

        async def on_loop(*args):
            return plain(*args)

        return getattr(functions, f"{name}_on_loop", on_loop)

    def pipeline(
        self, process_fn, *, size: int = 100, timing: bool = False, show_items: bool = False, **options
    ) -> AsyncTaskPipeline:
        """A pipeline of one stage of this kind, ``"stage"``."""
        pipeline = AsyncTaskPipeline(size, timing, show_items=show_items)
        add = pipeline.add_batch_stage if "max_size" in options else pipeline.add_stage
        add("stage", process_fn, **self.options, **options)
        return pipeline

    @property
    def streams(self) -> bool:
        """Whether what a generator yields goes on before it has ended."""
        return self.name not in POOLS

    @property
    def ends_calls(self) -> bool:
        """Whether an interrupt ends a running call."""
        return self.name in ("loop", "process")
