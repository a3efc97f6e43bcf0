"""The short names beside those of 0.1.10, and a whole job in one call.

The rule: each is another name for what a longer one does, or for a block of three lines, and no way of
its own; what a subclass has overridden is called by either name.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from functools import partial
from typing import Any

import anyio
import pytest
from anyio import CancelScope, WouldBlock, create_task_group, to_thread

from async_task_pipeline import AsyncTaskPipeline, PipelineStateError
from tests.support.backends import ASYNCIO_LOOPS, TRIO
from tests.support.functions import same, same_on_loop
from tests.support.gates import Gate
from tests.support.law import assert_law
from tests.support.waiting import read, rest_of, until_waiting

pytestmark = pytest.mark.anyio


def reciprocal(value: Any) -> Any:
    return 1 / value


# -- names --------------------------------------------------------------------------------------


async def test_put_put_sentinel_and_output_are_what_a_turn_calls_them() -> None:
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        await pipeline.put(1)
        await pipeline.put_sentinel(None)
        await to_thread.run_sync(pipeline.put_from_thread, 2)
        await to_thread.run_sync(pipeline.put_sentinel_from_thread, "end")
        async with pipeline.turn() as turn:
            await turn.put(3)
        assert [await anext(pipeline.output()) for _ in range(4)] == [1, None, 2, "end"]
        assert await rest_of(pipeline) == [3]


async def test_put_takes_an_instant() -> None:
    async with AsyncTaskPipeline(enable_timing=True, clock=lambda: 10.0).add_stage("same", same) as pipeline:
        await pipeline.put(1, 4.0)
        await pipeline.put(1, created_at=4.0)
        await to_thread.run_sync(pipeline.put_from_thread, 1, 4.0)
        await read(pipeline, 3)
        with pytest.raises(TypeError, match="created_at"):
            await pipeline.put(1, "yesterday")
    assert [item.get_total_latency() for item in pipeline.completed_items] == [6.0] * 3


async def test_a_put_from_a_thread_is_refused_on_the_loops_thread_though_there_is_room() -> None:
    async with AsyncTaskPipeline().add_stage("same", same) as pipeline:
        for put in (pipeline.put_from_thread, pipeline.put_sentinel_from_thread):
            with pytest.raises(PipelineStateError, match="another thread than the event loop's"):
                put(1)


async def test_each_says_when_the_pipeline_is_not_running() -> None:
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    for put in (pipeline.put, pipeline.put_sentinel):
        with pytest.raises(PipelineStateError, match="not running"):
            await put(1)
    for put in (pipeline.put_from_thread, pipeline.put_sentinel_from_thread):
        with pytest.raises(PipelineStateError, match="not running"):
            await to_thread.run_sync(put, 1)


class Puts(AsyncTaskPipeline[Any, Any]):
    """Overrides what 0.1.10 had, and takes the short names for something else."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []
        self.output = self.collect = self.process = "mine"  # type: ignore[method-assign,assignment]

    async def process_input_data(self, data: Any, created_at: float | None = None) -> None:
        self.seen.append(data)
        await super().process_input_data(data, created_at)

    def put_input_sentinel(self, sentinel: Any) -> None:
        self.seen.append(sentinel)
        super().put_input_sentinel(sentinel)


async def test_what_a_subclass_overrides_is_called_by_the_short_names_too() -> None:
    async with Puts().add_stage("same", same) as pipeline:
        await pipeline.put(1)
        await pipeline.put_sentinel(2)
        await to_thread.run_sync(pipeline.put_sentinel_from_thread, 3)
        assert await read(pipeline, 3) == [1, 2, 3] == pipeline.seen


def test_a_subclass_of_0_1_10_may_use_the_short_names_for_itself() -> None:
    pipeline = Puts().add_stage("same", same)
    assert pipeline.run_sync([1, 2]) == [1, 2] == pipeline.seen


# -- collect ------------------------------------------------------------------------------------


async def numbers() -> Any:
    for number in range(3):
        yield number


@pytest.mark.parametrize("source", [lambda: range(3), lambda: iter(range(3)), numbers])
async def test_collect_is_a_list_of_all_that_comes_out(source: Any) -> None:
    pipeline = AsyncTaskPipeline().add_stage("half", lambda x: x / 2)
    assert await pipeline.collect(source()) == [0.0, 0.5, 1.0]
    assert await pipeline.collect([]) == []  # and again
    assert not pipeline.running
    assert_law(pipeline)


async def test_collect_has_sentinels_and_returned_exceptions_in_their_places() -> None:
    pipeline = AsyncTaskPipeline(return_exceptions=True).add_stage("1/x", reciprocal)

    async def source() -> Any:
        yield 0
        await pipeline.put_sentinel("marker")
        yield 1

    got = await pipeline.collect(source())
    assert (type(got[0]), got[1:]) == (ZeroDivisionError, ["marker", 1.0])


async def test_collect_and_run_sync_put_as_sentinels_what_they_are_told_to() -> None:
    pipeline = AsyncTaskPipeline().add_stage("half", lambda x: x / 2)
    assert await pipeline.collect([2, "end", 4], sentinels=lambda each: isinstance(each, str)) == [1.0, "end", 2.0]
    run_sync = partial(pipeline.run_sync, [2, None], sentinels=lambda each: each is None)
    assert await to_thread.run_sync(run_sync) == [1.0, None]
    with pytest.raises(TypeError, match="sentinels"):
        await pipeline.collect([2], sentinels="end")


async def test_collect_raises_what_a_stage_raised_or_the_source() -> None:
    pipeline = AsyncTaskPipeline().add_stage("1/x", reciprocal)
    with pytest.raises(ZeroDivisionError):
        await pipeline.collect([1, 0])
    with pytest.raises(LookupError, match="source"):
        await pipeline.collect(fails_at_once())
    with pytest.raises(TypeError, match="source must be an iterable of items, not 'text'"):
        await pipeline.collect("text")
    assert_law(pipeline)


def fails_at_once() -> Any:
    raise LookupError("source")
    yield


async def test_collect_that_is_cancelled_leaves_nothing_behind() -> None:
    gate, scope = Gate(1), CancelScope()
    pipeline = AsyncTaskPipeline(1).add_stage("gate", gate)

    async def collect() -> None:
        with scope:
            await pipeline.collect(range(1000))

    async with create_task_group() as tg:
        tg.start_soon(collect)
        await gate.entered()
        scope.cancel()
        gate.open()
    assert scope.cancelled_caught
    assert pipeline.statistics().inside == 0
    assert_law(pipeline)


# -- run_sync -----------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", [*ASYNCIO_LOOPS, TRIO])
@pytest.mark.parametrize("stage", [same, same_on_loop])
def test_run_sync_needs_no_loop(loop: tuple[str, dict[str, Any]], stage: Any) -> None:
    backend, options = loop
    pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("same", stage)
    for _ in range(2):  # each time on a loop of its own
        assert pipeline.run_sync(range(5), backend=backend, backend_options=options) == list(range(5))
    assert pipeline.get_report() is not None
    assert pipeline.statistics().delivered == 10
    assert_law(pipeline)


def test_run_sync_raises_the_very_object() -> None:
    with pytest.raises(ZeroDivisionError):
        AsyncTaskPipeline().add_stage("1/x", reciprocal).run_sync([0])


async def test_run_sync_where_a_loop_runs_says_what_to_write() -> None:
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    with pytest.raises(PipelineStateError, match=r"'await pipeline\.collect\(source\)'"):
        pipeline.run_sync([1])
    assert await to_thread.run_sync(pipeline.run_sync, [1]) == [1]  # in another thread there is none


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"source": "text"}, TypeError, "source must be an iterable of items"),
        ({"source": 3}, TypeError, "source must be an iterable or an async iterable, not 3"),
        ({"source": [], "in_thread": "no"}, TypeError, "in_thread must be a bool, not 'no'"),
        ({"source": [], "sentinels": "end"}, TypeError, "sentinels"),
        ({"source": [], "backend": "curio"}, ValueError, r"backend must be one of \('asyncio', 'trio'\), not 'curio'"),
    ],
)
def test_run_sync_finds_mistakes_before_a_loop_runs(arguments: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        AsyncTaskPipeline().add_stage("same", same).run_sync(**arguments)


@pytest.mark.parametrize("loop", [*ASYNCIO_LOOPS, TRIO])
async def test_a_stage_in_a_thread_may_run_a_pipeline_on_a_loop_of_its_own(loop: Any) -> None:
    """The context of its calls has not the name of the outer loop's library."""
    backend, options = loop

    def inner(value: int) -> list[int]:
        pipeline = AsyncTaskPipeline[int, Any]().add_stage("double", lambda x: 2 * x)
        return pipeline.run_sync([value], backend=backend, backend_options=options)

    assert await AsyncTaskPipeline().add_stage("inner", inner).collect([1, 2]) == [[2], [4]]


# -- what is written in place of ``async with`` -------------------------------------------------


async def loop_over(thing: Any) -> None:
    for _ in thing:
        pass


async def enter(thing: Any) -> None:
    with thing:
        pass


async def await_(thing: Any) -> None:
    await thing


async def loop_over_async(thing: Any) -> None:
    async for _ in thing:
        pass


JOB = "'async with pipeline.process(source) as results:'"


@pytest.mark.parametrize(
    ("mistake", "written", "advice"),
    [
        (loop_over_async, "'async for' over pipeline.process(...)", "'async for result in pipeline.output():'"),
        (await_, "'await pipeline.process(...)'", None),
        (loop_over, "'for' over pipeline.process(...)", JOB),
        (enter, "'with pipeline.process(...)'", "'async with pipeline:'"),
    ],
)
async def test_what_is_not_written_as_async_with_says_what_to_write(mistake: Any, written: str, advice: str) -> None:
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    with pytest.raises(TypeError) as caught:
        await mistake(pipeline.process([1]))
    assert str(caught.value).startswith(written)
    assert JOB in str(caught.value)
    assert "'results = await pipeline.collect(source)'" in str(caught.value)
    if advice is not None:  # that of the pipeline itself
        with pytest.raises(TypeError) as caught:
            await mistake(pipeline)
        assert advice in str(caught.value)
    assert await pipeline.collect([1]) == [1]


async def test_entering_twice_is_the_documented_error() -> None:
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    job = pipeline.process([1])
    async with job as results:
        assert [each async for each in results] == [1]
        with pytest.raises(PipelineStateError, match="entered once"):
            async with job:
                pass
    with pytest.raises(PipelineStateError, match="entered once"):
        await job.__aenter__()
    async with pipeline:
        for again in (pipeline, pipeline.process([1])):
            with pytest.raises(PipelineStateError, match=r"entered already|still running"):
                async with again:
                    pass
        await pipeline.put(1)
        assert await rest_of(pipeline) == [1]
    async with pipeline:
        await pipeline.stop()
        with pytest.raises(PipelineStateError, match="entered already"):
            async with pipeline:
                pass
    with pytest.raises(PipelineStateError, match="not entered"):
        await pipeline.__aexit__(None, None, None)
    assert await pipeline.collect([2]) == [2]


async def test_put_waits_for_room() -> None:
    gate = Gate()
    async with AsyncTaskPipeline(1).add_stage("gate", gate) as pipeline, create_task_group() as tg:
        with pytest.raises(WouldBlock):
            while True:
                pipeline.put_input_data(1)
        tg.start_soon(pipeline.put, 2)
        tg.start_soon(partial(to_thread.run_sync, pipeline.put_from_thread, 2))
        await until_waiting(pipeline, 2)
        gate.open()
        pipeline.clear()


# -- a script -----------------------------------------------------------------------------------


def test_a_script_of_two_lines_ends() -> None:
    script = "from async_task_pipeline import AsyncTaskPipeline\n"
    script += "print(AsyncTaskPipeline().add_stage('double', lambda x: 2 * x).run_sync(range(3)))"
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("[0, 2, 4]\n", "")


@pytest.mark.parametrize("runs", [asyncio.run, partial(anyio.run, backend="trio")])
def test_collect_needs_nothing_of_anyio_around_it(runs: Any) -> None:
    async def main() -> list[Any]:
        return await AsyncTaskPipeline().add_stage("same", same).collect([1])

    assert runs(main() if runs is asyncio.run else main) == [1]
