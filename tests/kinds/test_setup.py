"""Each worker has a state of its own, made before its first call and closed after its last.

The rule: the state tells a gate when it is made and closed, so a test knows that both
happened, how often, and on which side of which call.
"""

from __future__ import annotations

import threading
from functools import partial

import anyio
import pytest
from anyio import create_task_group

from async_task_pipeline import WorkerDiedError
from tests.kinds import functions
from tests.kinds.functions import MineError
from tests.kinds.kinds import INTERPRETER, STREAMING, some
from tests.support.backends import ASYNCIO
from tests.support.waiting import drain, read, rest_of

pytestmark = pytest.mark.anyio

LOCAL = ("thread", "loop")


def resource(kind):
    return functions.resource_on_loop if kind.name == "loop" else functions.Resource


@some(STREAMING)
async def test_a_plain_state_is_the_first_argument(kind):
    pipeline = kind.pipeline(kind.function("add"), setup=kind.function("number"), workers=1)
    assert await drain(pipeline, range(3)) == [40, 41, 42]


@some(["loop"])
async def test_the_loop_enters_a_plain_context_manager_too(kind, gate):
    pipeline = kind.pipeline(functions.count_on_loop, setup=partial(functions.Resource, gate.address))
    assert await drain(pipeline, ["a", "b"]) == [(1, "a"), (2, "b")]
    assert gate.arrivals == ["made", "closed"]


@some(["thread", "loop", "process", INTERPRETER])
async def test_each_worker_has_one_state_until_its_last_call_has_ended(kind, gate):
    workers = 3
    gate.hold("held 0", "held 1", "held 2")
    setup = partial(resource(kind), gate.address)
    pipeline = kind.pipeline(kind.function("count"), setup=setup, workers=workers)
    async with pipeline:
        made = workers + (kind.name == "process")  # and one in reserve, perhaps not yet
        assert workers <= gate.arrivals.count("made") <= made
        output = pipeline.generate_output_stream()
        for number in range(workers):
            await pipeline.process_input_data(f"held {number}")
        await gate.entered(*[f"held {number}" for number in range(workers)])
        gate.open()
        assert await read(pipeline, workers) == [(1, f"held {n}") for n in range(workers)]
        await pipeline.process_input_data("more")
        assert await anext(output) == (2, "more")
        assert gate.arrivals.count("closed") == 0
        assert await rest_of(pipeline) == []
    # One in reserve that was not ready at the end is not waited for.
    assert workers <= gate.arrivals.count("closed") <= gate.arrivals.count("made") <= made


@some(LOCAL)
async def test_a_state_outlives_an_interrupt(kind, gate):
    gate.hold("held")
    pipeline = kind.pipeline(kind.function("count"), setup=partial(resource(kind), gate.address))
    async with pipeline:
        output = pipeline.generate_output_stream()
        await pipeline.process_input_data("first")
        assert await anext(output) == (1, "first")
        await pipeline.process_input_data("held")
        await gate.entered("held")
        await pipeline.interrupt()
        gate.open()
        await pipeline.process_input_data("new")
        calls, data = await anext(output)
        assert (calls, data) == (2 if kind.ends_calls else 3, "new")
        assert gate.arrivals == ["made", "held"]
    assert gate.arrivals == ["made", "held", "closed"]


@some(["process"])
async def test_a_killed_process_is_followed_by_one_with_a_new_state(kind, gate):
    gate.hold("held")
    pipeline = kind.pipeline(kind.function("count"), setup=partial(functions.Resource, gate.address))
    async with pipeline:
        output = pipeline.generate_output_stream()
        for data in ("first", "held"):
            await pipeline.process_input_data(data)
        assert await anext(output) == (1, "first")
        await gate.entered("held")
        await pipeline.interrupt()
        await gate.left("held")
        await pipeline.process_input_data("new")
        assert await anext(output) == (1, "new")


@some(STREAMING)
async def test_a_call_that_ends_the_pipeline_leaves_no_state_behind(kind, gate):
    pipeline = kind.pipeline(kind.function("count"), setup=partial(resource(kind), gate.address))
    with pytest.raises(MineError):
        assert await drain(pipeline, ["fails"]) == []
    assert 1 <= gate.arrivals.count("closed") <= gate.arrivals.count("made") <= 1 + (kind.name == "process")


@some(STREAMING)
@pytest.mark.parametrize("begin", ["async with", "start", "run"])
async def test_a_failing_setup_fails_the_start_and_names_the_stage(kind, begin):
    setup = kind.function("missing_model")
    pipeline = kind.pipeline(kind.function("second"), setup=setup, workers=2, show_items=True)
    with pytest.raises((FileNotFoundError, BaseExceptionGroup)) as caught:
        if begin == "async with":
            async with pipeline:
                pytest.fail("it was entered")
        elif begin == "start":
            await pipeline.start()
        else:
            async with create_task_group() as tg:
                await tg.start(pipeline.run)
                pytest.fail("it was started")
    error = caught.value.exceptions[0] if begin == "run" else caught.value
    assert isinstance(error, FileNotFoundError)
    assert error.filename == "model.bin"
    assert error.__notes__[-1] == "raised in stage 'stage' of the pipeline"
    assert not pipeline.running
    await pipeline.stop()  # it was raised once, and that is enough
    with pytest.raises(FileNotFoundError):
        await anext(pipeline.generate_output_stream())


@some(["process"])
async def test_a_worker_that_dies_in_its_setup_fails_the_start(kind):
    pipeline = kind.pipeline(functions.second, setup=functions.dies)
    message = "^stage 'stage': the worker process ended with exit code -9 before it was ready"
    with pytest.raises(WorkerDiedError, match=message) as caught:
        async with pipeline:
            pytest.fail("it was entered")
    assert caught.value.__notes__ == ["raised in stage 'stage' of the pipeline"]


@some(["loop", "process"])
@pytest.mark.parametrize("begin", ["async with", "start"])
async def test_a_start_that_takes_for_ever_can_be_given_up(kind, gate, begin):
    gate.hold("setup")
    pipeline = kind.pipeline(kind.function("second"), setup=partial(kind.function("held_setup"), gate.address))

    async def enter():
        async with pipeline:
            pytest.fail("it was entered")

    async with create_task_group() as tg:
        tg.start_soon(enter if begin == "async with" else pipeline.start)
        await gate.entered("setup")
        tg.cancel_scope.cancel()
    await pipeline.stop()
    assert not pipeline.running


@some([INTERPRETER])
async def test_an_interpreter_that_cannot_be_made_fails_the_start(kind, monkeypatch, caplog):
    async def refuse(*args, **kwargs):
        raise RuntimeError("no more interpreters")

    monkeypatch.setattr("async_task_pipeline._workers._interpreter.Interpreters._serve", refuse)
    pipeline = kind.pipeline(functions.outcome)
    message = "^stage 'stage': the worker interpreter ended before it was ready"
    with pytest.raises(WorkerDiedError, match=message):
        async with pipeline:
            pytest.fail("it was entered")
    assert "stage 'stage': an interpreter has failed" in [each.getMessage() for each in caplog.records]


@some(["process"])
async def test_a_standby_whose_setup_does_not_end_keeps_nobody_waiting(kind, gate):
    pipeline = kind.pipeline(functions.second, setup=partial(functions.held_setup, gate.address))
    async with pipeline:
        gate.hold("setup")  # the first has been let through; the standby comes now, or has
        await pipeline.process_input_data(1)
        assert await anext(pipeline.generate_output_stream()) == 1


@ASYNCIO
@some(["thread"])
async def test_a_thread_that_asyncio_leaves_behind_lets_its_state_go_itself(kind, gate, anyio_backend):
    name, options = anyio_backend
    gate.hold("held")

    async def leave_it_behind():
        pipeline = kind.pipeline(functions.count, setup=partial(functions.Resource, gate.address))
        await pipeline.start()
        await pipeline.process_input_data("held")
        await gate.entered("held")

    # In a thread, as there is a loop here already.
    thread = threading.Thread(target=lambda: anyio.run(leave_it_behind, backend=name, backend_options=options))
    thread.start()
    await anyio.to_thread.run_sync(thread.join)
    assert gate.arrivals == ["made", "held"]
    gate.open()
    await gate.left("closed")
    assert gate.departed == ["made", "held", "closed"]
