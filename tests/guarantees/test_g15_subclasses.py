"""G15, subclasses: a class of the user's own is defined, overrides and keeps what it likes, as on 0.1.10.

The rule: what a method called on ``self`` in 0.1.10 it calls here, if a subclass has its own; what it does
not override costs nothing. A docstring says what 0.1.10 did if that was something else.
"""

from __future__ import annotations

import sys
import threading
from typing import Generic, TypeVar

import pytest
from anyio import CancelScope, create_task_group, to_thread

from async_task_pipeline import AsyncTaskPipeline
from tests.support.functions import same
from tests.support.gates import Gate
from tests.support.law import assert_law
from tests.support.waiting import drain, read, rest_of, until_waiting

pytestmark = pytest.mark.anyio

M = TypeVar("M")
S = TypeVar("S")


class Agent(AsyncTaskPipeline[M, S], Generic[M, S]):
    """As a program of 0.1.10 has it that passes its own type variables on."""


NEW_SYNTAX = """
from async_task_pipeline import AsyncTaskPipeline

class Agent[M, S](AsyncTaskPipeline[M, S]):
    pass
"""


async def test_a_generic_subclass_is_defined_and_runs():
    assert await drain(Agent[int, str]().add_stage("text", str), [1]) == ["1"]
    assert await drain(Agent().add_stage("text", str), [1]) == ["1"]
    if sys.version_info >= (3, 12):
        namespace = {"__name__": "__main__"}
        exec(NEW_SYNTAX, namespace)
        assert await drain(namespace["Agent"][int, str]().add_stage("text", str), [1]) == ["1"]


class Puts(AsyncTaskPipeline):
    """Notes each item, and the thread of each put, before it is put."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.data, self.instants, self.threads = [], [], []

    def note(self, data, created_at):
        self.data.append(data)
        self.instants.append(created_at)
        self.threads.append(threading.get_ident())


class Async(Puts):
    async def process_input_data(self, data, created_at):
        self.note(data, created_at)
        if data != "not me":
            await super().process_input_data(data, created_at)


class Sync(Puts):
    def put_input_data(self, data, created_at):
        self.note(data, created_at)
        if data != "not me":
            super().put_input_data(data, created_at)


async def stream(items):
    for each in items:
        yield each


SOURCES = {"async": stream, "list": list, "thread": iter, "generator": lambda items: (each for each in items)}
own = pytest.mark.parametrize("cls", [Async, Sync])


@own
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("form", ["process_input_stream", "process"])
async def test_a_stream_is_put_by_a_put_of_the_subclass(cls, source, form):
    """0.1.10: the same, for async streams; it had no others, and no ``process``."""
    now = 100.0
    pipeline = cls(2, enable_timing=True, clock=lambda: now).add_stage("same", same)
    items = SOURCES[source]([1, "not me", 2, 3, 4, 5])
    if form == "process":
        got = await drain(pipeline, items)
    else:
        async with pipeline, create_task_group() as tg:
            tg.start_soon(pipeline.process_input_stream, items)
            got = await read(pipeline, 5)
    assert got == [1, 2, 3, 4, 5]
    assert pipeline.data == [1, "not me", 2, 3, 4, 5]
    assert pipeline.instants == [100.0] * 6
    assert_law(pipeline)


async def test_an_item_is_put_by_the_put_of_the_subclass_in_a_thread():
    """0.1.10: the same: a put of its own may block."""
    async with Sync().add_stage("same", same) as pipeline:
        await pipeline.process_input_data(1, 0.5)
        await pipeline.process_input_data(2)
        assert await read(pipeline, 2) == [1, 2]
    assert pipeline.data == [1, 2]
    assert (pipeline.instants[0], type(pipeline.instants[1])) == (0.5, float)
    assert threading.get_ident() not in pipeline.threads


async def test_a_cancelled_put_of_a_subclass_waits_for_it():
    """0.1.10: it went on alone, and kept the process from ending."""
    gate = Gate("held")
    pipeline, scope = Sync(1).add_stage("gate", gate), CancelScope()

    async def put():
        with scope:
            await pipeline.process_input_data("waits", 0.0)

    async with pipeline, create_task_group() as tg:
        pipeline.put_input_data("held", 0.0)
        await gate.entered()
        pipeline.put_input_data("behind it", 0.0)
        tg.start_soon(put)
        await until_waiting(pipeline, 2)  # the call, and the put in its thread
        scope.cancel()
        gate.open()
        assert await read(pipeline, 3) == ["held", "behind it", "waits"]
    assert_law(pipeline)


async def test_a_stream_whose_put_fails_leaves_nothing_open():
    """0.1.10: the generator was left for the garbage collector."""
    closed = []

    class Failing(AsyncTaskPipeline):
        async def process_input_data(self, data, created_at):
            raise LookupError(data)

    def blocking():
        try:
            yield "in a thread"
        finally:
            closed.append("in a thread")

    async def source():
        try:
            yield "on the loop"
        finally:
            closed.append("on the loop")

    async with Failing().add_stage("same", same) as pipeline:
        for each in (source(), blocking()):
            with pytest.raises(LookupError):
                await pipeline.process_input_stream(each)
    assert closed == ["on the loop", "in a thread"]


async def test_a_sentinel_is_put_by_the_put_of_the_subclass():

    class Marking(AsyncTaskPipeline):
        def put_input_sentinel(self, sentinel):
            super().put_input_sentinel(f"<{sentinel}>")

    async with Marking().add_stage("same", same) as pipeline:
        await pipeline.process_input_sentinel("end")
        assert await read(pipeline, 1) == ["<end>"]


class Clearing(AsyncTaskPipeline):
    """Counts its clears."""

    clears = 0

    def clear(self):
        self.clears += 1
        return super().clear()


@pytest.mark.parametrize("thread", [False, True])
async def test_an_interrupt_calls_the_clear_of_a_subclass(thread):
    """0.1.10: the same, and what that got by ``super()`` dropped sentinels and the report too."""
    pipeline, gate = Clearing(enable_timing=True), Gate("held")
    pipeline.add_stage("gate", gate)
    async with pipeline:
        await pipeline.process_input_data("first", 0.0)
        assert await read(pipeline, 1) == ["first"]
        await pipeline.process_input_stream(["held", "stale"])
        await pipeline.process_input_sentinel("end")
        await gate.entered()
        if thread:
            receipt = await to_thread.run_sync(pipeline.interrupt_from_thread)
        else:
            receipt = await pipeline.interrupt()
        assert (pipeline.clears, receipt.total) == (1, 2)
        assert (pipeline.counter, pipeline.get_report().summary.total_items) == (3, 1)
        gate.open()
        await pipeline.process_input_data("new", 0.0)
        assert await read(pipeline, 2) == ["end", "new"]
        assert pipeline.clear().total == 0
        assert (pipeline.clears, pipeline.counter) == (2, 0)
        await pipeline.interrupt()
        assert pipeline.clears == 3
        assert await rest_of(pipeline) == []


async def test_an_interrupt_of_its_own_may_add_to_ours():
    heard = []

    class Listening(AsyncTaskPipeline):
        async def interrupt(self):
            heard.append(await super().interrupt())

    async with Listening().add_stage("same", same) as pipeline:
        await pipeline.interrupt()
    assert len(heard) == 1


class Busy(AsyncTaskPipeline):
    """Has names that this library has, too, with one underscore, with two and with none."""

    statistics = None

    def __init__(self):
        super().__init__(enable_timing=True)
        self._history = self._run = self._input = self._output = self._links = self._clock = "mine"
        self._supervisor = self._records = self._begin = self._current = "mine"
        self.__run = self.__supervisor = self.__records = self.__clock = self.__begin = "mine"

    def _append(self, *arguments):
        raise NotImplementedError

    _open = _append


async def test_names_of_its_own_break_nothing():
    """0.1.10: the same, but for a handful of names."""
    pipeline = Busy().add_stage("same", same)
    assert "no stages" not in repr(pipeline)
    assert await pipeline.collect([1, 2]) == [1, 2]
    assert pipeline._history == pipeline._run == pipeline._Busy__run == "mine"
    assert pipeline.statistics is None
    assert pipeline.get_report().summary.total_items == 2
    await pipeline.start()
    await pipeline.interrupt()
    pipeline.clear()
    repr(pipeline)
    await pipeline.stop()
