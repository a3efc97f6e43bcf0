"""G1, G2 and G11 to G13 against a model, on pipelines and schedules that hypothesis invents.

The rule: what comes out is what a few lines of list processing say, the counters add up
at every step, and after an interrupt nothing older is seen. No example sleeps: slowness
is a gate that a stage stands at until the script opens it.
"""

from __future__ import annotations

import contextlib
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
from tests.cancelling import assert_law
from tests.schedules import Player, schedules

pytestmark = pytest.mark.anyio

MODEL = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class RefusedError(Exception):
    """What a failing stage of these tests raises."""


@attrs.frozen
class Spec:
    """One stage: how it behaves, whether it is async, and a number to vary it by."""

    kind: str
    is_async: bool
    n: int

    def outcomes(self, value: int) -> list[int | None]:
        """What a call yields; ``None`` is filtered."""
        if self.kind == "map":
            return [value * 3 + self.n]
        if self.kind == "filter":
            return [value if value % (self.n + 2) else None]
        if self.kind == "fan":
            return [value * 10 + k if k != 1 else None for k in range(self.n)]
        if value % (self.n + 2) == 0:
            raise RefusedError(value)
        return [value]

    def function(self) -> Callable[[Any], Any]:
        """The stage function."""
        if self.kind == "fan" and self.is_async:

            async def fan_async(value: int) -> Any:
                for each in self.outcomes(value):
                    await checkpoint()
                    yield each

            return fan_async
        if self.kind == "fan":

            def fan(value: int) -> Any:
                yield from self.outcomes(value)

            return fan
        if self.is_async:

            async def one_async(value: int) -> Any:
                await checkpoint()
                return self.outcomes(value)[0]

            return one_async
        return lambda value: self.outcomes(value)[0]

    def expected(self, entries: list[Any]) -> list[Any]:
        """The model: sentinels are strings and pass, a failure is dropped."""
        out: list[Any] = []
        for entry in entries:
            if isinstance(entry, str):
                out.append(entry)
                continue
            with contextlib.suppress(RefusedError):
                out += [each for each in self.outcomes(entry) if each is not None]
        return out


specs = st.builds(
    Spec, st.sampled_from(["map", "filter", "fan", "fail"]), st.booleans(), st.integers(min_value=0, max_value=3)
)
entries = st.lists(st.one_of(st.integers(0, 50), st.sampled_from(["turn", "end of speech"])), max_size=25)


@MODEL
@given(stages=st.lists(specs, min_size=1, max_size=4), size=st.integers(1, 4), script=entries, timing=st.booleans())
async def test_g01_g02_what_comes_out_is_what_the_model_says(
    anyio_backend: object, stages: list[Spec], size: int, script: list[Any], timing: bool
) -> None:
    """Order and content for any chain, bound and input; the law after every read."""
    pipeline: AsyncTaskPipeline[int, str] = AsyncTaskPipeline(size, timing)
    expected: list[Any] = script
    for index, spec in enumerate(stages):
        pipeline.add_stage(f"s{index}", spec.function(), on_error="drop")
        expected = spec.expected(expected)

    async def produce() -> None:
        for entry in script:
            if isinstance(entry, str):
                await pipeline.process_input_sentinel(entry)
            else:
                await pipeline.process_input_data(entry)
        pipeline.close_input()

    got: list[Any] = []
    with anyio.fail_after(60):
        async with pipeline, anyio.create_task_group() as tg:
            tg.start_soon(produce)
            async for result in pipeline.generate_output_stream():
                got.append(result)
                assert_law(pipeline)
    assert expected == got
    after = pipeline.statistics()
    assert_law(pipeline)
    assert (after.inside, after.dropped) == (0, 0)
    assert after.accepted == sum(not isinstance(entry, str) for entry in script)


def gated_stages(gate: threading.Event, stages: list[Spec]) -> list[Callable[[Any], Any]]:
    """Stages on (turn, number) pairs; some stand at the gate."""

    def wrap(spec: Spec) -> Callable[[Any], Any]:
        def slow(pair: tuple[int, int]) -> tuple[int, int]:
            if pair[1] % 3 == spec.n:
                gate.wait()
            return pair

        def fan(pair: tuple[int, int]) -> Any:
            for _ in range(spec.n):
                if pair[1] % 2:
                    gate.wait()
                yield pair

        async def on_loop(pair: tuple[int, int]) -> tuple[int, int]:
            while not gate.is_set() and pair[1] % 3 == spec.n:
                await checkpoint()
            return pair

        async def fan_on_loop(pair: tuple[int, int]) -> Any:
            for _ in range(spec.n):
                await checkpoint()
                yield pair

        if spec.kind == "fan":
            return fan_on_loop if spec.is_async else fan
        return on_loop if spec.is_async else slow

    return [wrap(spec) for spec in stages]


@MODEL
@given(stages=st.lists(specs, min_size=1, max_size=3), size=st.integers(1, 4), script=schedules(puts=6, interrupts=1))
async def test_g11_g12_g13_nothing_stale_is_ever_read(
    anyio_backend: object, stages: list[Spec], size: int, script: list[tuple[str, int]]
) -> None:
    """Interrupts at any point of any schedule: nothing stale, all sentinels in order."""
    gate = threading.Event()
    pipeline: AsyncTaskPipeline[Any, str] = AsyncTaskPipeline(size)
    for index, function in enumerate(gated_stages(gate, stages)):
        pipeline.add_stage(f"s{index}", function)
    await Player(pipeline, gate).play(script)
