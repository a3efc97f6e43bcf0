"""Room that is made in the very moment in which the loop looks for it.

The rule: what a stage has finished goes into the next link as soon as there is room, and
not when something else happens to wake the loop. The link here lets its reader, which has
just been woken, take an entry after the loop has seen it full for the n-th time, whatever
n is; nobody tells the loop of that room.
"""

from __future__ import annotations

import threading
import time
from collections import deque

import pytest
from anyio import fail_after
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline
from tests.interrupts.scenes import PATIENCE, rest_of

pytestmark = pytest.mark.anyio


class TakenMeanwhile(deque):
    """Entries of which the reader takes the first when the loop has looked so many times."""

    loop, looks = 0, -1
    let_take = threading.Event()

    def popleft(self):
        if holds(self, 0, "TAKEN") and threading.get_ident() != self.loop:
            assert self.let_take.wait(PATIENCE / 2)
        return super().popleft()

    def __len__(self):
        entries = super().__len__()
        if self.looks > 0 and holds(self, 1, "FULL") and threading.get_ident() == self.loop:
            type(self).looks -= 1
            if not self.looks:
                self.let_take.set()
                while super().__len__() == entries:
                    time.sleep(0)  # the loop stands still, the reader does not
        return entries


def holds(link, index, entry):
    """Whether an entry is there, found without asking for the length."""
    try:
        return link[index] == entry
    except IndexError:
        return False


@pytest.mark.parametrize("looks", [1, 2, 3])
async def test_a_result_goes_on_at_once_when_the_reader_takes_one_while_the_loop_looks(looks, monkeypatch):
    monkeypatch.setattr("async_task_pipeline._links.deque", TakenMeanwhile)
    let_go, let_finish = threading.Event(), threading.Event()
    TakenMeanwhile.loop, TakenMeanwhile.let_take = threading.get_ident(), threading.Event()

    def first(data):
        assert data != "next" or let_go.wait(PATIENCE / 2)
        return data.upper()

    def second(data):
        assert data != "TAKEN" or let_finish.wait(PATIENCE / 2)
        return data

    pipeline = AsyncTaskPipeline(2).add_stage("first", first).add_stage("second", second)
    with fail_after(PATIENCE):
        async with pipeline:
            try:
                for data in ("taken", "full", "next"):
                    await pipeline.process_input_data(data)
                link = pipeline.queues[1].buffer
                while not holds(link, 1, "FULL"):
                    await checkpoint()
                TakenMeanwhile.looks = looks
                let_go.set()
                while not holds(link, 1, "NEXT"):  # while the reader is in its call
                    await checkpoint()
                let_finish.set()
                assert await rest_of(pipeline) == ["TAKEN", "FULL", "NEXT"]
            finally:  # whatever was wrong, the stages can be left
                TakenMeanwhile.looks = -1
                for event in (TakenMeanwhile.let_take, let_go, let_finish):
                    event.set()
