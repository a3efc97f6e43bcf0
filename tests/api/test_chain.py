"""Chains at run time: what they remember, when they complain, what comes of them.

The rule: a chain adds nothing to ``add_stage`` and takes nothing from it. What type
checkers make of it is in ``tests/typing``.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, get_type_hints

import anyio
import anyio.lowlevel
import attrs
import pytest

from async_task_pipeline import AsyncTaskPipeline, Chain, PipelineStateError
from async_task_pipeline._chain import PipelineOptions
from tests.support.waiting import drain

pytestmark = pytest.mark.anyio


LINES = ["a b", "", "c", "d e f"]


def words(line: str) -> list[str] | None:
    return line.split() or None


def each(parts: list[str]) -> Iterator[str | None]:
    for part in parts:
        yield part
        yield None


async def twice(word: str) -> AsyncIterator[str]:
    yield word
    await anyio.lowlevel.checkpoint()
    yield word.upper()


async def not_e(word: str) -> str | None:
    return None if word == "e" else word


def chain() -> Chain[str, str]:
    return Chain[str]().then("words", words).then("each", each).then("twice", twice).then("not e", not_e)


def names(pipeline: AsyncTaskPipeline[Any, Any, Any]) -> list[str]:
    return [stage.name for stage in pipeline.stages]


async def test_its_pipeline_does_what_one_built_by_add_stage_does() -> None:
    built = AsyncTaskPipeline[str, None, str]()
    built.add_stage("words", words).add_stage("each", each).add_stage("twice", twice).add_stage("not e", not_e)
    outcomes = []
    for pipeline in (chain().pipeline(), built):
        got = await drain(pipeline, LINES)
        flows = pipeline.statistics().stages
        # How full a link has been is a matter of luck.
        outcomes.append((got, {name: attrs.evolve(flow, peak_queue_depth=0) for name, flow in flows.items()}))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0] == ["a", "A", "b", "B", "c", "C", "d", "D", "E", "f", "F"]


async def test_a_batch_stage_of_a_chain_may_reduce() -> None:
    chain = Chain[int]().then_batch("sum", lambda numbers: [sum(numbers)], max_size=3, max_wait=60, per_item=False)
    assert await drain(chain.pipeline(), range(6)) == [3, 12]


async def test_pipelines_from_one_chain_run_side_by_side() -> None:
    shared = chain()
    async with shared.pipeline().process(["a"]) as first, shared.pipeline(max_queue_size=1).process(["b"]) as second:
        assert [await anext(first), await anext(second)] == ["a", "b"]
        assert ([x async for x in first], [x async for x in second]) == (["A"], ["B"])


def test_pipelines_from_one_chain_share_no_stage() -> None:
    shared = chain()
    first, second = shared.pipeline(), shared.pipeline()
    assert names(first) == names(second) == ["words", "each", "twice", "not e"]
    assert {id(stage) for stage in first.stages}.isdisjoint(id(stage) for stage in second.stages)
    first.add_stage("more", len)
    assert names(shared.pipeline()) == names(second)


def test_then_leaves_the_chain_as_it_is() -> None:
    start = Chain[str]()
    short = start.then("words", words)
    made = [names(it.pipeline()) for it in (start, short, short.then("each", each), short.then("count", len))]
    assert made == [[], ["words"], ["words", "each"], ["words", "count"]]


def test_nothing_of_it_can_be_set() -> None:
    it = chain()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        it._stages = ()
    with pytest.raises(AttributeError):
        it.more = 1


def test_it_shows_its_stages() -> None:
    assert repr(Chain[str]()) == "<Chain [no stages]>"
    assert repr(chain()) == "<Chain [words > each > twice > not e]>"


def test_options_reach_the_stage() -> None:
    it = Chain[str]().then("a", words, on_error="drop", on_interrupt=print).then("b", each, interruptible=False)
    it = it.then("c", not_e, reentrant=True, on_error=None)
    a, b, _ = it.pipeline().stages
    c = it.pipeline(return_exceptions=True, enable_timing=True).stages[2]
    assert (a.on_error, a.on_interrupt, a.interruptible, a.reentrant) == ("drop", print, True, False)
    assert (b.on_error, b.on_interrupt, b.interruptible, b.reentrant) == ("raise", None, False, False)
    assert (c.on_error, c.on_interrupt, c.interruptible, c.reentrant) == ("return", None, True, True)
    assert c.enable_timing


def test_options_reach_the_pipeline() -> None:
    pipeline = chain().pipeline(max_queue_size=7, enable_timing=True, return_exceptions=True)
    assert (pipeline.max_queue_size, pipeline.enable_timing, pipeline.return_exceptions) == (7, True, True)


ONE: Any = ("then", "add_stage", {})
BATCH: Any = ("then_batch", "add_batch_stage", {"max_size": 1, "max_wait": 0})
MISTAKES: dict[str, tuple[Any, Callable[[Any], object]]] = {
    "the name of another": (ONE, lambda add: add("words", len)),
    "a name that is no str": (ONE, lambda add: add(3, len)),
    "an unknown policy": (ONE, lambda add: add("new", len, on_error="drip")),
    "a contradiction": (ONE, lambda add: add("new", len, interruptible=False, reentrant=True)),
    "an async setup in a thread": (ONE, lambda add: add("new", len, setup=not_e)),
    "the name of another, of a batch": (BATCH, lambda add: add("words", len, max_size=1, max_wait=0)),
    "no function, of a batch": (BATCH, lambda add: add("new", 3, max_size=1, max_wait=0)),
    "an empty batch": (BATCH, lambda add: add("new", len, max_size=0, max_wait=0)),
    "a size that is no number": (BATCH, lambda add: add("new", len, max_size="1", max_wait=0)),
}


@pytest.mark.parametrize(("stage", "mistake"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_found_at_once_in_the_words_of_the_pipeline(stage, mistake):
    of_chain, of_pipeline, sizes = stage
    it = chain()
    with pytest.raises((TypeError, ValueError)) as by_chain:
        mistake(getattr(it, of_chain))
    with pytest.raises((TypeError, ValueError)) as by_pipeline:
        mistake(getattr(it.pipeline(), of_pipeline))
    assert (by_chain.type, str(by_chain.value)) == (by_pipeline.type, str(by_pipeline.value))
    assert names(getattr(it, of_chain)("new", len, **sizes).pipeline())[-1] == "new"


def test_an_option_that_there_is_not() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'on_eror'"):
        chain().then("new", len, on_eror="drop")
    with pytest.raises(TypeError, match="unexpected keyword argument 'on_eror'"):
        chain().then_batch("new", len, max_size=1, max_wait=0, on_eror="drop")
    with pytest.raises(TypeError, match="unexpected keyword argument 'max_size'"):
        chain().then("new", len, max_size=1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'max_queue_sise'"):
        chain().pipeline(max_queue_sise=1)
    with pytest.raises(ValueError, match="max_queue_size must be at least 1, not 0"):
        chain().pipeline(max_queue_size=0)


async def test_a_chain_without_stages_makes_a_pipeline_that_needs_some() -> None:
    pipeline = Chain[str]().pipeline()
    with pytest.raises(PipelineStateError, match="without stages"):
        await pipeline.run()
    assert await drain(pipeline.add_stage("count", len), ["abc"]) == [3]


def test_the_options_are_those_of_the_pipeline() -> None:
    hints = get_type_hints(AsyncTaskPipeline.__init__)
    taken = inspect.signature(AsyncTaskPipeline).parameters
    assert get_type_hints(PipelineOptions) == {name: hints[name] for name in taken}
    assert PipelineOptions.__required_keys__ == frozenset()
