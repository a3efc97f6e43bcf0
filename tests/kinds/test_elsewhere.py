"""Calls in a worker elsewhere, without a pipeline and without a loop.

The rule: one process serves all tests that end none, so each of them also shows that the one
before has left it as it was.
"""

from __future__ import annotations

import time
import types
from functools import partial

import pytest

from async_task_pipeline._exceptions import RemoteCallError, StageProtocolError
from async_task_pipeline._workers._elsewhere import WorkerGoneError
from async_task_pipeline._workers._process import WorkerProcess
from async_task_pipeline._workers._wire import packed_exception, unpacked_exception
from tests.kinds import elsewhere, functions, mistakes, odd
from tests.kinds.functions import MineError
from tests.support.waiting import PATIENCE

start = partial(WorkerProcess, credit=3)


@pytest.fixture(scope="module")
def worker():
    """One that does what it is told."""
    shared = start(elsewhere.do)
    shared.wait_ready()
    yield shared
    assert shared.is_alive()
    assert shared.leave()
    assert not shared.is_alive()


def gone_to(gate, label):
    assert gate.wait_for(lambda: str(label) in gate.arrivals), gate.arrivals


# -- what a call comes to ---------------------------------------------------------------------


def test_an_exception_is_the_functions_own_with_its_notes_and_where_it_was_raised(worker):
    with pytest.raises(MineError) as caught:
        worker.call((elsewhere.noted,))
    assert caught.value.data == "noted"
    first, where = caught.value.__notes__
    assert first == "a note"
    assert where.startswith("in the worker it was raised so:\nTraceback")
    assert "in noted" in where


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ((functions.unsendable, "raises one way"), "OneWayError: this and that ("),
        ((functions.unsendable, "raises a lock"), "MineError: <unlocked _thread.lock object"),
        ((odd.bring, "raises"), "ExitingError: which cannot be shown ("),
    ],
)
def test_of_an_exception_that_cannot_be_brought_back_the_first_line_says_what_it_was(worker, call, told):
    with pytest.raises(RemoteCallError) as caught:
        worker.call(call)
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)
    assert "in the worker it was raised so:" in caught.value.__notes__[-1]


@pytest.mark.parametrize("way", ["there", "back"])
def test_its_first_line_says_what_failed_however_long_and_odd_the_data_is(worker, way):
    call = (elsewhere.returned, odd.Long()) if way == "there" else (odd.Long,)
    with pytest.raises(RemoteCallError) as caught:
        worker.call(call)
    (line,) = str(caught.value).splitlines()
    assert "(LongOneWayError: this thatthis" in line
    assert len(line) < 3000


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ((functions.outcome_on_loop, "data"), "a coroutine; declare it 'async def' so that it runs on the event loop"),
        ((functions.each_in_on_loop, "data"), "an async_generator; declare it 'async def' and yield in it"),
        ((elsewhere.future,), "a Future; declare it"),
    ],
)
def test_what_has_to_be_awaited_is_a_mistake(worker, call, kind):
    with pytest.raises(StageProtocolError, match=kind):
        worker.call(call)


class TracelessError(Exception):
    """Cannot be formatted."""

    @property
    def __traceback__(self):
        raise ValueError("none")


def test_an_exception_crosses_though_its_traceback_cannot_be_formatted():
    assert repr(unpacked_exception(packed_exception(TracelessError("text")))) == "TracelessError('text')"


# -- generators -------------------------------------------------------------------------------


def test_a_generator_is_a_generator_here(worker):
    values = worker.call((functions.each_in, [1, None, 2, *range(20)]))
    assert type(values) is types.GeneratorType
    assert list(values) == [(1, 1), None, (2, 2), 0, *((n, n) for n in range(1, 20))]
    assert list(worker.call((functions.each_in, []))) == []


def test_what_a_generator_raises_comes_after_what_it_yielded(worker):
    values = worker.call((elsewhere.fails_after, 1, *range(10)))
    assert [next(values) for _ in range(11)] == [1, *range(10)]
    with pytest.raises(MineError, match="after them"):
        next(values)
    assert list(values) == []


def test_a_generator_is_so_many_values_ahead_and_no_more(worker, gate):
    credit = worker._credit
    values = worker.call((functions.fan, gate.address, 20))
    gone_to(gate, credit - 1)
    assert [next(values) for _ in range(credit)] == [*range(credit)]
    values.close()
    assert gate.arrivals == [*map(str, range(credit)), "closed"]


def test_a_generator_goes_on_when_it_is_asked(worker, gate):
    credit = worker._credit
    values = worker.call((functions.fan, gate.address, 20))
    assert [next(values) for _ in range(credit + 1)] == [*range(credit + 1)]
    gone_to(gate, 2 * credit - 1)
    values.close()
    assert gate.arrivals == [*map(str, range(2 * credit)), "closed"]


@pytest.mark.parametrize("read", [0, 1, 2])
def test_to_close_a_generator_waits_until_it_is_closed_over_there(worker, gate, read):
    values = worker.call((functions.fan, gate.address, 20))
    for _ in range(read):
        next(values)
    values.close()
    assert gate.arrivals[-1] == "closed"
    assert worker.call((elsewhere.returned, "next")) == "next"


def test_a_generator_that_is_dropped_is_closed(worker, gate):
    worker.call((functions.fan, gate.address, 20))
    assert gate.arrivals[-1] == "closed"


def test_to_close_a_generator_that_has_ended_by_itself_is_nothing(worker):
    for call in [(functions.each_in, []), (functions.each_in, [1]), (elsewhere.fails_after, 1)]:
        worker.call(call).close()
    assert worker.call((elsewhere.returned, "next")) == "next"


def test_to_close_a_generator_raises_what_its_clean_up_raises(worker):
    values = worker.call((elsewhere.ends_badly, *range(10)))
    next(values)
    with pytest.raises(MineError, match="the clean-up"):
        values.close()
    assert worker.call((elsewhere.returned, "next")) == "next"


def test_a_value_that_cannot_be_made_here_ends_its_generator(worker):
    values = worker.call((elsewhere.one_way_first,))
    with pytest.raises(RemoteCallError, match="a result cannot be unpickled here") as caught:
        next(values)
    assert not hasattr(caught.value, "__notes__")
    assert worker.call((elsewhere.returned, "next")) == "next"


@pytest.mark.parametrize("value", ["no pickle", "no way back"])
def test_and_the_failure_of_its_clean_up_is_in_a_note(worker, value):
    values = worker.call((elsewhere.odd_and_ends_badly, value))
    with pytest.raises(RemoteCallError, match="a result cannot be") as caught:
        next(values)
    assert caught.value.__notes__[0] == "and the generator failed when it was closed: MineError('the clean-up')"
    assert worker.call((elsewhere.returned, "next")) == "next"


def test_nothing_is_called_while_a_generator_is_open(worker):
    values = worker.call((elsewhere.endless,))
    with pytest.raises(RuntimeError, match="has to be closed first"):
        worker.call((elsewhere.returned, 1))
    assert next(values) == 0
    values.close()


# -- time -------------------------------------------------------------------------------------


def test_computation_is_what_the_function_took(worker):
    began = time.perf_counter()
    worker.call((time.sleep, 0.02))
    assert 0.02 <= worker.last_computation <= time.perf_counter() - began


def test_computation_of_a_generator_is_that_of_its_last_step(worker):
    began = time.perf_counter()
    values = worker.call((elsewhere.sleeps, 0.02))
    assert next(values) == 1
    first = worker.last_computation
    assert list(values) == []
    assert first >= 0.02
    assert worker.last_computation >= 0.02
    assert first + worker.last_computation <= time.perf_counter() - began


# -- states -----------------------------------------------------------------------------------


def test_the_state_is_made_before_the_first_call_and_left_after_the_last(gate):
    worker = start(functions.count, partial(functions.Resource, gate.address))
    worker.wait_ready()
    worker.wait_ready()  # there is nothing more to be heard of it
    assert gate.arrivals == ["made"]
    assert [worker.call("a"), worker.call("b")] == [(1, "a"), (2, "b")]
    assert worker.leave()
    assert gate.arrivals == ["made", "closed"]
    assert not worker.leave()  # it has left
    with pytest.raises(WorkerGoneError):
        worker.call("c")


def test_what_a_set_up_raises_is_raised_here():
    worker = start(functions.second, functions.missing_model)
    with pytest.raises(FileNotFoundError, match=r"model\.bin"):
        worker.wait_ready()
    with pytest.raises(WorkerGoneError):
        worker.wait_ready()
    assert "ended" in worker.ended()
    worker = start(functions.second, functions.missing_model)
    worker.greet()
    while not worker._watch(PATIENCE):
        pass
    assert not worker.leave()  # whoever waits for it has been told, or nobody wants to know


def test_what_a_clean_up_raises_is_raised_here(gate):
    worker = start(functions.second, partial(mistakes.Unclean, gate.address))
    worker.wait_ready()
    with pytest.raises(MineError, match="the clean-up"):
        worker.leave()
    assert not worker.is_alive()


@pytest.mark.parametrize("clean", [True, False])
def test_a_generator_that_is_open_is_closed_before_the_state_is_left(gate, clean):
    worker = start(elsewhere.do)
    worker.wait_ready()
    call = (functions.fan, gate.address, 20) if clean else (elsewhere.ends_badly, *range(20))
    values = worker.call(call)
    assert next(values) == 0
    if clean:
        assert worker.leave()
        assert gate.arrivals[-1] == "closed"
    else:
        with pytest.raises(MineError, match="the clean-up"):
            worker.leave()
    values.close()  # it is


def test_what_cannot_be_made_again_is_told_in_one_short_line(worker):
    with pytest.raises(RemoteCallError, match=r"^LongOneWayError: this thatthis") as caught:
        worker.call((odd.raise_long,))
    text = str(caught.value)
    assert len(text) < 2000
    assert len(text.splitlines()) == 1
    note, how = caught.value.__notes__
    assert note == "a note"
    assert "in raise_long" in how
    assert len(how) < 30_000
