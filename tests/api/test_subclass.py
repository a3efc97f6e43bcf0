"""A class of the user's own that inherits from the pipeline.

The rule: the pipeline is one class, and what it keeps for itself has names that no
subclass takes by accident. One that takes such names runs in ``test_g15_subclasses.py``.
"""

from __future__ import annotations

from typing import Generic

from async_task_pipeline import AsyncTaskPipeline

PUBLIC = {"max_queue_size", "enable_timing", "on_error", "overflow", "show_items", "stages", "warn_after"}


PRIVATE = ("instead_of_clear", "run", "supervisor", "records")


def test_it_inherits_nothing() -> None:
    assert AsyncTaskPipeline.__mro__ == (AsyncTaskPipeline, Generic, object)


def test_it_keeps_four_things_for_itself() -> None:
    private = set(vars(AsyncTaskPipeline())) - PUBLIC
    assert private == {f"_AsyncTaskPipeline__{part}" for part in PRIVATE}


def test_each_method_of_its_own_is_public_or_has_such_a_name() -> None:
    methods = [name for name in vars(AsyncTaskPipeline) if name.startswith("_") and not name.endswith("__")]
    notebooks = "_repr_svg_"  # the name is theirs
    assert [name for name in methods if not name.startswith("_AsyncTaskPipeline__")] == [notebooks]
