"""G11, a re-entrant stage: an interrupted call and the next turn's look at what they have yielded, at once.

The rule: the interrupted call's thread is stopped at each line of that look, one after the other; the next
turn runs beside it to its end; then it goes on. What comes out is the next turn's and all of it, and
no call has failed, the interrupted one's neither.
"""

from __future__ import annotations

import logging
import sys
import threading

import pytest

from async_task_pipeline import AsyncTaskPipeline
from tests.support.gates import Gate
from tests.support.law import assert_law
from tests.support.waiting import PACKAGE, read, rest_of, until

pytestmark = pytest.mark.anyio


LOOK = {"full", "<genexpr>"}
"""Where it looks: elsewhere it may stand in the middle of waking the loop, which then waits for it."""


class Stop:
    """Has a thread stand still before the n-th line of its next look at what there is, until it may go on."""

    def __init__(self, lines: int) -> None:
        self.stands, self.goes_on = threading.Event(), threading.Event()
        self._left = lines

    def begin(self) -> None:
        """Count the lines of this thread from here on, in the calls it is in as well."""
        frame = sys._getframe()
        while frame is not None:
            if frame.f_code.co_filename.startswith(PACKAGE):
                frame.f_trace = self._trace
            frame = frame.f_back
        sys.settrace(self._trace)

    def _trace(self, frame, event, arg):
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line" and frame.f_code.co_name in LOOK:
            self._left -= 1
            if self._left == 0:
                self.stands.set()
                assert self.goes_on.wait(5)
        return self._trace


async def beside(lines: int) -> bool:
    """Run one schedule; whether the interrupted call came to so many lines."""
    gate, stop, ended = Gate("old"), Stop(lines), threading.Event()

    def stage(data):
        try:
            for number in range(3):
                if gate(data) == "old":
                    stop.begin()
                yield data, number
        finally:
            if data == "old":
                sys.settrace(None)
                ended.set()

    pipeline = AsyncTaskPipeline(1).add_stage("stage", stage, reentrant=True)
    async with pipeline:
        await pipeline.process_input_data("old")
        await gate.entered()
        await pipeline.interrupt()
        await pipeline.process_input_data("new")
        await until(pipeline.output_queue.full)
        await until(lambda: len(gate.calls) >= 3)  # a second value waits in the stage, for room
        gate.open()
        await until(lambda: stop.stands.is_set() or ended.is_set())
        await pipeline.process_input_data("newer")
        assert await read(pipeline, 5) == [*[("new", number) for number in range(3)], ("newer", 0), ("newer", 1)]
        stop.goes_on.set()
        await until(ended.is_set)
        assert await rest_of(pipeline) == [("newer", 2)]
    assert_law(pipeline)
    return stop.stands.is_set()


async def test_the_next_turn_is_whole_wherever_the_call_before_it_stands(caplog):
    caplog.set_level(logging.WARNING)
    lines = 1
    while await beside(lines):
        lines += 1
    assert lines > 3
    assert caplog.records == []
