"""G9, asked: ``on_error`` may be a function that is told of each failure and says what it means.

The rule: what it answers is done, and what it does blocks neither the loop nor the stage. Until it has
answered, the item is inside and keeps its place. About an item that was dropped nobody is asked.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from functools import partial

import attrs
import pytest
from anyio import create_task_group
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline, Chain, Failure, FailureBudgetError, StageProtocolError
from tests.support.gates import AsyncGate, Gate
from tests.support.law import assert_law
from tests.support.waiting import drain, read, rest_of, until

pytestmark = pytest.mark.anyio

STAGE = "raised in stage 'stage' of the pipeline"


def picky(data):
    if isinstance(data, str):
        raise LookupError(data)
    return data


async def picky_on_loop(data):
    return picky(data)


STAGES = pytest.mark.parametrize("stage", [picky, picky_on_loop])


class Desk:
    """Keeps the records, and answers with what the item says."""

    def __init__(self, answer=None):
        self.records, self.threads = [], []
        self._answer = answer

    def __call__(self, failure):
        self.records.append(failure)
        self.threads.append(threading.current_thread())
        return self._answer or failure.item

    @property
    def items(self):
        return [record.item for record in self.records]


class DeskOnLoop(Desk):
    async def __call__(self, failure):
        await checkpoint()
        return super().__call__(failure)


DESKS = pytest.mark.parametrize("desk", [Desk, DeskOnLoop])


@STAGES
@DESKS
@pytest.mark.parametrize("options", [{}, {"workers": 3}, {"workers": 3, "ordered": False}], ids=str)
async def test_each_answer_is_done(stage, desk, options, caplog):
    asked = desk()
    pipeline = AsyncTaskPipeline().add_stage("stage", stage, on_error=asked, **options)
    got = await drain(pipeline, [1, "drop", 2, "return", 3])
    if options.get("ordered", True):
        assert [type(each) for each in got] == [int, int, LookupError, int]
    (returned,) = [each for each in got if isinstance(each, LookupError)]
    assert sorted(each for each in got if each is not returned) == [1, 2, 3]
    assert sorted(asked.items) == ["drop", "return"]
    assert returned.__notes__ == [f"{STAGE}, for item 'return'"]
    assert [each.getMessage() for each in caplog.records if each.levelname == "WARNING"] == [
        "stage 'stage' dropped item 'drop': LookupError: drop"
    ]
    now = pipeline.statistics()
    assert (now.failed, now.delivered, now.dropped) == (2, 3, 0)
    on_loop = threading.current_thread()
    assert {thread is on_loop for thread in asked.threads} == {desk is DeskOnLoop}


@STAGES
@DESKS
async def test_to_raise_ends_the_pipeline_with_the_very_object(stage, desk):
    asked = desk()
    pipeline = AsyncTaskPipeline().add_stage("stage", stage, on_error=asked)
    with pytest.raises(LookupError) as caught:
        await drain(pipeline, ["drop", "raise", "never"])
    assert caught.value is asked.records[1].exception
    assert caught.value.__notes__ == [f"{STAGE}, for item 'raise'"]
    assert asked.items == ["drop", "raise"]
    assert_law(pipeline)
    assert pipeline.statistics().failed >= 2


async def test_the_record():
    ticks = iter(range(1000))
    desk = Desk("drop")
    pipeline = AsyncTaskPipeline(clock=lambda: float(next(ticks)))  # untimed: nobody else looks at it
    await drain(pipeline.add_stage("stage", picky, on_error=desk), ["a", "b"])
    first, second = desk.records
    assert (first.stage, first.item, type(first.exception)) == ("stage", "a", LookupError)
    assert (first.started_at, first.failed_at, second.started_at, second.failed_at) == (0.0, 1.0, 2.0, 3.0)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        first.item = "other"
    assert len(repr(attrs.evolve(first, item="x" * 10**6))) < 2000


async def test_one_for_all_stages_and_for_a_chain():
    desk = Desk("return")
    pipeline = AsyncTaskPipeline(on_error=desk).add_stage("a", picky).add_stage("b", picky_on_loop, on_error="raise")
    assert pipeline.on_error is desk is pipeline.stages[0].on_error
    assert not pipeline.return_exceptions
    assert [type(each) for each in await drain(pipeline, ["no", 1])] == [LookupError, int]
    chained = Chain().then("a", picky, on_error=desk).pipeline(on_error=desk)
    assert [type(each) for each in await drain(chained, ["no", 1])] == [LookupError, int]
    assert [(record.stage, record.item) for record in desk.records] == [("a", "no")] * 2


# -- what a function may do wrong ---------------------------------------------------------------


async def answer():
    return "drop"


@STAGES
@pytest.mark.parametrize(
    ("given", "told"),
    [
        (None, "None"),
        ("ignore", "'ignore'"),
        (3, "3"),
        (["drop"], r"\['drop'\]"),
        (answer, "a coroutine; declare it 'async def'"),
    ],
    ids=lambda each: getattr(each, "__name__", str(each)),  # no address: of each process another
)
async def test_another_answer_ends_the_pipeline(stage, given, told):
    pipeline = AsyncTaskPipeline()
    pipeline.add_stage("stage", stage, on_error=lambda failure: given() if callable(given) else given)
    message = rf"^on_error of stage 'stage' must return one of \('raise', 'return', 'drop'\), and returned {told}"
    with pytest.raises(StageProtocolError, match=message) as caught:
        await drain(pipeline, [1, "bad", 2])
    assert isinstance(caught.value.__cause__, LookupError)
    assert caught.value.__notes__ == ["raised by on_error of stage 'stage' of the pipeline, for item 'bad'"]
    assert pipeline.statistics().failed == 1
    assert_law(pipeline)


@dataclasses.dataclass(frozen=True)
class FrozenError(Exception):
    text: str


@pytest.mark.parametrize("on_loop", [False, True])
@pytest.mark.parametrize("error", [ValueError, FrozenError, SystemExit, StopIteration])
async def test_what_it_raises_ends_the_pipeline(error, on_loop):
    def raises(failure):
        raise error("mine")

    async def raises_on_loop(failure):
        raise error("mine")

    pipeline = AsyncTaskPipeline().add_stage("stage", picky, on_error=raises_on_loop if on_loop else raises)
    # Python itself makes another one of a StopIteration that leaves a coroutine.
    expected = {StopIteration: (RuntimeError if on_loop else StageProtocolError)}.get(error, error)
    with pytest.raises(expected) as caught:
        await pipeline.collect([1, "bad"])  # no contextlib around it, which cannot let a frozen one through
    if error is ValueError:
        assert caught.value.__notes__ == ["raised by on_error of stage 'stage' of the pipeline, for item 'bad'"]
        assert isinstance(caught.value.__context__, LookupError)
    assert pipeline.statistics().failed == 1
    assert_law(pipeline)


async def test_it_may_raise_the_exception_itself():
    def raises(failure):
        raise failure.exception

    with pytest.raises(LookupError) as caught:
        await drain(AsyncTaskPipeline().add_stage("stage", picky, on_error=raises), ["bad"])
    assert caught.value.__notes__ == [f"{STAGE}, for item 'bad'"]


# -- it takes its time --------------------------------------------------------------------------


class Slow:
    """A function that answers as soon as its gate is opened."""

    def __init__(self, gate, answer):
        self.gate, self._answer = gate, answer

    def __call__(self, failure):
        self.gate(failure.item)
        return self._answer


class SlowOnLoop(Slow):
    async def __call__(self, failure):
        await self.gate(failure.item)
        return self._answer


def slow(on_loop, answer):
    return SlowOnLoop(AsyncGate(), answer) if on_loop else Slow(Gate(), answer)


ON_LOOP = pytest.mark.parametrize("on_loop", [False, True])


@STAGES
@ON_LOOP
async def test_neither_the_loop_nor_the_stage_waits_for_it(stage, on_loop):
    desk = slow(on_loop, "return")
    async with AsyncTaskPipeline().add_stage("stage", stage, on_error=desk, ordered=False) as pipeline:
        await pipeline.put("bad")
        await desk.gate.entered()
        await pipeline.put(1)
        await pipeline.put_sentinel("behind")
        assert await read(pipeline, 1) == [1]
        assert pipeline.statistics().inside == 1  # the one that nobody has said anything about
        desk.gate.open()
        failure, sentinel = await read(pipeline, 2)
        assert (type(failure), sentinel) == (LookupError, "behind")
        assert await rest_of(pipeline) == []


@STAGES
@ON_LOOP
async def test_the_item_keeps_its_place_meanwhile(stage, on_loop):
    desk = slow(on_loop, "return")
    async with AsyncTaskPipeline().add_stage("stage", stage, on_error=desk) as pipeline:
        for each in ("bad", 1):
            await pipeline.put(each)
        pipeline.close_input()
        await desk.gate.entered()
        await until(lambda: pipeline.statistics().stages["stage"].in_call == 0)
        assert pipeline.statistics().output_depth == 0
        desk.gate.open()
        assert [type(each) for each in [each async for each in pipeline.output()]] == [LookupError, int]


@STAGES
@ON_LOOP
@pytest.mark.parametrize("options", [{}, {"ordered": False, "workers": 2}], ids=str)
async def test_an_interrupt_drops_what_it_is_asked_about(stage, on_loop, options, caplog):
    desk = slow(on_loop, "return")
    pipeline = AsyncTaskPipeline().add_stage("stage", stage, on_error=desk, **options)
    async with pipeline:
        for each in ("bad", "worse"):
            await pipeline.put(each)
        await desk.gate.entered()
        await until(lambda: (now := pipeline.statistics().stages["stage"]).in_call + now.queue_depth == 0)
        receipt = await pipeline.interrupt()
        assert (receipt.total, receipt.dropped["stage"].in_call) == (2, 2)
        await pipeline.put(1)
        desk.gate.open()
        assert await read(pipeline, 1) == [1]
        await pipeline.put("new")
        (failure,) = await read(pipeline, 1)
        assert failure.args == ("new",)
        assert desk.gate.calls == ["bad", "new"]  # nobody is asked about what was dropped in line
        assert await rest_of(pipeline) == []
    assert "an interrupted call failed" in caplog.text


@DESKS
async def test_about_a_failure_of_an_interrupted_call_nobody_is_asked(desk):
    gate, desk = Gate("held"), desk("drop")
    pipeline = AsyncTaskPipeline().add_stage("stage", lambda data: picky(gate(data)), on_error=desk)
    async with pipeline:
        await pipeline.put("held")
        await gate.entered()
        assert (await pipeline.interrupt()).total == 1
        gate.open()
        await pipeline.put("next")
        await until(lambda: pipeline.statistics().failed == 1)
        assert desk.items == ["next"]
        assert await rest_of(pipeline) == []


@ON_LOOP
async def test_leaving_the_block_loses_nothing_that_is_not_counted(on_loop):
    desk = slow(on_loop, "drop")
    pipeline = AsyncTaskPipeline().add_stage("stage", picky, on_error=desk)
    async with pipeline:
        await pipeline.put("bad")
        await desk.gate.entered()
        desk.gate.open()
    assert_law(pipeline)
    now = pipeline.statistics()
    assert (now.failed + now.dropped, now.inside) == (1, 0)


# -- of which calls -----------------------------------------------------------------------------


def fans(data):
    yield data
    yield picky(data)
    yield "never"


async def fans_on_loop(data):
    yield data
    yield picky(data)
    if isinstance(data, int):
        yield "more"


@pytest.mark.parametrize("stage", [fans, fans_on_loop])
@pytest.mark.parametrize("options", [{}, {"workers": 2, "ordered": False}], ids=str)
async def test_what_a_generator_has_yielded_before_is_delivered(stage, options):
    desk = Desk("return")
    pipeline = AsyncTaskPipeline().add_stage("stage", stage, on_error=desk, **options)
    got = await drain(pipeline, ["bad"])
    assert [each if isinstance(each, str) else type(each) for each in got] == ["bad", LookupError]
    assert desk.items == ["bad"]


def all_bad(items):
    if "bad" in items:
        raise LookupError("bad")
    return items


async def all_bad_on_loop(items):
    return all_bad(items)


@pytest.mark.parametrize("stage", [all_bad, all_bad_on_loop])
async def test_of_a_batch_each_item_is_asked_about(stage):
    class PerItem(Desk):
        def __call__(self, failure):
            super().__call__(failure)
            return "drop" if failure.item == "bad" else "return"

    desk = PerItem()
    pipeline = AsyncTaskPipeline().add_batch_stage("stage", stage, max_size=3, max_wait=60, on_error=desk)
    got = await drain(pipeline, [1, "bad", 2, 3, 4, 5])
    assert [each if isinstance(each, int) else type(each) for each in got] == [LookupError, LookupError, 3, 4, 5]
    assert desk.items == [1, "bad", 2]
    assert len({id(record.exception) for record in desk.records}) == 1


@ON_LOOP
@pytest.mark.parametrize("options", [{}, {"ordered": False}], ids=str)
async def test_a_call_that_takes_too_long(on_loop, options):
    gate, desk = (AsyncGate if on_loop else Gate)("held"), Desk("return")
    pipeline = AsyncTaskPipeline().add_stage("stage", gate, timeout=0.05, on_error=desk, **options)
    async with pipeline:
        await pipeline.put("held")
        (late,) = await read(pipeline, 1)
        gate.open()
        await pipeline.put("next")
        assert await read(pipeline, 1) == ["next"]
        (record,) = desk.records
        assert (record.item, record.exception) == ("held", late)
        assert isinstance(late, TimeoutError)
        assert record.failed_at > record.started_at
        assert await rest_of(pipeline) == []


@ON_LOOP
async def test_a_generator_that_takes_too_long_for_a_step(on_loop):
    gate, desk = (AsyncGate if on_loop else Gate)(), Desk("drop")

    def generate(data):
        yield 1
        yield gate(data)

    async def generate_on_loop(data):
        yield 1
        yield await gate(data)

    stage = generate_on_loop if on_loop else generate
    pipeline = AsyncTaskPipeline().add_stage("stage", stage, timeout=0.05, on_error=desk)
    async with pipeline:
        await pipeline.put("held")
        assert await read(pipeline, 1) == [1]
        await until(lambda: pipeline.statistics().failed == 1)
        gate.open()
        assert await rest_of(pipeline) == []
    assert desk.items == ["held"]
    assert_law(pipeline)


@STAGES
@DESKS
async def test_a_budget_counts_what_it_lets_pass(stage, desk):
    asked = desk("drop")
    pipeline = AsyncTaskPipeline().add_stage("stage", stage, on_error=asked, max_failures=2)
    with pytest.raises(FailureBudgetError, match="3 calls have failed, and max_failures is 2") as caught:
        await drain(pipeline, ["a", "b", "c"])
    assert caught.value.__cause__ is asked.records[2].exception
    assert_law(pipeline)


async def test_an_async_one_may_interrupt_the_pipeline(caplog):
    caplog.set_level(logging.ERROR)

    async def interrupts(failure):
        await pipeline.interrupt()
        return "raise"  # of what is dropped by now

    pipeline = AsyncTaskPipeline().add_stage("stage", picky, on_error=interrupts)
    async with pipeline, create_task_group() as tg:
        tg.start_soon(partial(pipeline.put, "bad"))
        await until(lambda: pipeline.statistics().dropped == 1)
        await pipeline.put(1)
        assert await read(pipeline, 1) == [1]
        assert await rest_of(pipeline) == []
    assert Failure.__module__ == "async_task_pipeline"
