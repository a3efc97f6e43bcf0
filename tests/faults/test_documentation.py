"""Faults A of 0.1.10: what its documentation promised and its import did.

The rule: a promise in a page is a promise of the code. The quick starts are those of
0.1.10, word for word; what is said of the process around them is checked in a child
process, because this one has been imported into already. A6 (a claim about Python's
own lock) is a matter of wording and has no test. A3's other half, that every snippet
of the pages runs, is in ``tests/test_docs.py``.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from anyio import CancelScope, create_task_group, fail_after
from anyio.lowlevel import checkpoint

from async_task_pipeline import AsyncTaskPipeline

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
PATIENCE = 60


async def until(condition) -> None:
    """Let other tasks run until the condition holds; the caller's timeout is the limit."""
    while not condition():
        await checkpoint()


async def test_a01_the_quick_start_of_the_docs_ends():
    """0.1.10: all results came, and then the output loop never ended."""
    with fail_after(PATIENCE):
        pipeline = AsyncTaskPipeline(enable_timing=True)
        pipeline.add_stage("double", lambda x: x * 2)
        pipeline.add_stage("filter", lambda x: x if x > 5 else None)

        await pipeline.start()

        async def data_source():
            for i in range(10):
                yield i

        await pipeline.process_input_stream(data_source())

        results = []
        async for result in pipeline.generate_output_stream():
            results.append(result)

        await pipeline.stop()
    assert results == [6, 8, 10, 12, 14, 16, 18]


async def test_a01_the_quick_start_of_the_readme_ends(anyio_backend_name):
    """0.1.10: ten of ten results came, and then ``gather`` never returned."""
    results = []

    async def input_stream():
        for i in range(10):
            yield i

    async def consume_output(output_stream):
        async for result in output_stream:
            results.append(result)

    pipeline = AsyncTaskPipeline(max_queue_size=100)
    pipeline.add_stage("validate", lambda x: x)
    pipeline.add_stage("transform", lambda x: x + 1)
    pipeline.add_stage("serialize", str)
    with fail_after(PATIENCE):
        await pipeline.start()
        if anyio_backend_name == "asyncio":
            await asyncio.gather(
                pipeline.process_input_stream(input_stream()),
                consume_output(pipeline.generate_output_stream()),
            )
        else:
            async with create_task_group() as tg:
                tg.start_soon(pipeline.process_input_stream, input_stream())
                tg.start_soon(consume_output, pipeline.generate_output_stream())
        await pipeline.stop()
    assert results == [str(i + 1) for i in range(10)]


async def test_a02_input_that_is_blocked_for_want_of_a_consumer_can_be_cancelled():
    """0.1.10: the put sat in an executor thread; cancelling it did not wake that thread."""

    async def count_forever():
        i = 0
        while True:
            yield i
            i += 1

    pipeline = AsyncTaskPipeline(max_queue_size=2).add_stage("same", lambda x: x)
    with fail_after(PATIENCE), CancelScope() as whole:
        async with pipeline:
            async with create_task_group() as tg:
                tg.start_soon(pipeline.process_input_stream, count_forever())
                await until(lambda: pipeline.input_queue.full() and pipeline.output_queue.full())
                tg.cancel_scope.cancel()
            accepted = pipeline.statistics().accepted
            pipeline.close_input()
            assert [x async for x in pipeline.generate_output_stream()] == list(range(accepted))
    assert not whole.cancelled_caught


def test_a03_every_method_a_page_calls_exists():
    """0.1.10: its pages call ``pipeline.get_latency_summary()``, which does not exist."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    called = {
        (page.name, name)
        for page in pages
        for name in re.findall(r"\bpipeline\.(\w+)\(", page.read_text(encoding="utf-8"))
    }
    assert called
    assert [(page, name) for page, name in sorted(called) if not hasattr(AsyncTaskPipeline, name)] == []


CHILD_IMPORT = """
import asyncio, logging, signal, sys, threading, warnings
import anyio, attrs  # what the package depends on may do as it likes

def state():
    loggers = {
        name: (each.level, each.propagate, each.disabled, list(each.handlers))
        for name, each in logging.root.manager.loggerDict.items()
        if isinstance(each, logging.Logger) and name != "async_task_pipeline"
    }
    return (
        logging.root.level, list(logging.root.handlers), logging.raiseExceptions, logging.getLoggerClass(),
        loggers, signal.getsignal(signal.SIGINT), sys.excepthook, threading.excepthook, threading.active_count(),
        list(warnings.filters), sys.getswitchinterval(), sys.stdout, sys.stderr,
    )

before = state()
import async_task_pipeline
after = state()
assert after == before, [pair for pair in zip(before, after) if pair[0] != pair[1]]
own = logging.getLogger("async_task_pipeline")
assert [type(each) for each in own.handlers] == [logging.NullHandler], own.handlers
assert own.level == logging.NOTSET and own.propagate
"""


def test_a04_import_leaves_the_root_logger_and_the_process_alone():
    """0.1.10: root went from WARNING to NOTSET and got a handler that writes to stdout."""
    child = subprocess.run(
        [sys.executable, "-c", CHILD_IMPORT], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (child.returncode, child.stdout, child.stderr) == (0, "", "")


CHILD_RUN = """
import logging, sys
import anyio
from async_task_pipeline import AsyncTaskPipeline

async def main():
    pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("a", int).add_stage("b", str)
    async with pipeline.process(range(100)) as results:
        assert [x async for x in results] == [str(i) for i in range(100)]
    logging.getLogger("third.party").debug("not for anybody's eyes")

anyio.run(main, backend=sys.argv[1], backend_options={"use_uvloop": True} if sys.argv[2] == "True" else {})
"""


def test_a04_a_timed_run_prints_nothing(anyio_backend):
    """0.1.10: 100 items through two timed stages wrote 408 lines to stdout."""
    backend, options = anyio_backend
    child = subprocess.run(
        [sys.executable, "-c", CHILD_RUN, backend, str(options.get("use_uvloop", False))],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (child.returncode, child.stdout, child.stderr) == (0, "", "")


def test_a05_every_python_it_claims_may_install_it():
    """0.1.10: the classifiers claim 3.12 and 3.13, ``Requires-Python`` forbids both."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11"
    prefix = "Programming Language :: Python :: 3."
    claimed = [int(each.removeprefix(prefix)) for each in project["classifiers"] if each.startswith(prefix)]
    assert {11, 12, 13} <= set(claimed)
    assert min(claimed) == 11
