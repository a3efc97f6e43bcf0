"""G9: A stage's exception is the user's own object with a note naming the stage, and by default
ends the pipeline loudly: it reaches the owner of the scope and whoever waits for the output.
Dropping is possible only by asking, and is logged and counted.

The rule: every error has one owner. What a block has met and handled is the block's own affair;
everything else leaves it, once: a lone error as the very object, several in one group.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging

import anyio
import anyio.lowlevel
import pytest
from anyio import CancelScope, create_task_group, get_cancelled_exc_class
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline, StageProtocolError
from tests.support.backends import ASYNCIO
from tests.support.functions import same, same_on_loop
from tests.support.gates import Gate
from tests.support.law import assert_law
from tests.support.waiting import drain, until

pytestmark = pytest.mark.anyio


def plain(exc):
    def function(value):
        raise exc

    return function


def on_loop(exc):
    async def function(value):
        raise exc

    return function


def generator(exc):
    def function(value):
        yield "first"
        raise exc

    return function


def generator_on_loop(exc):
    async def function(value):
        yield "first"
        raise exc

    return function


KINDS = pytest.mark.parametrize("kind", [plain, on_loop, generator, generator_on_loop])


@KINDS
async def test_it_is_loud_though_nobody_reads(kind):
    """The block is cancelled and left with the failure, even with the output full."""
    exc = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught:
        async with AsyncTaskPipeline(1).add_stage("fails", kind(exc)) as pipeline:
            await pipeline.process_input_data(1)
            await anyio.sleep_forever()
    assert caught.value is exc


async def test_in_a_users_group_it_arrives_in_that_group():
    """``tg.start(pipeline.run)`` raises it as any child would."""
    exc = ValueError("mine")
    pipeline = AsyncTaskPipeline().add_stage("fails", plain(exc))
    with pytest.raises(ExceptionGroup) as caught:
        async with anyio.create_task_group() as tg:
            await tg.start(pipeline.run)
            await pipeline.process_input_data(1)
            await anyio.sleep_forever()
    assert (exc,) == caught.value.exceptions


@KINDS
async def test_returned_in_the_place_of_the_item(kind):
    """In order, past the stages behind it, counted as failed and not as delivered."""
    exc = ValueError("mine")

    def no_exception(value):
        assert not isinstance(value, Exception)
        return value

    pipeline = AsyncTaskPipeline(return_exceptions=True)
    pipeline.add_stage("fails", kind(exc)).add_stage("after", no_exception)
    got = await drain(pipeline, [1, 2])
    expected = [exc, exc] if kind in (plain, on_loop) else ["first", exc, "first", exc]
    assert expected == got
    after = pipeline.statistics()
    assert (after.failed, after.delivered, after.inside) == (2, len(expected) - 2, 0)
    assert exc.__notes__ == ["raised in stage 'fails' of the pipeline, for item 2"]  # the same object, twice


@pytest.mark.parametrize("kind", ["coroutine", "async_generator"])
async def test_a_plain_function_that_returns_what_only_the_loop_can_run_is_told_so(kind):
    """It can be known at the first call only, and ends the pipeline with advice."""

    async def generate(value):
        yield value

    function = same_on_loop if kind == "coroutine" else generate
    pipeline = AsyncTaskPipeline().add_stage("sync", lambda value: function(value))  # noqa: PLW0108
    with pytest.raises(StageProtocolError, match=rf"'sync'.*returned an? {kind}; declare it 'async def'"):
        assert await drain(pipeline, [1]) == []


async def test_a_raised_exception_tells_its_stage_and_a_returned_one_is_data():
    """0.1.10: both came out bare, with nothing to tell one from the other."""
    raised, returned = LookupError("raised"), LookupError("returned")
    seen = []

    def stage(data):
        if data == "raise":
            raise raised
        return returned

    pipeline = AsyncTaskPipeline(return_exceptions=True).add_stage("picky", stage)
    pipeline.add_stage("next", lambda x: seen.append(x) or x)
    out = await drain(pipeline, ["raise", "return"])
    assert out[0] is raised
    assert out[1] is returned
    assert seen == [returned]  # data goes through every stage, a failure through none
    assert any("picky" in note for note in raised.__notes__)
    assert not hasattr(returned, "__notes__")
    assert pipeline.statistics().failed == 1


def fails(data):
    return 1 / data


def fails_midway(data):
    yield data
    yield 1 / data


async def fails_async(data):
    await checkpoint()
    return 1 / data


async def fails_midway_async(data):
    yield data
    yield 1 / data


FAILING = [fails, fails_midway, fails_async, fails_midway_async]


@pytest.mark.parametrize("stage", FAILING)
@pytest.mark.parametrize("form", ["scope", "process", "start", "run"])
async def test_an_error_reaches_the_owner_and_the_consumer(stage, form):
    """0.1.10: with ``return_exceptions=False`` no output, no log, no count."""
    pipeline = AsyncTaskPipeline().add_stage("fails", stage).add_stage("same", same)
    met = []

    async def consume(output) -> None:
        try:
            async for _ in output:
                pass
        except ZeroDivisionError as exc:
            met.append(exc)
            raise

    async def put_and_consume() -> None:
        await pipeline.process_input_data(0)
        await consume(pipeline.generate_output_stream())

    with contextlib.ExitStack() as owner:
        caught = owner.enter_context(pytest.raises((ZeroDivisionError, ExceptionGroup)))
        if form == "process":
            async with pipeline.process([0]) as results:
                await consume(results)
        elif form == "scope":
            async with pipeline:
                await put_and_consume()
        elif form == "run":
            async with create_task_group() as tg:
                await tg.start(pipeline.run)
                await put_and_consume()
        else:
            await pipeline.start()
            with pytest.raises(ZeroDivisionError):
                await put_and_consume()
            await pipeline.stop()
    assert len(met) == 1
    if form == "run":
        assert all(each is met[0] for each in caught.value.exceptions)
    else:
        assert caught.value is met[0]
    assert met[0].__notes__ == ["raised in stage 'fails' of the pipeline, for item 0"]
    assert (pipeline.statistics().failed, pipeline.statistics().inside) == (1, 0)
    assert_law(pipeline)


@pytest.mark.parametrize("stage", FAILING)
async def test_dropping_is_possible_only_by_asking_and_is_logged_and_counted(stage, caplog):
    """0.1.10: dropping was what it did by default, and it did not say so."""
    pipeline = AsyncTaskPipeline().add_stage("fails", stage, on_error="drop")
    with caplog.at_level(logging.DEBUG, "async_task_pipeline"):
        out = await drain(pipeline, [1, 0, 1])
    midway = "midway" in stage.__name__
    assert out == ([1, 1.0, 0, 1, 1.0] if midway else [1.0, 1.0])
    assert pipeline.statistics().failed == pipeline.statistics().stages["fails"].failed == 1
    line, where = [each for each in caplog.records if "'fails'" in each.getMessage()]
    assert (line.levelname, line.exc_info) == ("WARNING", None)
    assert line.getMessage().startswith("stage 'fails' dropped item 0: ZeroDivisionError: ")
    assert (where.levelname, where.exc_info[0]) == ("DEBUG", ZeroDivisionError)


async def test_the_output_swallows_nothing():
    """0.1.10: caught every exception in its loop, logged it, and went on for ever."""
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    with pytest.raises(LookupError, match="mine"):
        async with pipeline.process(range(3)) as results:
            async for _ in results:
                raise LookupError("mine")


class Problems(Exception):  # noqa: N818  a collection of errors, and so false while it is empty
    """An exception that counts as false."""

    def __len__(self) -> int:
        return len(self.args)


@pytest.mark.parametrize("error", [LookupError, Problems])
@pytest.mark.parametrize("kind", [plain, on_loop])
async def test_the_output_raises_a_failure_again_and_again(kind, error):
    """The very object; after the stop, too."""
    exc = error()
    pipeline = AsyncTaskPipeline().add_stage("fails", kind(exc))
    await pipeline.start()
    await pipeline.process_input_data(0)
    output = pipeline.generate_output_stream()
    for read in range(20):
        with pytest.raises(error) as caught:
            await anext(output if read % 2 else pipeline.generate_output_stream())
        assert caught.value is exc
    with pytest.raises(error):
        await pipeline.stop()
    with pytest.raises(error):
        await anext(output)


async def test_a_failure_that_is_read_again_and_again_keeps_its_traceback_short():
    exc, lengths = LookupError(), []
    pipeline = AsyncTaskPipeline().add_stage("fails", on_loop(exc))
    await pipeline.start()
    await pipeline.process_input_data(0)
    for _ in range(20):
        with pytest.raises(LookupError) as caught:
            await anext(pipeline.generate_output_stream())
        lengths.append(len(caught.traceback))
    with pytest.raises(LookupError):
        await pipeline.stop()
    assert lengths[1:] == lengths[1:2] * 19


class MineError(Exception):
    """What the block raises."""


def always_fails(data):
    raise LookupError(data)


async def test_an_error_raised_while_the_failure_ends_the_block_is_beside_it():
    pipeline = AsyncTaskPipeline().add_stage("fails", always_fails)
    with pytest.raises(ExceptionGroup) as caught:
        async with pipeline:
            await pipeline.process_input_data(0)
            try:
                await anyio.sleep_forever()
            finally:
                raise MineError
    assert sorted(type(each).__name__ for each in caught.value.exceptions) == ["LookupError", "MineError"]


async def test_a_failure_is_not_lost_when_the_block_is_cancelled_from_outside_at_once():
    pipeline = AsyncTaskPipeline().add_stage("fails", always_fails)
    with pytest.raises(LookupError):
        with CancelScope() as outside:
            async with pipeline:
                await pipeline.process_input_data(0)
                try:
                    await anyio.sleep_forever()
                except get_cancelled_exc_class():
                    outside.cancel()
                    raise


async def test_of_two_failures_in_one_step_one_is_raised_and_the_other_logged(caplog):
    both, entered = anyio.Event(), []

    def failing(name):
        async def stage(data):
            if data == name:
                entered.append(name)
                await both.wait()
                raise LookupError(name)
            return data

        return stage

    pipeline = AsyncTaskPipeline().add_stage("a", failing("a")).add_stage("b", failing("b"))
    with pytest.raises(LookupError) as caught, caplog.at_level(logging.WARNING):
        async with pipeline:
            await pipeline.process_input_data("b")
            await pipeline.process_input_data("a")
            await until(lambda: len(entered) >= 2)
            both.set()
            await anyio.sleep_forever()
    (record,) = [each for each in caplog.records if each.name == "async_task_pipeline"]
    assert "had ended" in record.getMessage()
    assert {caught.value.args, record.exc_info[1].args} == {("a",), ("b",)}
    assert pipeline.statistics().failed == 2


@pytest.mark.parametrize("anyio_backend", [("trio", {})], ids=["trio"])
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_nursery_in_a_stage_that_is_cancelled_is_no_failure(caplog, workers):
    trio, inside = pytest.importorskip("trio"), []

    async def nursery(data):
        async with trio.open_nursery() as children:
            children.start_soon(trio.sleep_forever)
            children.start_soon(trio.sleep_forever)
            inside.append(data)

    async with AsyncTaskPipeline().add_stage("nursery", nursery, workers=workers) as pipeline:
        await pipeline.process_input_data("data")
        await until(lambda: inside)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def fails_on_1(data):
    if data == 1:
        raise LookupError(data)
    return data


def lone(error):
    """The one exception in a group, or a bare one."""
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    return error


async def test_a_run_that_is_cancelled_while_its_failure_ends_it_raises_the_failure():
    gate = Gate(0)
    pipeline = AsyncTaskPipeline().add_stage("first", fails_on_1).add_stage("gate", gate)
    with pytest.raises((LookupError, ExceptionGroup)) as caught:
        with CancelScope() as scope:
            async with create_task_group() as tg:
                await tg.start(pipeline.run)
                await pipeline.process_input_data(0)
                await gate.entered()
                await pipeline.process_input_data(1)
                await until(lambda: not pipeline.running)  # it waits for the thread
                scope.cancel()
                gate.open()
    assert lone(caught.value).args == (1,)


@ASYNCIO
async def test_a_natively_cancelled_run_raises_the_failure_too():
    gate = Gate(0)
    pipeline = AsyncTaskPipeline().add_stage("first", fails_on_1).add_stage("gate", gate)
    task = asyncio.create_task(pipeline.run())
    await until(lambda: pipeline.running)
    await pipeline.process_input_data(0)
    await gate.entered()
    await pipeline.process_input_data(1)
    await until(lambda: not pipeline.running)
    task.cancel()
    await asyncio.sleep(0)
    gate.open()
    with pytest.raises(LookupError):
        await task


@dataclasses.dataclass(frozen=True)
class FrozenError(Exception):
    """Refuses every attribute, its traceback too."""

    code: int


@pytest.mark.parametrize("form", ["scope", "process", "collect"])
@pytest.mark.parametrize("raised_by", ["stage", "source", "block"])
async def test_a_frozen_exception_leaves_the_block_as_it_is(form, raised_by):
    """contextlib sets the traceback of what leaves a block, and a ``FrozenInstanceError`` came out."""
    exc = FrozenError(3)

    async def source():
        yield 1
        if raised_by == "source":
            raise exc

    stage = on_loop(exc) if raised_by == "stage" else same
    pipeline = AsyncTaskPipeline().add_stage("stage", stage)
    with pytest.raises(FrozenError) as caught:
        if form == "scope":
            async with pipeline:
                await pipeline.process_input_stream(source(), close_input=True)
                async for _ in pipeline.generate_output_stream():
                    raise exc
        elif form == "process":
            async with pipeline.process(source()) as results:
                async for _ in results:
                    if raised_by == "block":
                        raise exc
        else:
            await pipeline.collect(source())
            raise exc
    assert caught.value is exc
