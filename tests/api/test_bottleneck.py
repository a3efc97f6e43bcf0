"""Which stage a report says is limiting, in a time that is counted and never waited for.

The rule: stages sleep on a clock that moves only when nothing else can, so every run takes exactly as
long as it must, and the faster of two runs is faster on every machine.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
from anyio import CancelScope, Event, create_task_group
from anyio.lowlevel import checkpoint

from async_task_pipeline import (
    AsyncTaskPipeline,
    Bottleneck,
    LatencySummary,
    Percentiles,
    PipelineStage,
    StageStatistics,
    TimingBreakdown,
)
from async_task_pipeline._counts import Spent
from async_task_pipeline._timing._advice import Limits, bottlenecks
from tests.support.functions import same, same_on_loop
from tests.support.waiting import drain, until

pytestmark = pytest.mark.anyio

Pipeline = AsyncTaskPipeline[Any, Any]


LOOKS = 20
"""Turns of the loop without anything new after which everybody is known to sleep or to wait: what one
wakes moves on in a few."""


class CountedTime:
    """A clock, and a sleep that ends as soon as nothing else can happen before."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleeping: list[tuple[float, int, Event]] = []
        self._numbers = itertools.count()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken = Event()
        heapq.heappush(self._sleeping, (self.now + seconds, next(self._numbers), woken))
        await woken.wait()

    async def serve(self) -> None:
        """Move on whenever nobody goes to sleep any more."""
        while True:
            looks, seen = 0, -1
            while looks < LOOKS or not self._sleeping:
                looks, seen = (looks + 1 if seen == len(self._sleeping) else 0), len(self._sleeping)
                await checkpoint()
            self.now = self._sleeping[0][0]
            while self._sleeping and self._sleeping[0][0] == self.now:
                heapq.heappop(self._sleeping)[2].set()


def stage(time: CountedTime, seconds: float) -> Any:
    async def spend(data: Any) -> Any:
        await time.sleep(seconds)
        return data

    return spend


async def summed_up(time: CountedTime, pipeline: Pipeline, source: Any, *, pause: float = 0.0) -> LatencySummary:
    """Run it to its end, with a consumer that takes so long for each result."""
    async with create_task_group() as tasks:
        tasks.start_soon(time.serve)
        async with pipeline.process(source) as results:
            async for _ in results:
                if pause:
                    await time.sleep(pause)
        tasks.cancel_scope.cancel()
    return summary_of(pipeline)


def summary_of(pipeline: Pipeline) -> LatencySummary:
    return pipeline.get_report(include_item_details=False).summary


def counted(size: int = 100) -> tuple[CountedTime, Pipeline]:
    """A clock, and a pipeline that goes by it."""
    time = CountedTime()
    return time, Pipeline(size, enable_timing=True, clock=time)


async def two_stages(workers_of_a: int, workers_of_b: int, items: int = 300) -> tuple[LatencySummary, float]:
    """A takes 50 ms, B 5 ms; the report, and how long the items took."""
    time, pipeline = counted()
    pipeline.add_stage("A", stage(time, 0.05), workers=workers_of_a)
    pipeline.add_stage("B", stage(time, 0.005), workers=workers_of_b)
    began = time.now
    return await summed_up(time, pipeline, [*range(items)]), time.now - began


@pytest.mark.parametrize(("workers", "named"), [((50, 1), "B"), ((100, 1), "B"), ((50, 4), "B"), ((50, 8), "A")])
async def test_it_is_the_stage_whose_workers_are_busiest_and_more_of_those_make_the_run_faster(workers, named):
    """2e6282e: always A, which had spent most seconds, by 50 workers at once."""
    items = 150 if named == "B" else 300
    summary, seconds = await two_stages(*workers, items)
    assert summary.bottleneck == named
    assert [each.name for each in summary.bottlenecks] == [named]
    of_a, of_b = workers
    more, other = ((2 * of_a, of_b), (of_a, 2 * of_b))[:: 1 if named == "A" else -1]
    assert (await two_stages(*more, items))[1] < 0.9 * seconds
    assert (await two_stages(*other, items))[1] > 0.95 * seconds


async def test_two_that_are_close_are_both_named() -> None:
    summary, _ = await two_stages(50, 5)
    assert {each.name for each in summary.bottlenecks} == {"A", "B"}
    assert summary.bottleneck == summary.bottlenecks[0].name
    assert summary.advice == "give A and B more workers, or make a call faster"


async def test_the_evidence_is_the_busy_share_and_who_waited() -> None:
    time, pipeline = counted()
    pipeline.add_stage("quick", stage(time, 1.0), workers=2).add_stage("slow", stage(time, 4.0))
    summary = await summed_up(time, pipeline, [*range(6)])
    # Two come at once, after 1, 2 and 3 s; the last of them is ready after 25 s.
    assert summary.elapsed == 25.0
    quick, slow = summary.stage_statistics["quick"], summary.stage_statistics["slow"]
    assert (quick.workers, quick.busy_share) == (2, 6 / (2 * 25))
    assert (slow.workers, slow.busy_share) == (1, 24 / 25)
    assert slow.avg_queue_depth == (0 + 4 + 7 + 11 + 14 + 18) / 25
    assert summary.bottlenecks == [Bottleneck("slow", 24 / 25, 1, 54 / 25, 0)]
    assert summary.advice == "give slow more workers, or make a call faster"


async def test_a_call_of_a_batch_counts_once() -> None:
    time, pipeline = counted()

    async def batch(items: list[int]) -> list[int]:
        await time.sleep(4.0)
        return items

    pipeline.add_batch_stage("batch", batch, max_size=4, max_wait=60).add_stage("each", stage(time, 1.5))
    summary = await summed_up(time, pipeline, [*range(8)])
    assert summary.elapsed == 4 + 8 * 1.5
    assert summary.stage_statistics["batch"].busy_share == 8 / 16
    assert summary.bottleneck == "each"


async def test_what_is_filtered_or_failed_kept_its_worker_busy_too() -> None:
    time, pipeline = counted()

    async def refuse(number: int) -> int | None:
        await time.sleep(2.0)
        if number % 2:
            raise ValueError(number)
        return None

    pipeline.add_stage("refuse", refuse, on_error="drop")
    summary = await summed_up(time, pipeline, [*range(4)])
    assert (summary.total_items, summary.elapsed) == (0, 8.0)
    assert summary.stage_statistics["refuse"].busy_share == 1.0


async def test_the_values_of_a_generator_did_not_wait_for_one_another() -> None:
    time, pipeline = counted()

    async def three(number: int) -> AsyncIterator[int]:
        for _ in range(3):
            await time.sleep(1.0)
            yield number

    pipeline.add_stage("three", three)
    summary = await summed_up(time, pipeline, [1, 2])
    assert (summary.elapsed, summary.stage_statistics["three"].busy_share) == (6.0, 1.0)
    assert summary.stage_statistics["three"].avg_queue_depth == (0 + 3) / 6


async def test_a_pause_between_items_says_that_the_source_is_the_limit() -> None:
    time, pipeline = counted()

    async def seldom() -> AsyncIterator[int]:
        for number in range(4):
            await time.sleep(8.0)
            yield number

    pipeline.add_stage("work", stage(time, 2.0))
    summary = await summed_up(time, pipeline, seldom())
    assert (summary.elapsed, summary.bottleneck) == (26.0, "work")
    assert summary.advice == "the source is the limit: no stage was busy for more than 31 % of the time"


async def test_results_that_wait_for_room_say_that_the_consumer_is_the_limit() -> None:
    time, pipeline = counted(2)
    pipeline.add_stage("work", stage(time, 1.0))
    summary = await summed_up(time, pipeline, [*range(20)], pause=5.0)
    assert summary.advice == "the consumer is the limit: 2 results wait for room in the output, on average"


async def test_a_call_that_is_running_is_counted_until_now() -> None:
    time, pipeline = counted()
    entered, leave = Event(), Event()

    async def work(data: str) -> str:
        if data == "long":
            entered.set()
            await leave.wait()
        return data

    pipeline.add_stage("work", work, workers=2)
    async with pipeline:
        await pipeline.process_input_data("short")
        await anext(pipeline.generate_output_stream())
        await pipeline.process_input_data("long")
        await entered.wait()
        time.now += 50
        summary = summary_of(pipeline)
        assert (summary.elapsed, summary.stage_statistics["work"].busy_share) == (50.0, 0.5)
        time.now += 50
        leave.set()
        await anext(pipeline.generate_output_stream())
        time.now += 1000  # nothing inside: this is nobody's
        summary = summary_of(pipeline)
        assert (summary.elapsed, summary.stage_statistics["work"].busy_share) == (100.0, 0.5)


async def test_the_time_between_two_runs_does_not_count() -> None:
    time, pipeline = counted()
    pipeline.add_stage("work", stage(time, 2.0))
    await summed_up(time, pipeline, [*range(3)])
    time.now += 1000
    summary = await summed_up(time, pipeline, [*range(2)])
    assert (summary.elapsed, summary.stage_statistics["work"].busy_share) == (10.0, 1.0)


async def test_clear_begins_the_time_anew_also_for_a_call_that_outlasts_it() -> None:
    time, pipeline = counted()
    entered, leave = Event(), Event()

    async def work(number: int) -> int:
        if number == 1:
            entered.set()
            with CancelScope(shield=True):
                await leave.wait()
        time.now += 3
        return number

    pipeline.add_stage("work", work)
    async with pipeline:
        await pipeline.process_input_data(1)
        await entered.wait()
        time.now += 500
        pipeline.clear()
        time.now += 4
        leave.set()
        await pipeline.process_input_data(2)
        assert await anext(pipeline.generate_output_stream()) == 2
        summary = summary_of(pipeline)
    assert (summary.elapsed, summary.stage_statistics["work"].busy_share) == (10.0, 1.0)
    assert pipeline.stages[0].total_processing_time == 10.0


@pytest.mark.parametrize("end", ["interrupt", "stop"])
async def test_time_in_which_items_were_held_up_counts_also_if_they_were_dropped_then(end: str) -> None:
    time, pipeline = counted(1)

    async def work(number: int) -> int:
        time.now += 10
        return number

    pipeline.add_stage("work", work)
    async with pipeline:
        await pipeline.process_input_data(1)
        await pipeline.process_input_data(2)
        await until(lambda: pipeline.stages[0].total_processing_time == 20)
        time.now += 60
        assert summary_of(pipeline).elapsed == 80.0
        if end == "interrupt":
            await pipeline.interrupt()
            time.now += 1000
            assert summary_of(pipeline).elapsed == 80.0
    time.now += 1000
    summary = summary_of(pipeline)
    assert (summary.elapsed, summary.stage_statistics["work"].busy_share) == (80.0, 20 / 80)


async def test_the_way_to_a_process_and_back_keeps_its_worker_busy() -> None:
    pipeline = Pipeline(enable_timing=True).add_stage("len", len, executor="process")
    assert await drain(pipeline, [bytes(1_000_000)] * 20) == [1_000_000] * 20
    (counts,) = [each.counts for each in pipeline.stages]
    assert counts.crossing_seconds > counts.seconds > 0
    summary = summary_of(pipeline)
    busy = summary.stage_statistics["len"].busy_share * summary.elapsed
    assert busy == pytest.approx(counts.crossing_seconds + counts.seconds)


STATISTICS = StageStatistics(
    *(0.0, 0.0, 0.0, 0, 0.0, TimingBreakdown(0.0, 0.0, 0.0, 0.0)),
    *[Percentiles(0.0, 0.0, 0.0)] * 3,
    *(0.0, 0, 0, 0, 0.0),
)


def test_close_is_within_a_tenth_and_the_busiest_comes_first() -> None:
    shares = {"a": 0.7, "b": 0.73, "c": 0.8, "d": 0.0}
    found = bottlenecks({name: attrs.evolve(STATISTICS, busy_share=share) for name, share in shares.items()})
    assert [each.name for each in found] == ["c", "b"]
    assert bottlenecks({"d": STATISTICS}) == []


MORE = "give a more workers, or make a call faster"


@pytest.mark.parametrize(
    ("kinds", "shares", "numbers", "said"),
    [
        (["loop"], [0.95], {}, MORE),
        (["thread"], [0.95], {"cpu_share": 1.0}, MORE),
        (
            ["thread", "thread"],
            [0.95, 0.6],
            {"cpu_share": 0.98},
            'move a to processes (executor="process"): threads compete for the GIL, this process used 98 % of one core',
        ),
        (["thread", "thread"], [0.95, 0.6], {"cpu_share": 0.3}, MORE),
        (["thread", "thread"], [0.95, 0.6], {"cpu_share": 1.9}, MORE),
        (["process"], [0.95], {}, "make a faster: there is a worker for each of the 1 cores"),
        (
            ["loop"],
            [0.3],
            {"held_up": 3.2, "output_was_full": True},
            "the consumer is the limit: 3 results wait for room in the output, on average",
        ),
        (["loop"], [0.95], {"held_up": 3.2, "output_was_full": True}, MORE),
        # Behind many workers results wait for their turn, too.
        (
            ["loop"],
            [0.3],
            {"held_up": 3.2},
            "the source is the limit: no stage was busy for more than 30 % of the time",
        ),
        (
            ["loop"],
            [0.3],
            {"waiting_to_enter": 2.0},
            "no stage is always busy, and items wait to enter: try a larger max_queue_size, or ordered=False",
        ),
        (["loop"], [0.0], {}, ""),
    ],
)
def test_the_advice_follows_from_the_numbers(kinds, shares, numbers, said, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    monkeypatch.setattr("sys._is_gil_enabled", lambda: True, raising=False)
    made = [
        PipelineStage(name, same_on_loop if kind == "loop" else same, executor=None if kind == "loop" else kind)
        for name, kind in zip("ab", kinds, strict=False)
    ]
    statistics = {
        stage.name: attrs.evolve(STATISTICS, busy_share=share) for stage, share in zip(made, shares, strict=True)
    }
    given = {"waiting_to_enter": 0.0, "held_up": 0.0, "output_was_full": False, "cpu_share": 0.0} | numbers
    assert Limits(made, statistics, bottlenecks(statistics), **given).advice() == said


def test_calls_that_are_mostly_on_their_way_should_be_fewer() -> None:
    stage = PipelineStage("a", same, executor="process")
    stage.counts.by_worker["worker"] = spent = Spent()
    spent.seconds, spent.crossing = 1.0, 2.0
    statistics = {"a": attrs.evolve(STATISTICS, busy_share=1.0)}
    advice = Limits([stage], statistics, bottlenecks(statistics), 0.0, 0.0, False, 0.0).advice()
    assert advice == "send more to a at once (add_batch_stage): the way to a process and back takes most of a call"
