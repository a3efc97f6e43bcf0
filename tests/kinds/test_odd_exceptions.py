"""Exceptions that take no notes, that grow, or that Python reads as control flow; and what states raise.

The rule: what a function raises means the same whatever it is: it is returned, dropped or
raised, the object itself, noted where it takes notes. What set-up and clean-up raise is raised
by the scope, and a state that was closed is neither used again nor kept.
"""

from __future__ import annotations

import gc
import weakref
from contextlib import suppress
from dataclasses import FrozenInstanceError
from functools import partial

import anyio
import pytest
from anyio import get_cancelled_exc_class

from async_task_pipeline import RemoteCallError, StageProtocolError
from tests.kinds import functions, mistakes, odd
from tests.kinds.functions import MineError
from tests.kinds.kinds import INTERPRETER, REMOTE, STREAMING, some
from tests.support.law import assert_law
from tests.support.waiting import drain, read, rest_of, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def gate(gate):
    """A gate that opens, late, if all hangs."""
    with odd.at_once(gate.open):
        yield gate


# -- exceptions that take no notes --------------------------------------------------------------


def refusing(kind, gate, **options):
    """A pipeline whose calls may raise one, and the names of those."""
    names = [*odd.REFUSING]
    if kind.name == "pool of processes":  # a pool of Python's own sets attributes of what a call raises
        names = [name for name in names if not name.startswith("frozen")]
    return kind.pipeline(partial(odd.like(kind, "refuse"), gate.address), **options), names


def behind(error):
    """What was raised, if contextlib has set its traceback on the way, which a frozen one refuses."""
    if isinstance(error, FrozenInstanceError):
        while isinstance(error, (FrozenInstanceError, get_cancelled_exc_class())):
            error = error.__context__
    return error


def assert_themselves(kind, names, errors):
    """They are the exceptions that were raised, or their copies, or tell of them."""
    assert len(errors) == len(names)
    here = kind.name in ("thread", "loop", "pool of threads")
    if here:
        assert {id(error) for error in errors} == {id(error) for error in odd.RAISED[-len(errors) :]}
    for name, error in zip(names, errors, strict=True):
        expected = odd.REFUSING[name]()
        if name == "frozen" and not here:  # no copy can be made
            assert isinstance(error, RemoteCallError)
            assert "FrozenError" in str(error)
            continue
        assert type(error) is type(expected)
        assert error.args == expected.args
        assert vars(error) == vars(expected)


async def test_each_is_returned_as_any_other(kind, gate):
    pipeline, names = refusing(kind, gate, on_error="return", workers=2)
    async with pipeline.process([1, *names, 2]) as results:
        before, *errors, after = [each async for each in results]
    assert (before, after) == (1, 2)
    assert_themselves(kind, names, errors)
    assert_law(pipeline)
    assert pipeline.statistics().failed == len(names)


async def test_each_is_dropped_as_any_other(kind, gate, caplog):
    caplog.set_level("DEBUG", "async_task_pipeline")
    pipeline, names = refusing(kind, gate, on_error="drop")
    assert await drain(pipeline, [1, *names, 2]) == [1, 2]
    warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert len(warnings) == len(names)
    assert all(each.startswith("stage 'stage' dropped an item: ") for each in warnings)
    assert_themselves(kind, names, [each.exc_info[1] for each in caplog.records if each.exc_info])
    assert_law(pipeline)


@pytest.mark.parametrize("read_on", [False, True])
async def test_each_ends_the_pipeline_as_any_other(kind, gate, read_on):
    pipeline, names = refusing(kind, gate, workers=2)
    for number, name in enumerate(names, 1):
        with pytest.raises(Exception) as caught:
            async with pipeline:
                await pipeline.process_input_data(name)
                if read_on:
                    async for _ in pipeline.generate_output_stream():
                        pytest.fail("there was a result")
                await anyio.sleep_forever()
        assert_themselves(kind, [name], [behind(caught.value)])
        assert_law(pipeline)
        assert pipeline.statistics().failed == number


async def test_those_that_wait_for_their_turn_disturb_no_interrupt(kind, gate):
    gate.hold("held", "held too")
    pipeline, names = refusing(kind, gate, on_error="drop", workers=2)
    async with pipeline:
        await pipeline.process_input_data("held")
        await gate.entered("held")
        for data in (*names, "held too"):
            await pipeline.process_input_data(data)
        await gate.entered("held too")  # so the calls before have ended
        receipt = await pipeline.interrupt()
        assert receipt.total == 2
        assert pipeline.statistics().failed == len(names)
        gate.open()
        await pipeline.process_input_data("new")
        assert await read(pipeline, 1) == ["new"]
        assert await rest_of(pipeline) == []


@some(REMOTE)
async def test_one_object_raised_many_times_says_no_more_each_time(kind):
    pipeline = kind.pipeline(odd.raise_the_one, on_error="return")
    async with pipeline.process(range(8)) as results:
        errors = [each async for each in results]
    assert {type(each) for each in errors} == {MineError}
    assert len({tuple(each.__notes__) for each in errors}) == 1
    assert len(errors[-1].__notes__) == 2


# -- set-up and clean-up --------------------------------------------------------------------------


@some(["thread", "process", INTERPRETER])
async def test_a_set_up_that_stops_an_iteration_fails_the_start(kind):
    pipeline = kind.pipeline(functions.second, setup=odd.stops)
    with pytest.raises(StageProtocolError, match="StopIteration") as caught:
        async with pipeline:
            pytest.fail("it was entered")
    assert caught.value.__notes__[-1] == "raised in stage 'stage' of the pipeline"


@some(["loop"])
@pytest.mark.parametrize("begin", ["async with", "start"])
async def test_a_set_up_that_is_cancelled_by_nobody_fails_the_start(kind, begin, anyio_backend_name):
    if anyio_backend_name != "asyncio":
        pytest.skip("nobody can raise a cancellation of trio's")
    pipeline = kind.pipeline(kind.function("second"), setup=odd.cancels)
    with pytest.raises(StageProtocolError, match="CancelledError"):
        if begin == "start":
            await pipeline.start()
        else:
            async with pipeline:
                pytest.fail("it was entered")
    assert not pipeline.running


@some(STREAMING)
@pytest.mark.parametrize(
    ("end", "workers"), [("read to the end", 1), ("read to the end", 3), ("left", 1), ("stopped", 3)]
)
async def test_what_a_clean_up_raises_is_raised_by_the_scope(kind, gate, workers, end):
    pipeline = kind.pipeline(kind.function("count"), setup=partial(mistakes.Unclean, gate.address), workers=workers)
    heard = []
    try:
        async with pipeline:
            await pipeline.process_input_data(1)
            assert await read(pipeline, 1) == [(1, 1)]
            await until(lambda: not pipeline.statistics().stages["stage"].in_call)
            if end == "read to the end":
                assert await rest_of(pipeline) == []
            elif end == "stopped":
                await pipeline.stop()
    except* MineError as group:
        heard += group.exceptions
    # A process that seems to be in its call still is killed, clean-up and all.
    assert heard or (kind.name == "process" and end != "read to the end")
    assert {each.data for each in heard} <= {"the clean-up"}
    assert_law(pipeline)


# -- states ---------------------------------------------------------------------------------------


@some(["thread"])
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_state_that_was_left_is_not_used_again(kind, gate, workers):
    gate.hold("closed")
    pipeline = kind.pipeline(odd.write, setup=partial(odd.Ledger, gate.address), workers=workers)
    got = []
    # Whether a failure is one of the turn that an interrupt in the same moment ends is not said.
    with suppress(MineError):
        async with pipeline:
            await pipeline.process_input_data("fails")
            await until(lambda: gate.inside)
            await pipeline.interrupt()
            gate.open()
            for number in range(workers * 2):
                await pipeline.process_input_data(number)
                got += await read(pipeline, 1)
    assert got == [(number, True) for number in range(len(got))]


@some(["thread", "loop"])
async def test_a_state_lasts_no_longer_than_its_run(kind):
    class State:
        """Can be watched."""

    states = []

    def setup():
        state = State()
        states.append(weakref.ref(state))
        return state

    pipeline = kind.pipeline(kind.function("second"), setup=setup, workers=2)
    for _ in range(3):
        assert await drain(pipeline, range(3)) == [0, 1, 2]
    gc.collect()
    assert [state() for state in states] == [None] * 6
    assert pipeline.statistics().accepted == 9


@some(["thread", "loop"])
async def test_only_an_interrupt_calls_on_interrupt(kind, gate):
    calls = []
    gate.hold("held")
    function = partial(kind.function("gated"), gate.address)
    on_interrupt = partial(calls.append, "interrupted")
    pipeline = kind.pipeline(function, timeout=0.6, on_error="return", on_interrupt=on_interrupt, workers=2)
    async with pipeline:
        await pipeline.process_input_data("held")
        (late,) = await read(pipeline, 1)
        assert isinstance(late, TimeoutError)
        gate.open()
        for data in ("after", "and more"):
            await pipeline.process_input_data(data)
        assert await read(pipeline, 2) == ["after", "and more"]
        assert calls == []
        await pipeline.interrupt()
        for data in ("after", "and more"):
            await pipeline.process_input_data(data)
        assert await read(pipeline, 2) == ["after", "and more"]
        assert set(calls) == {"interrupted"}
