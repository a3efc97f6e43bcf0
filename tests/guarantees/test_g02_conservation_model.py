"""G1, G2 and G11 to G13 against a model, on pipelines and schedules that hypothesis invents.

The rule: what comes out is what a few lines of list processing say, between two sentinels in any
order where a stage says so; after an interrupt nothing older is seen; the counters add up at every
step. No example sleeps: slowness is a gate that the script opens.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import anyio
import attrs
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from async_task_pipeline import AsyncTaskPipeline
from tests.support.law import assert_law
from tests.support.schedules import Player, schedules

pytestmark = pytest.mark.anyio

MODEL = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@attrs.frozen
class Spec:
    """One stage: what it does, where, with how many workers, in which order."""

    does: str
    on_loop: bool
    workers: int
    ordered: bool
    batch: int
    n: int

    def outcomes(self, item: tuple[int, int]) -> list[Any]:
        """What comes of an item, a pair of its turn and its number."""
        turn, number = item
        if self.does == "fan" and not self.batch:
            return [(turn, number * 10 + k) if k != 1 else None for k in range(self.n)]
        if self.does == "filter" and number % 3 == self.n:
            return [None]
        if self.does == "fail" and number % 4 == self.n and not self.batch:
            raise ValueError(number)
        return [item]

    def function(self, gate: threading.Event) -> Callable[[Any], Any]:
        """The stage function; some items stand at the gate."""

        def held(item: Any) -> bool:
            return bool(item[1] % 5 == self.n)

        def plain(item: Any) -> Any:
            if held(item):
                gate.wait()
            return self.outcomes(item)[0]

        def fan(item: Any) -> Any:
            for each in self.outcomes(item):
                if held(item):
                    gate.wait()
                yield each

        def batch(items: list[Any]) -> Any:
            if held(items[0]):
                gate.wait()
            return [self.outcomes(item)[0] for item in items]

        async def wait(item: Any) -> None:
            for _ in range(item[1] % 4):
                await checkpoint()
            while held(item) and not gate.is_set():
                await checkpoint()

        async def plain_on_loop(item: Any) -> Any:
            await wait(item)
            return self.outcomes(item)[0]

        async def fan_on_loop(item: Any) -> Any:
            for each in self.outcomes(item):
                await wait(item)
                yield each

        async def batch_on_loop(items: list[Any]) -> Any:
            await wait(items[0])
            return [self.outcomes(item)[0] for item in items]

        if self.batch:
            return batch_on_loop if self.on_loop else batch
        if self.does == "fan":
            return fan_on_loop if self.on_loop else fan
        return plain_on_loop if self.on_loop else plain

    def expected(self, entries: list[Any]) -> list[Any]:
        """The model; sentinels are strings and pass, a failure is dropped."""
        out: list[Any] = []
        for entry in entries:
            if isinstance(entry, str):
                out.append(entry)
            elif not (self.does == "fail" and entry[1] % 4 == self.n and not self.batch):
                out += [each for each in self.outcomes(entry) if each is not None]
        return out


specs = st.builds(
    Spec,
    does=st.sampled_from(["map", "filter", "fan", "fail"]),
    on_loop=st.booleans(),
    workers=st.integers(1, 4),
    ordered=st.booleans(),
    batch=st.sampled_from([0, 0, 1, 3]),
    n=st.integers(0, 3),
)


def build(stages: list[Spec], size: int, gate: threading.Event, *, timing: bool) -> AsyncTaskPipeline[Any, str]:
    pipeline: AsyncTaskPipeline[Any, str] = AsyncTaskPipeline(size, timing)
    for index, spec in enumerate(stages):
        options: dict[str, Any] = {"on_error": "drop", "workers": spec.workers, "ordered": spec.ordered}
        if spec.batch:
            pipeline.add_batch_stage(f"s{index}", spec.function(gate), max_size=spec.batch, max_wait=0, **options)
        else:
            pipeline.add_stage(f"s{index}", spec.function(gate), **options)
    return pipeline


def between(entries: list[Any]) -> list[Any]:
    """What lies between sentinels, sorted, and the sentinels."""
    found: list[Any] = [[]]
    for each in entries:
        if isinstance(each, str):
            found += [each, []]
        else:
            found[-1].append(each)
    return [each if isinstance(each, str) else sorted(each) for each in found]


@MODEL
@given(
    stages=st.lists(specs, min_size=1, max_size=3),
    size=st.integers(1, 4),
    script=st.lists(st.one_of(st.integers(0, 50), st.sampled_from(["turn", "end"])), max_size=30),
    timing=st.booleans(),
)
async def test_what_comes_out_is_what_the_model_says(
    anyio_backend: object, stages: list[Spec], size: int, script: list[Any], timing: bool
) -> None:
    gate = threading.Event()
    pipeline = build(stages, size, gate, timing=timing)
    source = [each if isinstance(each, str) else (0, each) for each in script]
    expected = source
    for spec in stages:
        expected = spec.expected(expected)

    async def produce() -> None:
        for entry in source:
            if isinstance(entry, str):
                await pipeline.process_input_sentinel(entry)
            else:
                await pipeline.process_input_data(entry)
        pipeline.close_input()

    async def open_and_close() -> None:
        try:
            while pipeline.running:
                for change in (gate.set, gate.clear):
                    for _ in range(4):
                        await checkpoint()
                    change()
        finally:
            gate.set()

    got: list[Any] = []
    with anyio.fail_after(60):
        async with pipeline, anyio.create_task_group() as tg:
            tg.start_soon(produce)
            tg.start_soon(open_and_close)
            async for result in pipeline.generate_output_stream():
                got.append(result)
                assert_law(pipeline)
    assert between(got) == between(expected)
    # A worker alone keeps the order too, whatever is allowed.
    if all(spec.ordered or spec.workers == 1 for spec in stages):
        assert got == expected
    now = pipeline.statistics()
    assert_law(pipeline)
    assert (now.inside, now.dropped) == (0, 0)


@MODEL
@given(
    stages=st.lists(specs, min_size=1, max_size=3),
    size=st.integers(1, 4),
    script=schedules(puts=8, interrupts=2),
    timing=st.booleans(),
)
async def test_nothing_stale_is_ever_read(
    anyio_backend: object, stages: list[Spec], size: int, script: list[tuple[str, int]], timing: bool
) -> None:
    gate = threading.Event()
    await Player(build(stages, size, gate, timing=timing), gate).play(script)
