"""What crosses to another process or interpreter and back, and what cannot.

The rule: whatever cannot be sent, brought back or made again is the failure of one
call, with the text of the original; the calls before and after it know nothing of it.
"""

from __future__ import annotations

import threading
from functools import partial

import pytest

from async_task_pipeline import RemoteCallError
from tests.kinds.functions import MineError, OneWay
from tests.kinds.kinds import REMOTE, some
from tests.support.waiting import drain

pytestmark = [pytest.mark.anyio, some(REMOTE)]


async def test_what_cannot_cross_is_the_failure_of_its_call(kind):
    pipeline = kind.pipeline(kind.function("unsendable"), on_error="return")
    source = [
        *("a", threading.Lock(), "b", OneWay(), "returns a lock", "c"),
        *("returns one way", "raises one way", "raises a lock", "d"),
    ]
    got = await drain(pipeline, source)
    assert [each for each in got if isinstance(each, str)] == ["a", "b", "c", "d"]
    failures = [each for each in got if not isinstance(each, str)]
    assert [type(each) for each in failures] == [RemoteCallError] * 6
    texts = [
        "an item cannot be sent to the worker: <unlocked _thread.lock",
        "an item cannot be unpickled in the worker: MineError: unmade",
        "a result cannot be brought back: <unlocked _thread.lock",
        "a result cannot be unpickled here: MineError: unmade",
        "OneWayError: this and that (raised in the worker, and cannot be brought back itself)",
        "",
    ]
    for failure, text in zip(failures, texts, strict=True):
        assert str(failure).startswith(text)
        assert failure.__notes__[-1] == "raised in stage 'stage' of the pipeline"
    assert "this and that" in str(failures[4])


async def test_the_first_thing_that_cannot_cross_ends_the_pipeline(kind):
    pipeline = kind.pipeline(kind.function("unsendable"))
    with pytest.raises(RemoteCallError, match=r"an item cannot be sent .*lock") as caught:
        await drain(pipeline, [1, 2, threading.Lock(), 3])
    assert isinstance(caught.value.__cause__, TypeError)


async def test_a_generator_ends_with_a_value_that_cannot_come_back(kind, gate):
    pipeline = kind.pipeline(partial(kind.function("yields_a_lock"), gate.address), on_error="return", size=2)
    got = await drain(pipeline, [3, 500, 3])
    assert [each if isinstance(each, str) else type(each) for each in got] == ["before", RemoteCallError] * 3
    assert gate.arrivals == []  # it was closed there and then


async def test_an_exception_tells_where_it_was_raised(kind):
    (failure,) = await drain(kind.pipeline(kind.function("outcome"), on_error="return"), ["fails"])
    assert isinstance(failure, MineError)
    assert failure.data == "fails"
    there, here = failure.__notes__
    assert there.startswith("in the worker it was raised so:\nTraceback")
    assert "functions.py" in there
    assert here == "raised in stage 'stage' of the pipeline"


async def test_large_items_and_many_small_ones_come_through(kind):
    pipeline = kind.pipeline(kind.function("unsendable"), size=7)
    source = [*range(500), "x" * 3_000_000, *range(500)]
    assert await drain(pipeline, source) == source
