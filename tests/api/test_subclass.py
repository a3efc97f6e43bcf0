"""A class of the user's own that inherits from the pipeline.

The rule: the pipeline is one class, and what it keeps for itself has names that no
subclass takes by accident.
"""

from __future__ import annotations

from typing import Any, Generic

import pytest

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


class Own(AsyncTaskPipeline[Any, Any]):
    """Takes every name that comes to mind, with one underscore and with two."""

    def __init__(self) -> None:
        super().__init__()
        self._run = self._supervisor = self._records = self._clock = self._begin = self._current = "mine"
        self.__run = self.__supervisor = self.__records = self.__clock = self.__begin = "mine too"

    def _append(self) -> str:
        return self._run + self.__run

    def _open(self) -> str:
        return self._current


@pytest.mark.anyio
async def test_a_subclass_may_have_any_private_name() -> None:
    pipeline = Own()
    async with pipeline.add_stage("add", lambda value: value + 1).process([1, 2]) as results:
        assert [each async for each in results] == [2, 3]
    await pipeline.start()
    await pipeline.process_input_data(1)
    await pipeline.interrupt()
    await pipeline.stop()
    assert (pipeline._append(), pipeline._open()) == ("minemine too", "mine")
