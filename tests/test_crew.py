"""Several workers: whoever waits is told, and nobody else has to be asked.

The rule: a worker that is forgotten shows as a hang, since each of the first tests needs all of
them. Where a moment is a few instructions long, the crew is taken through it by hand.
"""

from __future__ import annotations

import threading
from types import SimpleNamespace

import anyio
import pytest

from async_task_pipeline import AsyncTaskPipeline
from async_task_pipeline._items import Control
from async_task_pipeline._links import Link
from async_task_pipeline._parking import Need
from async_task_pipeline._stage import PipelineStage
from async_task_pipeline._workers._crew import Crew
from async_task_pipeline._workers._sessions import Tools
from async_task_pipeline._workers._thread_worker import ThreadWorker
from tests.cancelling import assert_law

on_every_backend = pytest.mark.anyio

WORKERS = 3


class Meeting:
    """Where calls meet: none returns before there are as many as workers."""

    def __init__(self):
        self.barrier = threading.Barrier(WORKERS, timeout=10)
        self.waiting = 0
        self.all_here = anyio.Event()

    def in_threads(self, value):
        self.barrier.wait()
        return value

    async def on_loop(self, value):
        self.waiting += 1
        if self.waiting == WORKERS:
            self.waiting = 0
            self.all_here.set()
            self.all_here = anyio.Event()
        else:
            with anyio.fail_after(10):
                await self.all_here.wait()
        return value


async def put_and_get(pipeline, output, values):
    for value in values:
        await pipeline.process_input_data(value, 0.0)
    return sorted([await anext(output) for _ in values])


@on_every_backend
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("kind", ["in_threads", "on_loop"])
async def test_as_many_workers_are_told_as_there_are_items(kind, ordered):
    pipeline = AsyncTaskPipeline().add_stage("meet", getattr(Meeting(), kind), workers=WORKERS, ordered=ordered)
    async with pipeline:
        output = pipeline.generate_output_stream()
        for start in range(0, 30 * WORKERS, WORKERS):
            values = list(range(start, start + WORKERS))
            assert await put_and_get(pipeline, output, values) == values


@on_every_backend
@pytest.mark.parametrize("kind", ["in_threads", "on_loop"])
async def test_workers_that_waited_in_an_interrupt_are_not_counted_twice(kind):
    # With on_interrupt every worker, waiting or not, gets a new session.
    pipeline = AsyncTaskPipeline().add_stage(
        "meet", getattr(Meeting(), kind), workers=WORKERS, on_interrupt=lambda: None
    )
    async with pipeline:
        output = pipeline.generate_output_stream()
        for start in range(0, 30 * WORKERS, WORKERS):
            values = list(range(start, start + WORKERS))
            assert await put_and_get(pipeline, output, values) == values
            await pipeline.interrupt()


@on_every_backend
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_a_bound_of_one_moves_on(kind, ordered):
    async def double_on_loop(value):
        for _ in range(2):
            await anyio.lowlevel.checkpoint()
            yield value

    def double(value):
        # The worker's outbox holds one outcome, or the end of the call.
        yield value
        yield value

    function = double if kind == "def" else double_on_loop
    pipeline = AsyncTaskPipeline(max_queue_size=1)
    pipeline.add_stage("double", function, workers=WORKERS, ordered=ordered)
    async with pipeline.process(range(300)) as results:
        received = [value async for value in results]
    expected = [value for value in range(300) for _ in range(2)]
    assert (received if ordered else sorted(received)) == expected


# -- by hand ------------------------------------------------------------------------------


def crew_of(workers, **options):
    """A crew that nobody hosts."""
    stage = PipelineStage("stage", lambda value: value, workers=workers, **options)
    link, waker = Link(10), SimpleNamespace(wake=lambda: None, post=lambda _: True, pending=False)
    tools = Tools(limit=10, clock=None, waker=waker, notify=lambda: None)

    def new_seat(worker, seated):
        return SimpleNamespace(worker=worker, session=seated(worker.session()))

    members = [ThreadWorker(stage, link, tools) for _ in range(workers)]
    return Crew(stage, link, members, new_seat, limit=10, wake=lambda: None)


def park(session):
    """A thread that waits for an item, as a worker's does."""
    thread = threading.Thread(target=session._parking.park, args=(Need.ITEM, session._has_item))
    thread.start()
    while session._parking._need is None:
        pass  # a few instructions
    return thread


def test_an_item_is_not_left_to_a_worker_that_has_just_become_stale():
    crew = crew_of(2)
    stale, fresh = [seat.session for seat in crew.seats]
    threads = [park(stale), park(fresh)]
    stale.stale = True
    crew.link.buffer.append("item")
    crew.arrived()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    with pytest.raises(IndexError):
        stale.take()
    assert fresh.take() == "item"


@pytest.mark.parametrize("ordered", [True, False])
def test_a_call_is_written_off_and_what_its_worker_did_before_is_not(ordered):
    crew = crew_of(1, ordered=ordered)
    (session,) = [seat.session for seat in crew.seats]
    crew.link.buffer.extend(["first", "second"])
    session.returned(session.take(), None, 0.0, 0.0)
    session.ended()
    assert session.take() == "second"
    assert crew.write_off(session, late := TimeoutError("late"))
    assert (session.stale, session.late) == (True, True)
    assert not crew.collect()
    first, failure = crew.outbox
    assert first == "first"
    assert type(failure) is Control
    assert failure.value is late
    assert len(crew.places) == 0


@on_every_backend
async def test_a_call_that_has_ended_by_the_time_it_would_be_overdue_is_left_alone():
    pipeline = AsyncTaskPipeline().add_stage("stage", lambda value: value, timeout=1000)
    with anyio.fail_after(10):
        async with pipeline:
            output = pipeline.generate_output_stream()
            await pipeline.process_input_data(1)
            assert await anext(output) == 1
            (runner,) = pipeline._AsyncTaskPipeline__run.runners
            (seat,) = runner.staff.seats
            runner._overdue(seat.session)
            assert not seat.session.stale
            await pipeline.process_input_data(2)
            assert await anext(output) == 2
    assert_law(pipeline)
