"""G7 for every kind, and G10: nothing is left behind, and nothing ends a worker quietly.

The rule: what there was before is counted, and after many lives it is the same: threads,
processes, file descriptors. A process that is killed from outside is the same as one that
crashes.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
from functools import partial
from pathlib import Path

import anyio
import pytest

from async_task_pipeline import WorkerDiedError
from tests.kinds import functions, odd
from tests.kinds.kinds import some
from tests.support.law import assert_law
from tests.support.leftovers import tasks, threads_at_work
from tests.support.waiting import drain, rest_of, until

pytestmark = pytest.mark.anyio

LIVES = {"process": 4}
OTHERWISE = 8


def descriptors() -> int:
    """How many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors where Linux shows them")
async def test_nothing_is_left_of_many_lives(kind, gate):
    async def live(how):
        gate.hold("held")
        pipeline = kind.pipeline(partial(kind.function("gated"), gate.address), workers=2 if how else 1, size=2)
        async with pipeline:
            output = pipeline.generate_output_stream()
            await pipeline.process_input_data("first")
            assert await anext(output) == "first"
            if how in ("interrupt", "stop"):
                come = gate.arrivals.count("held")
                await pipeline.process_input_data("held")
                await until(lambda: gate.arrivals.count("held") > come)
                await (pipeline.interrupt() if how == "interrupt" else anyio.lowlevel.checkpoint())
                if not kind.ends_calls:
                    gate.open()
            elif how == "drained":
                assert await rest_of(pipeline) == []
        assert_law(pipeline)

    hows = ["", "interrupt", "stop", "drained"]
    await live("interrupt")  # whatever is started once and kept, such as the tracker of processes, is there now
    await until(lambda: not gate.inside)
    gc.collect()  # whatever other tests have left to be collected
    before = descriptors(), tasks(), len(multiprocessing.active_children())
    threads = threading.active_count()
    for number in range(LIVES.get(kind.name, OTHERWISE)):
        await live(hows[number % 4])
    await until(lambda: not gate.inside and not threads_at_work())
    assert (descriptors(), tasks(), len(multiprocessing.active_children())) == before
    assert threading.active_count() <= threads + 2  # idle ones of the backend, which come and go


def test_g10_exits_reach_the_owner_of_the_scope(kind, anyio_backend):
    backend, options = anyio_backend
    pipeline = kind.pipeline(kind.function("outcome"), on_error="drop")

    async def exits():
        async with pipeline:
            await pipeline.process_input_data("exits")
            async for _ in pipeline.generate_output_stream():
                pass
        pytest.fail("it ended quietly")

    with pytest.raises((SystemExit, BaseExceptionGroup)) as caught:
        anyio.run(exits, backend=backend, backend_options=options)
    error = caught.value if isinstance(caught.value, SystemExit) else caught.value.exceptions[0]
    assert isinstance(error, SystemExit)
    assert error.code == "exits"
    assert error.__notes__[-1] == "raised in stage 'stage' of the pipeline"
    assert_law(pipeline)
    assert pipeline.statistics().failed == 1


@some(["loop", "process"])
async def test_a_failure_that_ends_the_pipeline_waits_for_no_call_that_can_be_ended(kind, gate):
    gate.hold("held")
    setup = partial(functions.Resource, gate.address)
    pipeline = kind.pipeline(kind.function("count"), setup=setup, workers=2)
    with odd.at_once(gate.open), pytest.raises(functions.MineError):
        async with pipeline:
            await pipeline.process_input_data("held")
            await gate.entered("held")
            await pipeline.process_input_data("fails")
            await rest_of(pipeline)
    await gate.left("held")  # though nobody has opened the gate
    assert_law(pipeline)


# -- the death of a process --------------------------------------------------------------------


@some(["process"])
@pytest.mark.parametrize("workers", [1, 2])
async def test_the_call_in_which_a_process_dies_has_failed_and_no_other(kind, gate, workers):
    pipeline = kind.pipeline(partial(functions.mortal, gate.address), on_error="return", workers=workers)
    source = [*range(20), "dies", *range(20, 40)]
    got = await drain(pipeline, source)
    died = got[20]
    assert isinstance(died, WorkerDiedError)
    assert str(died) == "stage 'stage': the worker process ended with exit code -9 in a call"
    assert died.__notes__ == ["raised in stage 'stage' of the pipeline"]
    assert got[:20] + got[21:] == [*range(40)]


@some(["process"])
async def test_by_default_the_death_of_a_process_ends_the_pipeline(kind, gate):
    pipeline = kind.pipeline(partial(functions.mortal, gate.address))
    with pytest.raises(WorkerDiedError):
        assert await drain(pipeline, ["dies"]) == []
    assert_law(pipeline)


@some(["process"])
async def test_a_process_that_dies_while_idle_is_replaced(kind, gate):
    pipeline = kind.pipeline(partial(functions.mortal, gate.address))
    async with pipeline:
        output = pipeline.generate_output_stream()
        for number in range(2):
            await pipeline.process_input_data(number)
            assert await anext(output) == number
            _, pid = eval(gate.arrivals[-1])
            os.kill(pid, signal.SIGKILL)
            # Until it has gone: it may be reaped by others, or here.
            await until(lambda pid=pid: not alive(pid))
        await pipeline.process_input_data("last")
        assert await anext(output) == "last"
    assert_law(pipeline)


def alive(pid: int) -> bool:
    """Whether a process has not ended with all its threads; it may be a zombie by then."""
    try:
        states = [each.read_text().rpartition(")")[2].split()[0] for each in Path(f"/proc/{pid}/task").glob("*/stat")]
    except (FileNotFoundError, ProcessLookupError):
        return True  # look again: a thread has just ended
    return states not in ([], ["Z"])
