"""A program that has no more threads or memory at some moment: ``python -m tests.kinds.scarce <what> <backend>``.

The rule: the limit is the system's own (``RLIMIT_AS``), which nothing can go round; a program of its own
has it, and no idle thread of the tests'. It prints what came of its pipeline.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import anyio

from async_task_pipeline import AsyncTaskPipeline

MB = 1 << 20


def limit(megabytes):
    """Let this process have so much more address space than it has now, and no more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + megabytes * MB
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


def no_more_threads():
    """None can be started any more: each would need more address space than there is."""
    threading.stack_size(1024 * MB)
    limit(512)


def same(data):
    return data


async def same_on_loop(data):
    return data


def numbers():
    yield from range(3)


def large(data):
    return bytes(300 * MB) if data == "large" else data


def report(error):
    told = [f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])]
    print("raised", *[line.splitlines()[0] for line in told], sep="|")


async def drain(pipeline, source):
    try:
        async with pipeline.process(source) as results:
            print("got", [each async for each in results])
    except BaseException as exc:
        report(exc)
    print("left", len(multiprocessing.active_children()), pipeline.statistics().inside)


OPTIONS = {
    "thread": {},
    "setup": {"process_fn": max, "setup": int},
    "source": {"process_fn": same_on_loop},
    "process": {"executor": "process"},
    "interpreter": {"executor": "interpreter"},
}


async def without_threads(what):
    no_more_threads()
    pipeline = AsyncTaskPipeline().add_stage("stage", **{"process_fn": same, **OPTIONS[what]})
    await drain(pipeline, numbers() if what == "source" else [1])


async def leaving():
    """The worker's process is left in its thread; for the one on standby there is no thread."""
    enough = threading.Event()
    pipeline = AsyncTaskPipeline().add_stage("stage", same, executor="process")
    async with anyio.create_task_group() as tg:
        try:
            async with pipeline:
                output = pipeline.generate_output_stream()
                await pipeline.process_input_data(1)
                print("got", [await anext(output)])
                while len(multiprocessing.active_children()) < 2:
                    await anyio.sleep(0.01)
                for _ in range(5):  # nor an idle one
                    tg.start_soon(anyio.to_thread.run_sync, enough.wait)
                await anyio.sleep(0.1)
                no_more_threads()
        except BaseException as exc:
            report(exc)
        enough.set()
    print("left", len(multiprocessing.active_children()), pipeline.statistics().inside)


async def executor():
    with ThreadPoolExecutor(1) as pool:
        no_more_threads()
        pipeline = AsyncTaskPipeline(return_exceptions=True).add_stage("stage", same, executor=pool)
        async with pipeline.process([1]) as results:
            async for each in results:
                report(each)
        print("left", 0, pipeline.statistics().inside)


async def executor_interrupted():
    """To cancel the call in its pool there is no thread; it runs on, and the next one waits for it."""
    entered, go_on, inside = threading.Event(), threading.Event(), []

    def stage(data):
        inside.append(data)
        if data == "old":
            entered.set()
            go_on.wait()
        told = len(inside)
        inside.remove(data)
        return told

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: entered.wait(0.1), range(2)))  # both its threads are there
        pipeline = AsyncTaskPipeline().add_stage("stage", stage, executor=pool)
        async with pipeline:
            await pipeline.process_input_data("old")
            while not entered.is_set():
                await anyio.sleep(0.01)
            no_more_threads()
            print("busy", (await pipeline.interrupt()).busy)
            await pipeline.process_input_data("new")
            await anyio.sleep(0.1)
            go_on.set()
            print("inside at once", await anext(pipeline.generate_output_stream()))
        print("left", len(inside), pipeline.statistics().inside)


async def large_result():
    """The first call starts the process and what is on standby; the second has a result that is too large."""
    pipeline = AsyncTaskPipeline(return_exceptions=True).add_stage("stage", large, executor="process")
    async with pipeline:
        output = pipeline.generate_output_stream()
        await pipeline.process_input_data(1)
        print("got", await anext(output))
        while len(multiprocessing.active_children()) < 2:
            await anyio.sleep(0.01)
        limit(150)
        for data in ("large", 2, 3):
            await pipeline.process_input_data(data)
        report(await anext(output))
        print("got", [await anext(output) for _ in range(2)])
    print("left", len(multiprocessing.active_children()), pipeline.statistics().inside)


if __name__ == "__main__":
    what = sys.argv[1]
    backend, options = {"uvloop": ("asyncio", {"use_uvloop": True})}.get(sys.argv[2], (sys.argv[2], {}))
    function = partial(without_threads, what) if what in OPTIONS else globals()[what]
    anyio.run(function, backend=backend, backend_options=options)
