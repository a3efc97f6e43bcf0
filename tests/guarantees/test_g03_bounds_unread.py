"""G3, its price: who feeds everything first and reads then waits for ever, and is told so.

The rule: what tells it looks only while a producer waits for room, and says it once in a run. The seconds
are short here and waited for; that it says nothing too early is shown without time passing.
"""

from __future__ import annotations

import logging
import math

import pytest
from anyio import CancelScope, Event, create_task_group

from async_task_pipeline import AsyncTaskPipeline
from async_task_pipeline._engine._item import Item
from async_task_pipeline._engine._link import Link
from async_task_pipeline._engine._unread import UnreadOutput
from tests.support.functions import same, same_on_loop
from tests.support.law import assert_law
from tests.support.waiting import drain, until, until_waiting

LINE = "nothing has read the output for 0.01 seconds, and everything behind it waits, a producer too"


class Hearing(logging.Handler):
    """Keeps what is said of the output, and wakes who waits for that."""

    def __init__(self):
        super().__init__()
        self.lines, self.said = [], Event()

    def emit(self, record):
        if "has read the output" in record.getMessage():
            self.lines.append(record)
            self.said.set()


@pytest.fixture
def hearing():
    """Listen to the library's logger."""
    logger, handler = logging.getLogger("async_task_pipeline"), Hearing()
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


@pytest.mark.anyio
@pytest.mark.parametrize("stage", [same, same_on_loop])
async def test_who_feeds_first_and_reads_later_is_told_what_to_do(stage, hearing):
    pipeline = AsyncTaskPipeline(2, warn_after=0.01).add_stage("a", stage).add_stage("b", stage)
    async with pipeline:
        async with create_task_group() as tg:
            tg.start_soon(pipeline.process_input_stream, range(100))  # in a program, awaited: it would hang
            await hearing.said.wait()
            (record,) = hearing.lines
            assert record.levelname == "WARNING"
            assert record.getMessage().startswith(LINE)
            assert "'async with pipeline.process(source) as results:'" in record.getMessage()
            output = pipeline.output()
            assert [await anext(output) for _ in range(100)] == [*range(100)]
        assert_law(pipeline)


@pytest.mark.anyio
async def test_a_put_from_a_thread_is_watched_too(hearing):
    pipeline = AsyncTaskPipeline(1, warn_after=0.01).add_stage("same", same)
    with CancelScope() as scope:
        async with pipeline.process(iter(range(100))):
            await hearing.said.wait()
            scope.cancel()
    assert_law(pipeline)


@pytest.mark.anyio
async def test_it_is_said_once_in_a_run_and_again_in_the_next(hearing):
    pipeline = AsyncTaskPipeline(1, warn_after=0.01).add_stage("same", same)
    for run in (1, 2):
        async with pipeline, create_task_group() as tg:
            tg.start_soon(pipeline.process_input_stream, range(10))
            await until(lambda run=run: len(hearing.lines) == run)
            for _ in range(3):
                await anext(pipeline.output())
                await until_waiting(pipeline)
            tg.cancel_scope.cancel()
    assert len(hearing.lines) == 2


@pytest.mark.anyio
async def test_with_none_nothing_is_watched(hearing):
    pipeline = AsyncTaskPipeline(1, warn_after=None).add_stage("same", same)
    async with pipeline, create_task_group() as tg:
        tg.start_soon(pipeline.process_input_stream, range(10))
        await until_waiting(pipeline)
        tg.cancel_scope.cancel()
    assert hearing.lines == []
    assert await drain(pipeline, range(10)) == [*range(10)]


class Output:
    """What is watched of an output: its link."""

    def __init__(self, size):
        self.link = Link(size)
        self.link.open()

    def fill(self):
        self.link.send([Item(each) for each in range(self.link.room)])


@pytest.fixture
def output():
    """A full output, which is closed in the end."""
    full = Output(2)
    full.fill()
    yield full
    full.link.close()


def test_no_timer_is_set_before_a_producer_waits(output):
    unread = UnreadOutput(10.0, output, lambda: True)
    assert unread.timer.at == math.inf
    unread.watch()
    assert unread.timer.at < math.inf


@pytest.mark.parametrize("change", ["read", "read and filled again", "room", "nobody waits"])
def test_nothing_is_said_of_what_is_read_or_waited_for_by_nobody(output, change, hearing):
    waits = [True]
    unread = UnreadOutput(10.0, output, lambda: waits[0])
    unread.watch()
    if change == "nobody waits":
        waits[0] = False
    else:
        output.link.pop()
        if change == "read and filled again":
            output.fill()
        if change == "room":
            unread._taken = output.link.taken
    unread._look()
    assert hearing.lines == []
    assert (unread._taken is None) == (change == "nobody waits")  # else it goes on watching
    output.fill()
    unread.watch()
    waits[0] = True
    unread._look()
    assert len(hearing.lines) == 1


def test_what_was_said_is_not_watched_for(output, hearing):
    unread = UnreadOutput(10.0, output, lambda: True)
    for _ in range(3):
        unread.watch()
        unread.watch()
        if unread._taken is not None:
            unread._look()
    assert len(hearing.lines) == 1


@pytest.mark.parametrize(
    ("value", "error"),
    [(0, ValueError), (-1.0, ValueError), (math.inf, ValueError), ("10", TypeError), (True, TypeError)],
)
def test_it_is_a_number_of_seconds_or_none(value, error):
    with pytest.raises(error, match=f"warn_after must be .* not {value!r}"):
        AsyncTaskPipeline(warn_after=value)
