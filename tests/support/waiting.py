"""Waiting in tests: for a condition, for results, and until puts stand in line.

The rule: nothing waits for time to pass. Whoever waits lets others run, and looks again; only a
hang takes ``PATIENCE``. Which puts wait for room is told by no counter, since what waits is not
inside yet; here the stacks tell it, by the names of public methods alone.
"""

from __future__ import annotations

import sys
import threading
from functools import partial
from pathlib import Path

import anyio
from anyio import create_task_group, fail_after, to_thread
from anyio.lowlevel import checkpoint

import async_task_pipeline
from async_task_pipeline import AsyncTaskPipeline
from tests.support.law import assert_law

PATIENCE = 60
"""Seconds until a test is given up."""

PACKAGE = str(Path(async_task_pipeline.__file__).parent)
PUTS = {
    *("process_input_data", "process_input_sentinel", "put_input_data", "put_input_sentinel"),
    *("put", "put_sentinel", "put_from_thread", "put_sentinel_from_thread"),
}
PAUSES = {"checkpoint", "cancel_shielded_checkpoint", "checkpoint_if_cancelled", "sleep", "__sleep0"}
"""A task in one of these is not waiting: it only lets others run."""


async def until(condition) -> None:
    """Let other tasks run until the condition holds; the caller's timeout is the limit."""
    while not condition():
        await checkpoint()


async def drain(pipeline, items) -> list:
    """Do a whole job, and return what came out; nothing is left inside."""
    with fail_after(PATIENCE):
        async with pipeline.process(items) as results:
            got = [each async for each in results]
    assert_law(pipeline)
    assert pipeline.statistics().inside == 0
    return got


async def results_of(pipeline, items) -> list:
    """Feed the items to a pipeline that runs, close its input, and collect what comes out."""
    async with create_task_group() as tg:
        tg.start_soon(partial(pipeline.process_input_stream, items, close_input=True))
        return [each async for each in pipeline.generate_output_stream()]


async def read(pipeline, count: int) -> list:
    """The next so many results or sentinels."""
    output = pipeline.generate_output_stream()
    return [await anext(output) for _ in range(count)]


async def rest_of(pipeline) -> list:
    """Close the input, collect everything that still comes out, and check the law."""
    pipeline.close_input()
    rest = [each async for each in pipeline.generate_output_stream()]
    assert_law(pipeline)
    return rest


# -- puts that wait for room --------------------------------------------------------------------


def stands_in(ident: int, names: set[str]) -> tuple | None:
    """Where a thread is, if inside a method of the package with one of these names."""
    top = frame = sys._current_frames().get(ident)
    while frame is not None:
        if frame.f_code.co_name in names and frame.f_code.co_filename.startswith(PACKAGE):
            return ident, id(top), top.f_lasti
        frame = frame.f_back
    return None


def _chain(coroutine) -> list:
    """The frames of a task that is suspended, from the outermost on."""
    frames = []
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is not None:
            frames.append(frame)
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return frames


def _puts(pipeline) -> set[tuple]:
    """Each put to this pipeline that is under way, and how far it has come."""
    found = {stands_in(thread.ident, PUTS) for thread in threading.enumerate()} - {None}
    for task in anyio.get_running_tasks():
        frames = _chain(task.coro)
        puts = [each for each in frames if each.f_code.co_name in PUTS and each.f_code.co_filename.startswith(PACKAGE)]
        others = [each.f_locals.get("self") for each in puts]
        if any(isinstance(each, AsyncTaskPipeline) and each is not pipeline for each in others):
            continue
        if puts and not PAUSES.intersection(each.f_code.co_name for each in frames):
            found.add((task.id,))
    return found


def waiting(pipeline) -> int:
    """How many puts are under way and not over; a thread's may only have begun."""
    return len(_puts(pipeline))


async def until_waiting(pipeline, count: int | None = None) -> None:
    """Wait until so many puts stand in line for room, or any at all, and have come no further for a while."""
    before, still = None, 0
    while still < 5:
        await to_thread.run_sync(int)  # other threads run, and what they have asked the loop is heard
        now = _puts(pipeline)
        right = len(now) == count if count is not None else bool(now)
        still = still + 1 if right and now == before else 0
        before = now
