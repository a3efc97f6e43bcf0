"""The pipeline's type parameters exist at run time too.

The rule: what a type checker accepts in an annotation or as a parent works when it is
evaluated, on every Python, with the third parameter and without it.
"""

from __future__ import annotations

from typing import Any, get_args

import pytest

from async_task_pipeline import AsyncTaskPipeline, OutputStream


@pytest.mark.parametrize("arguments", [int, (int, None), (int, None, str)])
def test_a_pipeline_is_made_from_an_alias(arguments: Any) -> None:
    alias = AsyncTaskPipeline[arguments]
    assert type(alias(max_queue_size=3)) is AsyncTaskPipeline
    assert alias(max_queue_size=3).max_queue_size == 3


def test_the_arguments_can_be_read() -> None:
    assert get_args(AsyncTaskPipeline[int])[0] is int
    assert get_args(AsyncTaskPipeline[int, None])[:2] == (int, type(None))
    assert get_args(AsyncTaskPipeline[int, None, str]) == (int, type(None), str)
    assert get_args(OutputStream[int]) == (int,)


def test_a_class_may_inherit_from_either() -> None:
    class Two(AsyncTaskPipeline[int, None]):
        pass

    class Three(AsyncTaskPipeline[int, None, str]):
        pass

    for each in (Two(4), Three(4)):
        assert (each.max_queue_size, each.stages) == (4, [])
