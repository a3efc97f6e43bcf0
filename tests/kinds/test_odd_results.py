"""Results that cannot be compared, pickled or even shown.

The rule: the library looks at what a result is of, never at the result; so no result, however
odd, disturbs another call, an interrupt, a timeout or the end. What cannot cross to another
process or interpreter is the failure of its own call, told in few words.
"""

from __future__ import annotations

import contextlib
import logging
import os
from functools import partial

import pytest
from anyio import create_task_group

from async_task_pipeline import RemoteCallError
from async_task_pipeline._workers._interpreter import Interpreters
from tests.kinds import odd
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


def told(results):
    """Labels, numbers or what failed; the results themselves are not looked at."""
    return [type(each) if isinstance(each, Exception) else getattr(each, "label", each) for each in results]


# -- results that cannot be compared ----------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "cls"), [("interrupt", odd.Ambiguous), ("interrupt", odd.Anything), ("stop", odd.Ambiguous)]
)
async def test_one_that_waits_for_its_turn_is_dropped(kind, gate, cls, end):
    gate.hold("held")
    pipeline = kind.pipeline(partial(odd.like(kind, "make"), cls, gate.address), workers=2)
    async with pipeline:
        await pipeline.process_input_data("held")
        await gate.entered("held")
        await pipeline.process_input_data("done")
        await gate.left("done")
        await until(lambda: pipeline.statistics().stages["stage"].in_call == 1)
        if end == "interrupt":
            receipt = await pipeline.interrupt()
            dropped = receipt.dropped["stage"]
            assert (dropped.queued, dropped.in_call, dropped.finished) == (0, 1, 1)
            assert receipt.busy == ("stage",)
            if kind.ends_calls:
                await gate.left("held")
            gate.open()
            await pipeline.process_input_data("new")
            assert told(await read(pipeline, 1)) == ["new"]
            assert told(await rest_of(pipeline)) == []
        else:
            async with create_task_group() as tg:
                tg.start_soon(pipeline.stop)
                await until(lambda: not pipeline.running)
                if not kind.ends_calls:
                    gate.open()
    assert_law(pipeline)
    now = pipeline.statistics()
    assert (now.accepted, now.dropped, now.inside) == (3 if end == "interrupt" else 2, 2, 0)
    assert gate.most <= 2


@some(STREAMING)
async def test_nothing_stale_comes_of_a_generator_whose_first_waits_for_its_turn(kind, gate):
    gate.hold("held 1", "held 2")
    pipeline = kind.pipeline(partial(odd.like(kind, "many"), odd.Ambiguous, gate.address), workers=2)
    async with pipeline:
        await pipeline.process_input_data("held 1")
        await pipeline.process_input_data("held 2")
        assert told(await read(pipeline, 1)) == ["held 1"]
        await gate.entered("held 1", "held 2")
        receipt = await pipeline.interrupt()
        assert receipt.dropped["stage"].finished <= 1  # from a process it may be on its way
        assert receipt.dropped["stage"].in_call == 2
        gate.open()
        await pipeline.process_input_data("new")
        assert told(await rest_of(pipeline)) == ["new"]
    assert gate.most <= 2


async def test_a_call_is_overdue_whatever_its_worker_yielded_before(kind, gate):
    gate.hold("held")
    function = partial(odd.like(kind, "many"), odd.Ambiguous, gate.address)
    pipeline = kind.pipeline(function, workers=2, timeout=0.6, on_error="return", size=4)
    async with pipeline:
        # The first call waits for room, which takes no time of its own; the others wait for it.
        for data in ("many", "done", "held"):
            await pipeline.process_input_data(data)
        await gate.entered("held")
        *first, last = told(await read(pipeline, 23 if kind.streams else 22))
        assert first == [*range(20), "done", "held"][: len(first)]
        assert last is TimeoutError
        gate.open()
        await pipeline.process_input_data("new")
        assert told(await rest_of(pipeline)) == ["new"]


# -- what cannot cross, nor be told -------------------------------------------------------------


def counted(first, *later):
    """The data of each result, and which call it was since the first: an interpreter may be one that was there before."""
    return [(data, number - first[1]) for data, number in (first, *later)]


def assert_short(*failures):
    for each in failures:
        assert len(str(each)) < 2_000
        assert each.__notes__[-1] == "raised in stage 'stage' of the pipeline"


@some(REMOTE)
async def test_a_result_that_cannot_be_told_is_the_failure_of_its_call(kind):
    names = [*odd.UNSPEAKABLE, "raises"]
    before, *failures, b, c = await drain(kind.pipeline(odd.bring, on_error="return"), ["a", *names, "b", "c"])
    # It is the same worker all the time, and it makes each call once.
    assert counted(before, b, c) == [("a", 0), ("b", len(names) + 1), ("c", len(names) + 2)]
    assert [type(each) for each in failures] == [RemoteCallError] * len(names)
    assert_short(*failures)


@some(REMOTE)
async def test_so_is_an_item(kind):
    items = [make() for make in odd.UNSPEAKABLE.values()]
    before, *failures, b, c = await drain(kind.pipeline(odd.bring, on_error="return"), ["a", *items, "b", "c"])
    assert counted(before, b, c) == [("a", 0), ("b", 1), ("c", 2)]
    assert [type(each) for each in failures] == [RemoteCallError] * len(items)
    assert all(str(each).startswith("an item cannot be sent to the worker: ") for each in failures)
    assert_short(*failures)


@some(REMOTE)
@pytest.mark.parametrize("name", ["no pickle", "no way back"])
async def test_so_is_a_generator_whose_clean_up_fails_when_it_is_closed_early(kind, gate, name):
    pipeline = kind.pipeline(partial(odd.bring_all, gate.address), on_error="return", size=2)
    got = await drain(pipeline, ["a", name, "b", "c"])
    failures = [each for each in got if isinstance(each, Exception)]
    values = [each for each in got if not isinstance(each, Exception)]
    assert counted(*values) == [("a", 0), (name, 1), ("b", 2), ("c", 3)]
    assert got[1] == values[1]
    assert failures[0] is got[2]
    assert {type(each) for each in failures} <= {RemoteCallError, MineError}
    assert_short(*failures)


@some([INTERPRETER])
async def test_an_interpreter_outlives_the_clean_up_of_an_interrupted_generator(kind, gate):
    pipeline = kind.pipeline(partial(odd.bring_all, gate.address), size=2)
    gate.hold("endless")
    async with pipeline:
        await pipeline.process_input_data("endless")
        (old,) = await read(pipeline, 1)
        await gate.entered("endless")
        await pipeline.interrupt()
        gate.open()
        await pipeline.process_input_data("new")
        assert counted(old, *await read(pipeline, 1)) == [("endless", 0), ("new", 1)]


@some([INTERPRETER])
async def test_the_descriptor_of_an_interpreter_that_broke_is_closed_once(kind, tmp_path, monkeypatch):
    serve = Interpreters._serve

    async def break_in_the_end(*args):
        await serve(*args)
        raise RuntimeError("it broke")

    class Opening(logging.Handler):
        """Opens files; the numbers that are free are those just closed."""

        def emit(self, record):
            opened.extend(os.open(tmp_path / str(number), os.O_CREAT) for number in range(8))

    opened = []
    handler = Opening(logging.WARNING)
    logger = logging.getLogger("async_task_pipeline")
    logger.addHandler(handler)
    monkeypatch.setattr(Interpreters, "_serve", break_in_the_end)
    try:
        ((data, _),) = await drain(kind.pipeline(odd.bring), ["a"])
        assert data == "a"
        assert len(opened) == 8
        for number in opened:
            os.fstat(number)  # it is as open as it was
    finally:
        logger.removeHandler(handler)
        for number in opened:
            with contextlib.suppress(OSError):
                os.close(number)
