"""Schedules of puts, interrupts, reads and gates that hypothesis invents, and their player.

The rule: whatever the schedule and the pipeline, nothing stale is read, every accepted
sentinel is read once and in order, and the counters add up after every step. The stages
take pairs of a turn and a number; those that are slow stand at a gate, which the schedule
opens and closes.
"""

from __future__ import annotations

import threading
from typing import Any

import anyio
from anyio.lowlevel import checkpoint
from hypothesis import strategies as st

from async_task_pipeline import AsyncTaskPipeline
from tests.support.law import assert_law


def schedules(*, puts: int, interrupts: int) -> st.SearchStrategy[list[tuple[str, int]]]:
    """Lists of an operation and how often; at most so many puts or interrupts in a row."""
    return st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.integers(1, puts)),
            st.tuples(st.just("sentinel"), st.just(1)),
            st.tuples(st.just("interrupt"), st.integers(1, interrupts)),
            st.tuples(st.just("let read"), st.integers(1, 8)),
            st.tuples(st.just("open gate"), st.just(1)),
            st.tuples(st.just("close gate"), st.just(1)),
            st.tuples(st.just("pause"), st.integers(1, 5)),
        ),
        max_size=30,
    )


class Player:
    """Plays a schedule on a pipeline, with a reader that reads only when allowed."""

    def __init__(self, pipeline: AsyncTaskPipeline[Any, str], gate: threading.Event) -> None:
        self.pipeline = pipeline
        self.gate = gate
        self.turn = self.number = self.delivered = 0
        self.accepted: list[str] = []
        self.sentinels: list[str] = []
        self._allowed = anyio.Semaphore(0)

    async def _read(self) -> None:
        stream = self.pipeline.generate_output_stream()
        while True:
            await self._allowed.acquire()
            try:
                result = await anext(stream)
            except StopAsyncIteration:
                return
            if isinstance(result, str):
                self.sentinels.append(result)
            else:
                assert result[0] == self.turn, f"stale: {result} in turn {self.turn}"
                self.delivered += 1
            assert_law(self.pipeline)

    async def _step(self, operation: str) -> None:
        self.number += 1
        try:
            if operation == "put":
                self.pipeline.put_input_data((self.turn, self.number))
            elif operation == "sentinel":
                self.pipeline.put_input_sentinel(str(self.number))
                self.accepted.append(str(self.number))
        except anyio.WouldBlock:
            pass
        if operation == "interrupt":
            await self.pipeline.interrupt()
            self.turn += 1
            assert self.pipeline.statistics().inside == 0
        elif operation == "let read":
            self._allowed.release()
        elif operation == "pause":
            await checkpoint()
        elif operation.endswith("gate"):
            (self.gate.set if operation == "open gate" else self.gate.clear)()
        assert_law(self.pipeline)

    async def play(self, schedule: list[tuple[str, int]]) -> None:
        """Play it to the end of input, and compare what was read with what was accepted."""
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tg:
                try:
                    async with self.pipeline:
                        tg.start_soon(self._read)
                        for operation, count in schedule:
                            for _ in range(count):
                                await self._step(operation)
                        self.gate.set()
                        self.pipeline.close_input()
                        for _ in range(4000):
                            self._allowed.release()
                        while self.pipeline.running:
                            await checkpoint()
                finally:
                    self.gate.set()
        assert self.accepted == self.sentinels
        assert_law(self.pipeline)
        now = self.pipeline.statistics()
        assert (now.inside, now.delivered) == (0, self.delivered)
