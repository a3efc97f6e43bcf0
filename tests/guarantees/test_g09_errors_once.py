"""G9, what is told once: a failure of either of two pipelines in a row, or of their source, and one
that the block has met in a task group.

The rule: what leaves the block is that very object and no group, whether the block reads the output
or lets it end unread. Only what the block adds is beside it, in one group, and there the failure is once, too.
"""

from __future__ import annotations

from functools import partial

import pytest
from anyio import CancelScope, create_task_group, sleep_forever
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline
from tests.support.functions import same
from tests.support.law import assert_law

pytestmark = pytest.mark.anyio


def plain(exc):
    def function(value):
        if value == exc.args[0]:
            raise exc
        return value

    return function


def on_loop(exc):
    async def function(value):
        await checkpoint()
        return plain(exc)(value)

    return function


def blocking(exc):
    yield from map(plain(exc), range(8))


async def pausing(exc):
    for value in range(8):
        await checkpoint()
        yield plain(exc)(value)


@pytest.fixture(params=[0, 3])
def exc(request):
    """Of the first item, or of one with others before and after it; what it is of says its argument."""
    return LookupError(request.param)


def two(first=same, second=same):
    """Two pipelines with these stages, small ones, so that each has to wait for the other."""
    return AsyncTaskPipeline(2).add_stage("first", first), AsyncTaskPipeline(2).add_stage("second", second)


async def everything(results):
    async for _ in results:
        pass


async def nothing(results):
    """The block waits, and something else than the output has to end it."""
    await sleep_forever()


async def one_in_the_other(first, second, source, consume):
    async with first.process(source) as results, second.process(results) as both:
        await consume(both)


async def fed_in_a_task(first, second, source, consume):
    """The second is entered before the first, and a task of the block's brings the results over."""
    async with second, first.process(source) as results, create_task_group() as tg:
        tg.start_soon(partial(second.process_input_stream, results, close_input=True))
        await consume(second.generate_output_stream())


async def both_fed_in_tasks(first, second, source, consume):
    async with first, second, create_task_group() as tg:
        tg.start_soon(partial(first.process_input_stream, source, close_input=True))
        tg.start_soon(partial(second.process_input_stream, first.generate_output_stream(), close_input=True))
        await consume(second.generate_output_stream())


async def fails(exc, row, first, second, source, consume):
    """Run the two in a row, and see the failure leave: once, bare, the very object."""
    with pytest.raises(LookupError) as caught:
        await row(first, second, source, consume)
    assert caught.value is exc
    for pipeline in (first, second):
        assert not pipeline.running
        assert_law(pipeline)
        assert pipeline.statistics().inside == 0


@pytest.mark.parametrize("which", ["first", "second"])
@pytest.mark.parametrize("kind", [plain, on_loop])
@pytest.mark.parametrize("row", [one_in_the_other, fed_in_a_task, both_fed_in_tasks])
@pytest.mark.parametrize("consume", [everything, nothing])
async def test_a_failure_of_one_is_not_buried_by_the_other(exc, which, kind, row, consume):
    await fails(exc, row, *two(**{which: kind(exc)}), range(8), consume)
    assert [note.partition(",")[0] for note in exc.__notes__] == [f"raised in stage {which!r} of the pipeline"]


@pytest.mark.parametrize("source", [blocking, pausing])
async def test_a_failure_of_the_source_passes_both(exc, source):
    """In its place, behind all results of what was read before; so it has to be read."""
    await fails(exc, one_in_the_other, *two(), source(exc), everything)
    assert not hasattr(exc, "__notes__")


# -- in groups ------------------------------------------------------------------------------------


class MineError(Exception):
    """What the block adds."""


async def adds():
    try:
        await sleep_forever()
    finally:
        raise MineError


def leaves(error):
    return [leaf for each in error.exceptions for leaf in leaves(each)] if hasattr(error, "exceptions") else [error]


FAILURES = pytest.mark.parametrize(
    "exc", [LookupError(0), ExceptionGroup("two", [LookupError(1), LookupError(2)])], ids=["one", "group"]
)


def failing(exc):
    def function(value):
        raise exc

    return AsyncTaskPipeline().add_stage("fails", function)


@FAILURES
async def test_a_failure_that_a_task_group_of_the_block_has_met_is_told_once(exc):
    """The group wraps it, and on trio a failure that is a group itself is rebuilt."""
    with pytest.raises(type(exc)) as caught:
        async with failing(exc).process([1]) as results, create_task_group() as tg:
            tg.start_soon(everything, results)
            await sleep_forever()
    assert caught.value is exc


@FAILURES
async def test_what_the_block_adds_is_beside_it_and_the_failure_is_once_in_that(exc):
    with pytest.raises(ExceptionGroup) as caught:
        async with failing(exc).process([1]) as results, create_task_group() as tg:
            tg.start_soon(adds)
            tg.start_soon(everything, results)
    assert caught.value.exceptions.count(exc) == 1
    told = leaves(caught.value)
    assert [each for each in told if type(each) is not MineError] == leaves(exc)
    assert [type(each) for each in told].count(MineError) == 1


async def test_an_error_of_the_block_beside_a_cancellation_is_no_group():
    """On trio the task that feeds is cancelled with the block, and is in the group with what that raises."""
    with pytest.raises(MineError):
        with CancelScope() as outside:
            async with AsyncTaskPipeline().add_stage("same", same).process(forever()):
                outside.cancel()
                await adds()


async def forever():
    await sleep_forever()
    yield
