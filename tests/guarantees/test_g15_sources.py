"""G15, of sources: whatever can be iterated can be fed, in the place where it can be read.

The rule: what an iterable is decides where it is read and how it is closed, unless the user knows
better.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, suppress

import pytest
from anyio import create_task_group

from async_task_pipeline import AsyncTaskPipeline
from tests.support.functions import same

pytestmark = pytest.mark.anyio


async def feed_by_process(pipeline, source, **options):
    async with pipeline.process(source, **options) as results:
        return [each async for each in results]


async def feed_by_stream(pipeline, source, **options):
    results = []

    async def read():
        # An error of the source is the output's too, and for who feeds to tell.
        with suppress(LookupError, sqlite3.ProgrammingError):
            results.extend([each async for each in pipeline.generate_output_stream()])

    error = None
    async with pipeline, create_task_group() as tg:
        tg.start_soon(read)
        try:
            await pipeline.process_input_stream(source, close_input=True, **options)
        except Exception as exc:
            error = exc  # in the task group it would be one of a group
            tg.cancel_scope.cancel()
    if error is not None:
        raise error
    return results


@pytest.fixture(params=[feed_by_process, feed_by_stream])
def fed(request):
    """Feed a source to a pipeline of one stage, in each way; return what comes out."""

    def fed(source, **options):
        return request.param(AsyncTaskPipeline().add_stage("same", same), source, **options)

    return fed


async def test_a_cursor_is_read_in_the_threads_it_is_bound_to(fed):
    with closing(sqlite3.connect(":memory:")) as database:
        rows = "SELECT 1 UNION SELECT 2 UNION SELECT 3"
        assert await fed(database.execute(rows), in_thread=False) == [(1,), (2,), (3,)]
        with pytest.raises(sqlite3.ProgrammingError, match="thread"):
            await fed(database.execute(rows))


@pytest.mark.parametrize("in_thread", [True, False])
async def test_a_generator_is_iterated_and_closed_where_it_is_said_to_be(fed, in_thread):
    threads = []

    def source():
        try:
            for number in range(300):  # more than there is room for
                threads.append(threading.get_ident())
                yield number
        finally:
            threads.append(threading.get_ident())

    assert await fed(source(), in_thread=in_thread) == [*range(300)]
    assert ({*threads} == {threading.get_ident()}) is not in_thread


async def test_a_generator_on_the_loop_is_closed_when_the_block_is_left():
    closed = []

    def endless():
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    async with AsyncTaskPipeline().add_stage("same", same).process(endless(), in_thread=False) as results:
        async for _ in results:
            break
    assert closed == [True]


@pytest.mark.parametrize("source", [[1, 2], (each for each in (1, 2))])
async def test_where_to_read_is_a_bool(fed, source):
    with pytest.raises(TypeError, match="in_thread must be a bool, not 'no'"):
        await fed(source, in_thread="no")


class Rows:
    """An async iterator that is no generator."""

    def __init__(self, fails=False):
        self.closed = 0
        self._rows = iter([1, 2])
        self._fails = fails

    def __aiter__(self):
        return self

    async def __anext__(self):
        for row in self._rows:
            return row
        raise LookupError if self._fails else StopAsyncIteration

    async def aclose(self):
        self.closed += 1


async def test_an_async_iterator_is_closed(fed):
    rows, failing = Rows(), Rows(fails=True)
    assert await fed(rows) == [1, 2]
    with pytest.raises(LookupError):
        await fed(failing)
    assert (rows.closed, failing.closed) == (1, 1)


@pytest.mark.parametrize(
    ("source", "what"), [("file.txt", "characters"), (b"ab", "bytes"), (bytearray(b"ab"), "bytes"), ("", "characters")]
)
async def test_a_text_is_no_source(fed, source, what):
    with pytest.raises(TypeError) as caught:
        await fed(source)
    assert str(caught.value).partition(" must be ")[2] == (
        f"an iterable of items, not {source!r}, whose items are its {what}: for a single item put it in a list, "
        "for the lines of a file open it"
    )
