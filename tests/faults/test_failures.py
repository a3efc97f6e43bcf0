"""Faults E2 to E5 of 0.1.10: failures that vanished or stalled the pipeline.

The rule: a failure is loud and the user's own object; it reaches whoever owns the
pipeline and whoever reads its output. Dropping is possible only by asking for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

import anyio
import pytest
from anyio import create_task_group, fail_after
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline, StageProtocolError

pytestmark = pytest.mark.anyio

PATIENCE = 60


async def drain(pipeline, items) -> list:
    with fail_after(PATIENCE):
        async with pipeline.process(items) as results:
            return [x async for x in results]


async def test_e02_a_raised_exception_tells_its_stage_and_a_returned_one_is_data():
    """0.1.10: both came out bare, with nothing to tell one from the other."""
    raised, returned = LookupError("raised"), LookupError("returned")
    seen = []

    def stage(data):
        if data == "raise":
            raise raised
        return returned

    pipeline = AsyncTaskPipeline(return_exceptions=True).add_stage("picky", stage)
    pipeline.add_stage("next", lambda x: seen.append(x) or x)
    out = await drain(pipeline, ["raise", "return"])
    assert out[0] is raised
    assert out[1] is returned
    assert seen == [returned]  # data goes through every stage, a failure through none
    assert any("picky" in note for note in raised.__notes__)
    assert not hasattr(returned, "__notes__")
    assert pipeline.statistics().failed == 1


def fails(data):
    return 1 / data


def fails_midway(data):
    yield data
    yield 1 / data


async def fails_async(data):
    await checkpoint()
    return 1 / data


async def fails_midway_async(data):
    yield data
    yield 1 / data


FAILING = [fails, fails_midway, fails_async, fails_midway_async]


@pytest.mark.parametrize("stage", FAILING)
@pytest.mark.parametrize("form", ["scope", "process", "start", "run"])
async def test_e03_an_error_reaches_the_owner_and_the_consumer(stage, form):
    """0.1.10: with ``return_exceptions=False`` no output, no log, no count."""
    pipeline = AsyncTaskPipeline().add_stage("fails", stage).add_stage("same", lambda x: x)
    met = []

    async def consume(output) -> None:
        try:
            async for _ in output:
                pass
        except ZeroDivisionError as exc:
            met.append(exc)
            raise

    with fail_after(PATIENCE):
        with contextlib.ExitStack() as owner:
            caught = owner.enter_context(pytest.raises((ZeroDivisionError, ExceptionGroup)))
            if form == "process":
                async with pipeline.process([0]) as results:
                    await consume(results)
            elif form == "scope":
                async with pipeline:
                    await pipeline.process_input_data(0)
                    await consume(pipeline.generate_output_stream())
            elif form == "run":
                async with create_task_group() as tg:
                    await tg.start(pipeline.run)
                    await pipeline.process_input_data(0)
                    await consume(pipeline.generate_output_stream())
            else:
                await pipeline.start()
                await pipeline.process_input_data(0)
                with pytest.raises(ZeroDivisionError):
                    await consume(pipeline.generate_output_stream())
                await pipeline.stop()
    assert len(met) == 1
    if form == "run":
        assert all(each is met[0] for each in caught.value.exceptions)
    else:
        assert caught.value is met[0]
    assert any("fails" in note for note in met[0].__notes__)
    assert pipeline.statistics().failed == 1


@pytest.mark.parametrize("stage", FAILING)
async def test_e03_dropping_is_possible_only_by_asking_and_is_logged_and_counted(stage, caplog):
    """0.1.10: dropping was what it did by default, and it did not say so."""
    pipeline = AsyncTaskPipeline().add_stage("fails", stage, on_error="drop")
    with caplog.at_level(logging.WARNING, "async_task_pipeline"):
        out = await drain(pipeline, [1, 0, 1])
    midway = "midway" in stage.__name__
    assert out == ([1, 1.0, 0, 1, 1.0] if midway else [1.0, 1.0])
    assert pipeline.statistics().failed == pipeline.statistics().stages["fails"].failed == 1
    records = [each for each in caplog.records if each.exc_info and each.exc_info[0] is ZeroDivisionError]
    assert len(records) == 1
    assert "fails" in records[0].getMessage()


def raising(kind: str, exc: BaseException):
    """A stage of a kind that raises for the second item."""

    def plain(data):
        if data:
            raise exc
        return data

    def generator(data):
        yield plain(data)

    async def coroutine(data):
        return plain(data)

    async def async_generator(data):
        yield plain(data)

    return {"plain": plain, "generator": generator, "async": coroutine, "async generator": async_generator}[kind]


FATAL = [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit, BaseException]


@pytest.mark.parametrize("return_exceptions", [False, True])
@pytest.mark.parametrize("error", FATAL)
@pytest.mark.parametrize("kind", ["plain", "async"])
def test_e04_a_base_exception_ends_the_pipeline(anyio_backend, kind, error, return_exceptions):
    """0.1.10: the thread died without a word: 0 came out, and then the output hung."""
    assert_ends_the_pipeline(anyio_backend, kind, error("mine"), return_exceptions=return_exceptions)


@pytest.mark.parametrize("return_exceptions", [False, True])
@pytest.mark.parametrize("error", FATAL)
@pytest.mark.parametrize("kind", ["generator", "async generator"])
def test_e05_a_base_exception_in_a_generator_ends_the_pipeline(anyio_backend, kind, error, return_exceptions):
    """0.1.10: it disappeared, as if the generator had come to its end."""
    assert_ends_the_pipeline(anyio_backend, kind, error("mine"), return_exceptions=return_exceptions)


def assert_ends_the_pipeline(anyio_backend, kind: str, exc: BaseException, *, return_exceptions: bool) -> None:
    backend, options = anyio_backend
    pipeline = AsyncTaskPipeline(return_exceptions=return_exceptions)
    pipeline.add_stage("fatal", raising(kind, exc)).add_stage("same", lambda x: x)

    async def main() -> None:
        with fail_after(PATIENCE):
            async with pipeline.process([0, 1, 2]) as results:
                async for _ in results:
                    pass

    with pytest.raises(BaseException) as caught:  # which one is looked at below
        anyio.run(main, backend=backend, backend_options=options)
    chain = list(causes(caught.value))
    assert exc in chain, chain
    if chain[0] is not exc:
        # These two Python reads as control flow; only as a cause do they get through.
        assert isinstance(exc, (asyncio.CancelledError, GeneratorExit))
        assert isinstance(chain[0], StageProtocolError)
    assert not pipeline.running


def causes(exc: BaseException | None):
    while exc is not None:
        yield exc
        exc = exc.__cause__
