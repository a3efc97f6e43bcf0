"""G9, what the machine has no more of: threads, processes, memory, or whoever is at the other end of a pipe.

The rule: that is a failure of the call it was for, or ends the pipeline with an exception that names
the stage; never a group that names nothing, never a quiet end, and nothing is left. What Linux can
limit it does limit, for a program of its own (``scarce``); the rest is raised in the one place where Python meets it.
"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import active_children
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import pytest

from async_task_pipeline import AsyncTaskPipeline
from tests.kinds import functions
from tests.kinds.kinds import NEW, REMOTE, some
from tests.support.backends import UVLOOP
from tests.support.law import assert_law
from tests.support.waiting import PATIENCE, drain, read, rest_of, until

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the address space as it says")
LOOPS = pytest.mark.parametrize("loop", ["asyncio", pytest.param("uvloop", marks=UVLOOP), "trio"])

NO_THREAD = "raised|RuntimeError: can't start new thread"
STAGE = "|raised in stage 'stage' of the pipeline"
NOTHING_LEFT = "left 0 0"


def scarce(what, loop):
    """What the program tells of its pipeline, line by line."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.kinds.scarce", what, loop],
        stdout=subprocess.PIPE,
        timeout=PATIENCE,
        check=True,
        text=True,
    )
    return done.stdout.splitlines()


ENDS = {
    # The pipeline ends, by the name of the stage.
    "thread": [NO_THREAD + STAGE],
    "setup": [NO_THREAD + STAGE],
    "process": [NO_THREAD + STAGE],
    "interpreter": [NO_THREAD + STAGE],
    "source": [NO_THREAD],
    # Only the call has failed, also if its result was read in part: the next reply is not taken from its middle.
    "executor": [f"{NO_THREAD}{STAGE}, for item 1"],
    "large_result": ["got 1", f"raised|MemoryError: {STAGE}, for item 'large'", "got [2, 3]"],
    # What cannot be cancelled for want of a thread is waited for.
    "executor_interrupted": ["busy ('stage',)", "inside at once 1"],
}


@LINUX
@LOOPS
@pytest.mark.parametrize("what", [pytest.param(each, marks=NEW if each == "interpreter" else ()) for each in ENDS])
def test_what_gets_no_thread_or_no_memory_fails_and_leaves_nothing(what, loop):
    assert scarce(what, loop) == [*ENDS[what], NOTHING_LEFT]


@LINUX
@LOOPS
def test_no_process_is_left_for_want_of_a_thread(loop):
    """Whether there is one may depend on how soon the worker's own is idle; what is raised names the stage."""
    first, *raised, last = scarce("leaving", loop)
    assert (first, last) == ("got [1]", NOTHING_LEFT)
    assert raised in ([], [NO_THREAD + STAGE])


# -- raised where Python meets it -----------------------------------------------------------------


def named(error):
    """Whether a note names the stage."""
    return any(note.startswith("raised in stage 'stage' of the pipeline") for note in error.__notes__)


MESSAGES = {  # of the calls for [1, 2], [3] and [4]: each value, and the end of each generator
    1: ["fails", 3, 4],
    2: [1, "fails", 3, 4],
    3: [1, 2, "fails", 3, 4],
    4: [1, 2, "fails", 4],
    5: [1, 2, 3, "fails", 4],
}


@pytest.mark.anyio
@some(REMOTE)
@pytest.mark.parametrize("where", ["before it is read", "after it was read"])
@pytest.mark.parametrize("message", MESSAGES)
async def test_a_reply_that_cannot_be_received_fails_its_call_and_no_other(kind, monkeypatch, where, message):
    error, receive, received = MemoryError("no memory"), Connection.recv_bytes, []

    def fails_once(connection):
        received.append(connection)
        if len(received) != message:
            return receive(connection)
        if where == "after it was read":
            receive(connection)
        raise error

    pipeline = kind.pipeline(functions.each_in, on_error="return")
    async with pipeline:
        await pipeline.process_input_data(["first"])
        assert await read(pipeline, 1) == [("first", "first")]
        await until(lambda: pipeline.statistics().stages["stage"].in_call == 0)
        monkeypatch.setattr(Connection, "recv_bytes", fails_once)
        for data in ([1, 2], [3], [4]):
            await pipeline.process_input_data(data)
        got = await rest_of(pipeline)
    assert got == [error if each == "fails" else (each, each) for each in MESSAGES[message]]
    assert named(error)
    assert_law(pipeline)


@pytest.mark.anyio
@some(["process"])
@pytest.mark.parametrize("error", [OSError(11, "no more processes"), EOFError("no server"), MemoryError("no memory")])
async def test_a_process_that_cannot_be_started_ends_the_pipeline_by_the_name_of_its_stage(kind, monkeypatch, error):
    def start(process):
        raise error

    before = {each.pid for each in active_children()}  # a pool that all tests share may be there
    monkeypatch.setattr(BaseProcess, "start", start)
    with pytest.raises(type(error)) as caught:
        async with kind.pipeline(functions.outcome) as pipeline:
            await rest_of(pipeline)
    assert caught.value is error
    assert named(error)
    assert {each.pid for each in active_children()} == before


@pytest.mark.anyio
async def test_an_executor_that_takes_no_calls_fails_each_of_them():
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    pipeline = AsyncTaskPipeline(return_exceptions=True).add_stage("stage", functions.outcome, executor=pool)
    failures = await drain(pipeline, [1, 2])
    assert [str(each) for each in failures] == ["cannot schedule new futures after shutdown"] * 2
    assert all(named(each) for each in failures)
    assert pipeline.statistics().failed == 2
