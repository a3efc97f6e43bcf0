"""G15: A program written against the documentation of 0.1.10 runs: every documented name, parameter
and sequence of calls is accepted and does what was documented, faults repaired.

The rule: what is said of the process around a pipeline is checked in a child process. ``None`` as a
result or a yielded value filters, anywhere else it is data like any other. Each docstring says what 0.1.10 did.
"""

from __future__ import annotations

import asyncio
import contextvars
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from async_task_pipeline import AsyncTaskPipeline
from tests.support.backends import ASYNCIO
from tests.support.functions import of_kind, same
from tests.support.gates import KINDS
from tests.support.waiting import PATIENCE, drain, read, rest_of

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]


def test_every_method_a_page_calls_exists():
    """0.1.10: its pages call ``pipeline.get_latency_summary()``, which does not exist."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    called = {
        (page.name, name) for page in pages for name in re.findall(r"\bpipeline\.(\w+)\(", page.read_text("utf-8"))
    }
    assert called
    assert [(page, name) for page, name in sorted(called) if not hasattr(AsyncTaskPipeline, name)] == []


CHILD_RUN = """
import importlib.util, logging
import anyio
from async_task_pipeline import AsyncTaskPipeline

async def main():
    pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("a", int).add_stage("b", str)
    async with pipeline.process(range(100)) as results:
        assert [x async for x in results] == [str(i) for i in range(100)]
    logging.getLogger("third.party").debug("not for anybody's eyes")

anyio.run(main)
anyio.run(main, backend_options={"use_uvloop": importlib.util.find_spec("uvloop") is not None})
anyio.run(main, backend="trio")
"""


def test_a_timed_run_prints_nothing():
    """0.1.10: 100 items through two timed stages wrote 408 lines to stdout."""
    command = [sys.executable, "-c", CHILD_RUN]
    child = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (child.returncode, child.stdout, child.stderr) == (0, "", "")


def test_every_python_it_claims_may_install_it():
    """0.1.10: the classifiers claim 3.12 and 3.13, ``Requires-Python`` forbids both."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11"
    prefix = "Programming Language :: Python :: 3."
    claimed = [int(each.removeprefix(prefix)) for each in project["classifiers"] if each.startswith(prefix)]
    assert {11, 12, 13} <= set(claimed)
    assert min(claimed) == 11


async def test_none_as_data_reaches_the_stage():
    """0.1.10: so it did here, but ``None + 1`` in the stage vanished without a word."""
    pipeline = AsyncTaskPipeline().add_stage("name", lambda x: "none" if x is None else x)
    assert await drain(pipeline, [None, 1, None]) == ["none", 1, "none"]
    with pytest.raises(TypeError):
        await drain(AsyncTaskPipeline().add_stage("add", lambda x: x + 1), [None])


async def numbers_on_loop(data):
    for value in (1, None, 3):
        yield value


@pytest.mark.parametrize("function", [lambda data: (value for value in (1, None, 3)), numbers_on_loop])
async def test_none_as_a_yielded_value_filters(function):
    """0.1.10: 1, None, 3 came out, and the next stage's ``None + 1`` vanished."""
    pipeline = AsyncTaskPipeline().add_stage("generate", function).add_stage("add", lambda x: x + 1)
    assert await drain(pipeline, ["go"]) == [2, 4]
    now = pipeline.statistics()
    assert (now.accepted, now.fanned_out, now.filtered, now.delivered) == (1, 2, 1, 2)


async def test_none_as_a_sentinel_is_delivered():
    """0.1.10: lost: the output took it for an empty queue."""
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    async with pipeline:
        await pipeline.process_input_data(1)
        await pipeline.process_input_sentinel(None)
        await pipeline.process_input_data(2)
        pipeline.put_input_sentinel(None)
        assert await rest_of(pipeline) == [1, None, 2, None]


async def test_what_is_falsy_or_odd_is_data():
    """0.1.10: passed these too; a test, so that no filter of ours is one of truth."""
    odd = [0, 0.0, "", b"", [], {}, (), False, ..., NotImplemented, StopIteration, Exception]
    out = await drain(AsyncTaskPipeline(max_queue_size=3).add_stage("same", same), odd)
    assert all(a is b for a, b in zip(out, odd, strict=True))


async def test_an_iterator_that_is_no_generator_is_data():
    """0.1.10: the same, but undocumented; here ``add_stage`` says "a generator"."""
    result = map(str, [1])
    assert await drain(AsyncTaskPipeline().add_stage("map", lambda _: result), [1]) == [result]
    assert "generator" in AsyncTaskPipeline.add_stage.__doc__


variable = contextvars.ContextVar("variable", default="default")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["process", "start"])
async def test_stages_see_the_context_of_the_start(kind, form):
    """0.1.10: every stage saw the default."""
    seen = []

    def look(data):
        seen.append(variable.get())
        return data

    pipeline = AsyncTaskPipeline().add_stage("look", of_kind(kind, look))
    variable.set("mine")
    if form == "process":
        assert await drain(pipeline, [1, 2]) == [1, 2]
    else:
        await pipeline.start()
        await pipeline.process_input_data(1)
        await pipeline.interrupt()  # the next turn has the same context
        await pipeline.process_input_data(2)
        assert await anext(pipeline.generate_output_stream()) == 2
        await pipeline.stop()
    assert set(seen) == {"mine"}


async def test_every_call_of_0_1_10_works_on_this_backend():
    """0.1.10: TypeError and RuntimeError on trio, from its asyncio calls."""
    pipeline = AsyncTaskPipeline(max_queue_size=10, enable_timing=True, return_exceptions=True)
    pipeline.add_stage("divide", lambda x: 12 // x)
    await pipeline.start()
    output = pipeline.generate_output_stream()
    await pipeline.process_input_data(1, None)
    pipeline.put_input_data(0)
    await pipeline.process_input_sentinel("end")
    pipeline.put_input_sentinel("and once more")
    assert await anext(output) == 12
    assert isinstance(await anext(output), ZeroDivisionError)
    assert await read(pipeline, 2) == ["end", "and once more"]
    await pipeline.interrupt()
    await pipeline.process_input_stream([2, 3])
    assert await read(pipeline, 2) == [6, 4]
    assert pipeline.get_report(include_item_details=False).summary.total_items == 3
    pipeline.clear()
    pipeline.clear_input_queue()
    pipeline.clear_output_queue()
    await pipeline.stop()
    assert [x async for x in output] == []


async def test_interrupt_keeps_report_and_counters_and_clear_resets_both():
    """0.1.10: the report was gone and the stage's count stayed: 3 items, 13 processed."""
    pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("same", same)
    async with pipeline:
        output = pipeline.generate_output_stream()

        async def through(count) -> tuple[int, int, int]:
            for i in range(count):
                await pipeline.process_input_data(i)
                assert await anext(output) == i
            report = pipeline.get_report()
            total = report.summary.total_items if report is not None else 0
            return total, pipeline.stages[0].processed_count, pipeline.counter

        assert await through(10) == (10, 10, 10)
        await pipeline.interrupt()
        assert await through(0) == (10, 10, 10)
        assert await through(3) == (13, 13, 13)
        pipeline.clear()
        assert pipeline.get_report() is None
        assert pipeline.completed_items == []
        assert await through(0) == (0, 0, 0)
        assert await through(3) == (3, 3, 3)


@ASYNCIO  # trio has no list of all tasks
async def test_our_tasks_are_among_those_of_the_loop():
    before = asyncio.all_tasks()
    pipeline = AsyncTaskPipeline().add_stage("same", same)
    await pipeline.start()
    assert asyncio.all_tasks() - before != set()
    await pipeline.stop()
    assert asyncio.all_tasks() - before == set()
