"""G11, a storm at moments drawn by lot.

The rule: an item carries the number of its turn, and a turn is stale from the step in which an
interrupt ended it. Whatever the moment: nothing stale is read, every accepted sentinel is read once
and in order, no stage is in more calls than it has workers, the law of G2 holds after each interrupt,
and at the end nothing is left.
``STORM_INTERRUPTS`` makes it as long as wanted; ``nox -s soak`` does.
"""

from __future__ import annotations

import gc
import os
import random
import threading
from collections import Counter

import pytest
from anyio import create_task_group, fail_after, to_thread
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline, PipelineStateError, TurnOverError
from tests.support.law import assert_law
from tests.support.leftovers import tasks, threads_at_work
from tests.support.switching import switching_every
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

INTERRUPTS = int(os.environ.get("STORM_INTERRUPTS", "60"))
LIMIT = 60 + INTERRUPTS / 10
BOUND = 8


class Census:
    """Notes how many calls of a stage run at once."""

    def __init__(self):
        self.inside = self.most = 0
        self._lock = threading.Lock()

    def __enter__(self):
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)

    def __exit__(self, *exc_info):
        with self._lock:
            self.inside -= 1


class Storm:
    """A pipeline, two producers that never stop, a consumer, and what they have seen."""

    def __init__(self, seed, several):
        self.lots = random.Random(seed)
        self.stages = [Census() for _ in range(4)]
        self.turn = None
        self.new_turn = threading.Event()
        self.over = False
        self.stale_up_to = self.stale = self.delivered = 0
        self.sent, self.seen = [], []
        thread, generator, task, async_generator = self.stages

        def in_thread(item):
            with thread:
                return item

        def generator_in_thread(item):
            with generator:
                yield item
                yield item

        async def in_task(item):
            with task:
                for _ in range(self.lots.randrange(3)):
                    await checkpoint()
                return item

        async def generator_in_task(item):
            with async_generator:
                yield item
                await checkpoint()
                yield item

        self.pipeline = AsyncTaskPipeline(max_queue_size=BOUND, enable_timing=True)
        in_order = {"workers": 3} if several else {}
        as_ready = {"workers": 2, "ordered": False} if several else {}
        self.pipeline.add_stage("thread", in_thread, **in_order)
        self.pipeline.add_stage("generator", generator_in_thread, **as_ready)
        if several:
            self.pipeline.add_batch_stage("batches", list, max_size=3, max_wait=0.001, timeout=LIMIT)
        self.pipeline.add_stage("task", in_task, **as_ready)
        self.pipeline.add_stage("async generator", generator_in_task, **in_order)

    async def produce(self):
        while True:
            async with self.pipeline.turn() as turn:
                self.turn = turn
                self.new_turn.set()
                while True:
                    for _ in range(self.lots.randrange(1, 12)):
                        await turn.put(turn.number)
                    await turn.put_sentinel(("end", len(self.sent)))
                    self.sent.append(("end", len(self.sent)))
                    await checkpoint()

    def produce_in_thread(self):
        while self.new_turn.wait(LIMIT):
            self.new_turn.clear()  # first: what is set from here on is seen in the next round
            if self.over:
                return
            turn = self.turn
            try:
                while True:
                    turn.put_from_thread(turn.number)
            except TurnOverError:
                continue
            except PipelineStateError:
                return

    async def consume(self):
        async for item in self.pipeline.generate_output_stream():
            if isinstance(item, tuple):
                self.seen.append(item)
            else:
                self.delivered += 1
                self.stale += item <= self.stale_up_to

    async def interrupt(self):
        for number in range(INTERRUPTS):
            for _ in range(self.lots.randrange(30)):
                await checkpoint()
            self.stale_up_to = self.turn.number
            marker = ("marker", number)
            self.sent.append(marker)
            await self.pipeline.interrupt(sentinel=marker)
            assert_law(self.pipeline)


def objects():
    """The objects of the library that are alive, by type."""
    gc.collect()
    modules = ((str(type(each).__module__), type(each).__qualname__) for each in gc.get_objects())
    return Counter(name for module, name in modules if module.startswith("async_task_pipeline"))


async def rage(storm):
    """Let it all happen; then everything is still there, and empty."""
    producer = threading.Thread(target=storm.produce_in_thread)
    async with create_task_group() as tg:
        tg.start_soon(storm.consume)
        tg.start_soon(storm.produce)
        while storm.turn is None:
            await checkpoint()
        producer.start()
        await storm.interrupt()
        goal = len(storm.sent) + 3  # the turn after the last interrupt flows, too
        await until(lambda: len(storm.seen) >= goal)
        tg.cancel_scope.cancel()
    storm.over = True
    storm.new_turn.set()
    await to_thread.run_sync(producer.join, LIMIT)
    assert not producer.is_alive()


@pytest.mark.parametrize(
    ("several", "interval"),
    # How often threads take turns: as Python has it, and so often that every moment comes up.
    [
        pytest.param(False, 1e-5, id="alone"),
        pytest.param(True, 1e-5, id="several"),
        pytest.param(True, 0.005, id="5ms"),
    ],
)
async def test_nothing_stale_in_a_storm(several, interval):
    storm, at_first = Storm(INTERRUPTS, several), tasks()
    workers = {stage.name: stage.workers for stage in storm.pipeline.stages}
    with fail_after(LIMIT), switching_every(interval):
        async with storm.pipeline:
            before = objects()
            await rage(storm)
            report = storm.pipeline.get_report()
            interrupts, turns = report.interrupts.total, [turn.interrupted for turn in report.turns]
            report = storm.turn = None
            await storm.pipeline.interrupt(grace=LIMIT)
            storm.pipeline.clear()
            kept = objects() - before
    assert tasks() == at_first
    assert threads_at_work() == []
    assert storm.stale == 0
    assert storm.delivered > 0
    assert storm.seen[: len(storm.sent)] == storm.sent[: len(storm.seen)]
    assert len(storm.seen) > INTERRUPTS
    for stage, most in zip(storm.stages, [3, 2, 2, 3] if several else [1, 1, 1, 1], strict=True):
        assert 1 <= stage.most <= most
    assert_law(storm.pipeline)
    assert interrupts == INTERRUPTS
    assert any(turns)
    assert_little_is_kept(kept, workers)


def assert_little_is_kept(kept, workers):
    """Each worker has a shift with what belongs to it, and may have its last item or batch.

    One of generators also knows those whose outcomes had not all left when it last looked for room:
    the bound of them at most, and each generator yields two; the first of them may have one left, and
    the last may have only begun, so they are one more. An item knows the segment that it was in, and
    its children, of which none is left.
    """
    del kept["Children"], kept["_Shutdown"], kept["_AtEnd"]  # the last two are of the loop's thread
    generators = sum(workers[name] for name in ("generator", "async generator"))
    items = kept.pop("TimedItem", 0) + kept.pop("Batch", 0)
    assert items <= sum(workers.values()) + (BOUND // 2 + 1) * generators
    assert kept.pop("Segment", 0) <= items
    assert sum(kept.values()) <= 3 * sum(workers.values()), kept
