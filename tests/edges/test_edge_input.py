"""Input at its edges: late threads, sources side by side, what is cancelled or breaks while it is fed.

The rule: who puts is answered once, and truly: a put raises only if its item was not accepted. Whoever
feeds beside others gets a share of the room. What a source raises is told, whatever else ends its reading.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from contextlib import suppress

import pytest
from anyio import CancelScope, create_task_group, fail_after, sleep_forever, to_thread
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline, PipelineStateError, PipelineStoppedError
from async_task_pipeline._posting import Waker
from tests.cancelling import assert_law
from tests.faults.test_input import ASYNCIO
from tests.interrupts.scenes import PATIENCE, Gate, rest_of, until, waiting

pytestmark = pytest.mark.anyio


async def same(data):
    if data == "fails":
        raise LookupError(data)
    return data


async def held(data):
    await sleep_forever()


@pytest.mark.parametrize("put", ["put_from_thread", "put_sentinel_from_thread"])
@pytest.mark.parametrize("ending", ["close_input", "stop", "failure"])
async def test_a_thread_whose_request_is_heard_after_the_end_is_answered_once(ending, put, monkeypatch, caplog):
    asking, ended, heard = threading.Event(), threading.Event(), []
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    post = Waker.post

    def late_post(waker, function):
        if threading.current_thread() is thread:
            asking.set()
            assert ended.wait(PATIENCE / 2)
        return post(waker, function)

    def ask():
        try:
            heard.append(getattr(turn, put)("late"))
        except PipelineStateError as exc:
            heard.append(type(exc))

    monkeypatch.setattr(Waker, "post", late_post)
    thread = threading.Thread(target=ask)
    with fail_after(PATIENCE):
        await pipeline.start()
        async with pipeline.turn() as turn:
            thread.start()
            await to_thread.run_sync(asking.wait, PATIENCE / 2)
        if ending == "failure":
            await pipeline.process_input_data("fails")
            await until(lambda: not pipeline.running)
        elif ending == "stop":
            await pipeline.stop()
        else:
            pipeline.close_input()
        ended.set()
        await to_thread.run_sync(thread.join)  # its request has been heard when this has been
        with suppress(LookupError):
            await pipeline.stop()
    assert len(heard) == 1
    assert issubclass(heard[0], PipelineStateError)
    assert [each.name for each in caplog.records if each.levelname in ("ERROR", "CRITICAL")] in (
        [],
        ["async_task_pipeline"],  # which says that the pipeline failed
    )
    assert_law(pipeline)


def shares(names: dict[str, int], total: int) -> None:
    """Nobody had less than a quarter of an equal share."""
    assert min(names.values()) >= total / len(names) / 4, names


@pytest.mark.parametrize("size", [1, 100])
@pytest.mark.parametrize("tasks", [0, 1, 2])
async def test_all_who_feed_at_once_share_the_room(tasks, size):
    """Each of them has something to put whenever there is room, so nobody is slow by chance."""
    rounds, threads, got = 20, 1 if tasks else 2, dict.fromkeys(["thread", "task" if tasks else "other thread"], 0)
    pipeline = AsyncTaskPipeline(size).add_stage("same", same)

    async def put():
        while True:
            await pipeline.process_input_data("task")

    def all_wait() -> bool:
        feeds = getattr(
            pipeline._AsyncTaskPipeline__run.entrance.feeds, "_feeds", pipeline._AsyncTaskPipeline__run.entrance.feeds
        )
        everywhere = pipeline.statistics().inside == 3 * size  # two links and one worker
        return everywhere and waiting(pipeline) >= tasks and [len(each.read) for each in feeds] == [size] * threads

    with fail_after(PATIENCE):
        async with pipeline, create_task_group() as tg:
            for _ in range(tasks):
                tg.start_soon(put)
            for name in got:
                if name != "task":
                    tg.start_soon(pipeline.process_input_stream, itertools.cycle([name]))
            output = pipeline.generate_output_stream()
            for _ in range(8 * size):  # let in before all were there
                await anext(output)
            for _ in range(rounds):
                await until(all_wait)
                for _ in range(size):
                    got[await anext(output)] += 1
            tg.cancel_scope.cancel()
    shares(got, rounds * size)


@pytest.mark.parametrize("by_turn", [False, True])
async def test_a_sentinel_of_a_thread_takes_the_place_of_the_oldest_item(by_turn):
    gate = Gate(0)
    pipeline = AsyncTaskPipeline(2, overflow="drop_oldest").add_stage("gate", gate)

    def dropped() -> int:
        return pipeline.statistics().overflowed

    async def put(sentinel):
        await to_thread.run_sync(turn.put_sentinel_from_thread if by_turn else pipeline.put_input_sentinel, sentinel)

    with fail_after(PATIENCE):
        async with create_task_group() as tg, pipeline, pipeline.turn() as turn:
            await pipeline.process_input_data(0)
            await gate.entered()
            for number in (1, 2):
                await pipeline.process_input_data(number)
            for count, sentinel in enumerate(["first", "second"], 1):
                tg.start_soon(put, sentinel)
                await until(lambda count=count: dropped() == count or waiting(pipeline))
                if waiting(pipeline):
                    gate.opened.set()
                    pytest.fail("it waits")
            tg.start_soon(put, "third")  # nothing but sentinels waits: they are not lost
            await until(lambda: waiting(pipeline) == 1)
            assert dropped() == 2
            gate.opened.set()
            await until(lambda: not waiting(pipeline))
            assert await rest_of(pipeline) == [0, "first", "second", "third"]


@ASYNCIO
@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
@pytest.mark.parametrize("ticks", range(4))
async def test_a_natively_cancelled_put_raises_only_if_its_item_was_not_accepted(ticks, overflow):
    gate = Gate(0)
    pipeline = AsyncTaskPipeline(1, overflow=overflow).add_stage("gate", gate)
    with fail_after(PATIENCE):
        async with pipeline, pipeline.turn() as turn:
            await pipeline.process_input_data(0)
            await gate.entered()
            await pipeline.process_input_data(1)
            outcomes = []
            for put in (pipeline.process_input_data, turn.put):
                before = pipeline.statistics().accepted
                task = asyncio.create_task(put(2))
                for _ in range(ticks):
                    await asyncio.sleep(0)
                task.cancel()
                (raised,) = await asyncio.gather(task, return_exceptions=True)
                outcomes.append((pipeline.statistics().accepted - before, raised is None))
            gate.opened.set()
    assert all(accepted == returned for accepted, returned in outcomes), outcomes
    assert_law(pipeline)


def breaks(exc):
    yield 1
    raise exc


async def breaks_on_loop(exc):
    yield 1
    raise exc


@pytest.mark.parametrize("source", [breaks, breaks_on_loop])
@pytest.mark.parametrize("exception", [PipelineStateError, PipelineStoppedError])
async def test_a_state_error_of_the_source_itself_is_raised_when_the_block_is_left(source, exception):
    exc = exception("of another pipeline, which is the source")
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    with fail_after(PATIENCE), pytest.raises(exception) as caught:
        async with pipeline.process(source(exc)):
            await until(lambda: pipeline.statistics().output_depth == 2)  # the item, and the end with the error
    assert caught.value is exc


def breaks_early(broken):
    yield from range(7)
    broken.set()
    raise OSError("disk gone")


def breaks_at_its_close(broken):
    try:
        for number in itertools.count():
            if number == 7:
                broken.set()
            yield number
    finally:
        raise OSError("disk gone")


@pytest.mark.parametrize("source", [breaks_early, breaks_at_its_close])
@pytest.mark.parametrize("form", ["process", "process_input_stream"])
async def test_an_error_of_a_source_in_a_thread_is_not_lost_when_its_reader_is_cancelled(form, source):
    """It has been read and not accepted yet: of 7 items, 6 find room and 1 is ahead."""
    broken, pipeline = threading.Event(), AsyncTaskPipeline(2).add_stage("same", same)

    async def feed(scope):
        with scope:
            if form == "process":
                async with pipeline.process(source(broken)):
                    await until(broken.is_set)
                    scope.cancel()
                    await checkpoint()
            else:
                async with pipeline, create_task_group() as tg:
                    tg.start_soon(cancel, scope)
                    await pipeline.process_input_stream(source(broken))

    async def cancel(scope):
        await until(broken.is_set)
        scope.cancel()

    with fail_after(PATIENCE), pytest.raises((OSError, ExceptionGroup)) as caught:
        await feed(CancelScope())
    error = caught.value
    while isinstance(error, ExceptionGroup):
        (error,) = error.exceptions
    assert error.args == ("disk gone",)


class ToTheEnd:
    """A blocking source that says when its reader has been told that it is over."""

    def __init__(self) -> None:
        self.numbers = iter(range(3))
        self.may_end, self.over = threading.Event(), threading.Event()

    def __iter__(self):
        return self

    def __next__(self):
        for number in self.numbers:
            return number
        assert self.may_end.wait(PATIENCE / 2)
        self.over.set()
        raise StopIteration


async def test_a_source_that_was_wholly_fed_does_not_mind_what_is_closed_afterwards():
    source, pipeline = ToTheEnd(), AsyncTaskPipeline().add_stage("same", same)

    async def feed():
        await pipeline.process_input_stream(source, close_input=False)

    with fail_after(PATIENCE):
        async with pipeline, create_task_group() as tg:
            tg.start_soon(feed)
            output = pipeline.generate_output_stream()
            assert [await anext(output) for _ in range(3)] == [0, 1, 2]
            source.may_end.set()
            assert source.over.wait(PATIENCE / 2)  # blocks the loop: only the thread knows that it is over
            pipeline.close_input()
    assert pipeline.statistics().accepted == 3


async def test_a_date_beyond_all_numbers_is_a_wrong_value():
    with fail_after(PATIENCE):
        async with AsyncTaskPipeline().add_stage("same", same) as pipeline, pipeline.turn() as turn:
            for put in (pipeline.process_input_data, turn.put):
                with pytest.raises(ValueError, match="created_at"):
                    await put(1, created_at=-(10**400))
            for put in (pipeline.put_input_data, turn.put_from_thread):
                with pytest.raises(ValueError, match="created_at"):
                    put(1, created_at=-(10**400))
