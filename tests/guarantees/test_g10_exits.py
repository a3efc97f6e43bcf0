"""G10 and G7: A program exits if one of its stages does, however the pipeline was started and whoever reads
from it, and if it leaves a pipeline behind.

The rule: each is a process of its own, because nothing less shows whether Python comes to its end. One that
does not tells after ``DEADLINE`` where its threads are. Those of one test run side by side.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from contextlib import ExitStack

import pytest

from async_task_pipeline import AsyncTaskPipeline
from tests.support.backends import UVLOOP
from tests.support.waiting import PATIENCE, read

DEADLINE = PATIENCE / 2


def run_all(program: str, *all_arguments: tuple[str, ...]) -> dict[tuple[str, ...], tuple[int, str, str]]:
    """Run a program with each of these arguments; by these how it exited, and what it wrote."""
    begin = f"import faulthandler\nfaulthandler.dump_traceback_later({DEADLINE}, exit=True)\n"
    with ExitStack() as stack:
        running = {}
        for each in all_arguments:
            command = [sys.executable, "-W", "error", "-c", begin + program, *each]
            running[each] = stack.enter_context(
                subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            )
            stack.callback(running[each].kill)
        ended = {each: process.communicate(timeout=2 * DEADLINE) for each, process in running.items()}
    for each, (_, errors) in ended.items():
        assert "Timeout (" not in errors, f"{' '.join(each)} does not exit:\n{errors}"
    return {each: (running[each].returncode, *written) for each, written in ended.items()}


# -- a stage that exits -------------------------------------------------------------------------

EXITS = """
import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor

import anyio

from async_task_pipeline import AsyncTaskPipeline

backend, form, consumer, kind = sys.argv[1:]

def interrupted(data):
    raise KeyboardInterrupt

async def leave(data):
    sys.exit(data)

def made():
    function = {"task": leave, "Ctrl-C": interrupted}.get(kind, sys.exit)
    executor = {"task": None, "Ctrl-C": None, "executor": ThreadPoolExecutor(1)}.get(kind, kind)
    pipeline = AsyncTaskPipeline().add_stage("before", abs).add_stage("exits", function, executor=executor)
    return pipeline.add_stage("behind", abs)

async def read(output):
    async for _ in output:
        pass

async def read_as_consumer(output):
    if consumer == "loop":
        await read(output)
    elif consumer == "wait_for":
        await asyncio.wait_for(read(output), 3600)
    elif consumer == "gather":
        await asyncio.gather(read(output), anyio.sleep_forever())
    elif consumer == "asyncio group":
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(read(output))
    elif consumer == "anyio group":
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, output)

async def use(pipeline):
    await pipeline.process_input_data(7)
    await read_as_consumer(pipeline.generate_output_stream())

async def main():
    pipeline = made()
    if form == "with":
        async with pipeline:
            await use(pipeline)
    elif form == "process":
        async with pipeline.process([7]) as output:
            await read_as_consumer(output)
    elif form == "run":
        async with anyio.create_task_group() as tasks:
            await tasks.start(pipeline.run)
            await use(pipeline)
    else:
        await pipeline.start()
        try:
            await use(pipeline)
        finally:
            if form == "start, stop":
                await pipeline.stop()

if backend == "trio":
    anyio.run(main, backend="trio")
else:
    anyio.run(main, backend_options={"use_uvloop": backend == "uvloop"})
"""

FORMS = ["with", "start, stop", "start", "process", "run"]
KINDS = ["thread", "task", "executor", "process", *(["interpreter"] if sys.version_info >= (3, 13) else [])]


def assert_exits(*all_arguments):
    """All of these exit with what the stage said, or Python says so, where that has arrived in a group."""
    ended = run_all(EXITS, *all_arguments)
    assert {key: end for key, end in ended.items() if end[0] != 7 and "SystemExit: 7" not in end[2]} == {}


@pytest.mark.parametrize("consumer", ["wait_for", "asyncio group"])
def test_a_stage_that_exits_ends_the_program_in_whatever_form_the_pipeline_runs(consumer):
    assert_exits(*(("asyncio", form, consumer, "thread") for form in FORMS))


def test_a_stage_that_exits_ends_the_program_whoever_reads():
    consumers = ("loop", "gather", "anyio group")
    assert_exits(*(("asyncio", form, consumer, "thread") for form in ("with", "run") for consumer in consumers))


def test_a_stage_of_any_kind_that_exits_ends_the_program():
    assert_exits(*(("asyncio", "with", "asyncio group", kind) for kind in KINDS))


@UVLOOP
def test_a_stage_that_exits_ends_the_program_on_uvloop():
    assert_exits(*(("uvloop", form, "asyncio group", "thread") for form in ("with", "start")))


def test_a_stage_that_exits_ends_the_program_on_trio():
    assert_exits(*(("trio", form, "anyio group", "thread") for form in ("with", "start")))


def test_a_stage_that_raises_a_keyboard_interrupt_ends_the_program():
    ended = run_all(EXITS, *(("asyncio", form, "wait_for", "Ctrl-C") for form in ("with", "start")))
    assert {key: end for key, end in ended.items() if "KeyboardInterrupt" not in end[2]} == {}


# -- a pipeline that is left behind -----------------------------------------------------------------

LEFT = """
import asyncio
import contextlib
import itertools
import logging
import os
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import anyio

from async_task_pipeline import AsyncTaskPipeline

logging.basicConfig(format="%(message)s", stream=sys.stdout)
backend, case = sys.argv[1:]

def new_loop():
    if backend == "uvloop":
        import uvloop
        return uvloop.new_event_loop()
    return asyncio.new_event_loop()

async def started(**stage):
    pipeline = AsyncTaskPipeline(max_queue_size=1)
    pipeline.add_stage("stage", stage.pop("process_fn", abs), **stage)
    await pipeline.start()
    await pipeline.process_input_data(7)
    return pipeline

async def one_through(**stage):
    pipeline = await started(**stage)
    assert await anext(pipeline.generate_output_stream()) == 7
    return pipeline

async def filled(feed):
    pipeline = await one_through()
    task = feed(pipeline)
    while not (pipeline.input_queue.full() and pipeline.output_queue.full()):
        await asyncio.sleep(0)
    return task  # which is not collected before the loop is closed

def put_for_ever(pipeline):
    with contextlib.suppress(RuntimeError):
        while True:
            pipeline.put_input_data(7)

def from_source(pipeline):
    return asyncio.ensure_future(pipeline.process_input_stream(itertools.count()))

def from_thread(pipeline):
    threading.Thread(target=put_for_ever, args=(pipeline,)).start()

@contextlib.contextmanager
def setup():
    yield
    print("state left")

def stuck(data):
    threading.main_thread().join()
    print("returned")

async def in_call(**stage):
    pipeline = await started(**stage)
    while not pipeline.statistics().stages["stage"].in_call:
        await asyncio.sleep(0)

def sleep_for_ever():
    loop = new_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop

def run_in(loop, coroutine):
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

def use_until_done(loop, pipeline):
    threading.main_thread().join()
    for data in range(3):
        pipeline.put_input_data(data)
        print(run_in(loop, anext(pipeline.generate_output_stream())))

async def leave():
    sys.exit(7)

through = threading.Event()  # before it, a main thread that ends leaves no thread to be had, on Python 3.12.1

async def exits_from_a_task():
    await one_through()
    through.set()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(leave())

async def exits_after_a_pipeline():
    async with AsyncTaskPipeline().add_stage("same", abs).process([1]) as output:
        async for _ in output:
            pass
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(leave())

kept = []

def left(coroutine, close=True):
    loop = new_loop()
    made = loop.run_until_complete(coroutine)
    if close:
        loop.close()
    else:
        kept.append(made)

def use_on():
    loop = sleep_for_ever()
    pipeline = run_in(loop, one_through())
    threading.Thread(target=use_until_done, args=(loop, pipeline)).start()

def exit_in_a_thread():
    threading.Thread(target=asyncio.run, args=(exits_from_a_task(),)).start()
    through.wait()

def exit_in_an_executor():
    ThreadPoolExecutor(1).submit(asyncio.run, exits_from_a_task())
    through.wait()

def exit_in_a_fork():
    left(one_through(), close=False)
    faulthandler.cancel_dump_traceback_later()  # which a fork waits for in vain
    warnings.simplefilter("ignore", DeprecationWarning)  # Python's own about forks
    if not os.fork():
        asyncio.run(exits_from_a_task())
    print(os.waitstatus_to_exitcode(os.wait()[1]))

cases = {
    **{kind: lambda: left(one_through(executor=case)) for kind in ("thread", "process", "interpreter")},
    "executor": lambda: left(one_through(executor=ThreadPoolExecutor(1))),
    "process in a call": lambda: left(in_call(process_fn=time.sleep, executor="process")),
    "loop not closed": lambda: left(one_through(), close=False),
    "source that waits": lambda: left(filled(from_source)),
    "thread that puts": lambda: left(filled(from_thread)),
    "with state": lambda: left(one_through(setup=setup, process_fn=lambda state, data: data)),
    "in a call": lambda: left(in_call(process_fn=stuck)),
    "in a call of asyncio.run": lambda: asyncio.run(in_call(process_fn=stuck)),
    "loop in a daemon": lambda: run_in(sleep_for_ever(), one_through()),
    "loop in a daemon that is used on": use_on,
    "exit in another thread": exit_in_a_thread,
    "exit in an executor": exit_in_an_executor,
    "exit of the consumer": lambda: asyncio.run(exits_from_a_task()),
    "exit after a pipeline": lambda: asyncio.run(exits_after_a_pipeline()),
    "exit in a fork": exit_in_a_fork,
}
cases[case]()
"""

LEFT_INSIDE = "its thread was left inside"

# Each with its exit code and the lines it prints, if that is known.
CASES = {
    "thread": (0, []),
    "process": (0, []),
    "executor": (0, []),
    **({"interpreter": (0, [])} if sys.version_info >= (3, 13) else {}),
    "process in a call": (0, None),  # which is killed, and named if it has not ended by then
    "loop not closed": (0, []),
    "source that waits": (0, []),
    "thread that puts": (0, []),
    "with state": (0, ["state left"]),
    "in a call": (0, ["returned", LEFT_INSIDE]),
    "in a call of asyncio.run": (0, ["returned", LEFT_INSIDE]),
    "loop in a daemon": (0, []),
    "loop in a daemon that is used on": (0, ["0", "1", "2"]),
    "exit in another thread": (0, []),
    "exit in an executor": (0, []),
    "exit of the consumer": (7, []),
    "exit after a pipeline": (7, []),
    **({"exit in a fork": (0, ["7"])} if hasattr(os, "fork") else {}),
}


def assert_cases(ended):
    for (_, case), (code, output, errors) in ended.items():
        expected_code, expected = CASES[case]
        lines = sorted(output.splitlines())  # two threads print
        right = expected is None or (len(lines) == len(expected) and all(map(str.__contains__, lines, expected)))
        assert (code, right) == (expected_code, True), (case, code, output, errors)


@pytest.mark.parametrize("cases", [[*CASES][i::4] for i in range(4)], ids=range(4))
def test_a_pipeline_that_is_left_behind_keeps_no_program_alive(cases):
    assert_cases(run_all(LEFT, *(("asyncio", case) for case in cases)))


@UVLOOP
def test_a_pipeline_that_is_left_behind_on_uvloop_keeps_no_program_alive():
    cases = ["thread", "loop not closed", "thread that puts", "exit of the consumer"]
    assert_cases(run_all(LEFT, *(("uvloop", case) for case in cases)))


async def exits_while_a_pipeline_runs():
    async def exits():
        sys.exit(7)

    pipeline = AsyncTaskPipeline().add_stage("parked", abs)
    await pipeline.start()
    await pipeline.process_input_data(7)
    assert await read(pipeline, 1) == [7]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(exits())


def test_threads_end_with_the_thread_of_their_loop():
    def run_a_loop():
        with contextlib.suppress(SystemExit):
            asyncio.run(exits_while_a_pipeline_runs())

    before = set(threading.enumerate())
    thread = threading.Thread(target=run_a_loop)
    thread.start()
    thread.join(PATIENCE)
    for left in set(threading.enumerate()) - before:
        left.join(PATIENCE / 2)
        assert not left.is_alive()
