"""What a stage logs in a worker elsewhere: it arrives in the logging of this process, with its level and stage.

The rule: a test listens with a handler on a logger here, and what it hears was made over there. Handlers
of this process are no business of a worker, and none is installed here.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from functools import partial

import pytest

from async_task_pipeline._workers import _logging, _wire
from async_task_pipeline._workers._elsewhere import WorkerGoneError
from async_task_pipeline._workers._process import WorkerProcess
from tests.kinds import elsewhere, functions, speaking
from tests.kinds.kinds import REMOTE, some
from tests.support.waiting import drain, read

APP = logging.getLogger("app")


class Listening(logging.Handler):
    """Keeps what it hears."""

    def __init__(self):
        super().__init__()
        self.heard = []

    def emit(self, record):
        self.heard.append(record)

    @property
    def messages(self):
        return [each.getMessage() for each in self.heard]


@pytest.fixture
def listening():
    """Hears what is logged by ``app``, from ``INFO`` on."""
    handler = Listening()
    APP.addHandler(handler)
    APP.setLevel(logging.INFO)
    yield handler
    APP.removeHandler(handler)
    APP.setLevel(logging.NOTSET)


@pytest.fixture
def worker(listening):
    """A process, without a pipeline, that knows which levels are wanted."""
    worker = WorkerProcess(elsewhere.do, stage="stage")
    worker.wait_ready()
    yield worker
    worker.kill()
    worker.ended()


@pytest.mark.anyio
@some(REMOTE)
async def test_what_a_stage_logs_is_logged_here_with_its_level_and_stage(kind, listening):
    assert await drain(kind.pipeline(speaking.speak), ["warning", "info", "debug"]) == ["warning", "info", "debug"]
    assert listening.messages == ["warning from afar", "info from afar"]  # and no more is wanted here
    heard = listening.heard[0]
    assert (heard.name, heard.levelno, heard.stage) == ("app.afar", logging.WARNING, "stage")
    assert (heard.funcName, heard.threadName) == ("speak", "MainThread" if kind.name == "process" else heard.threadName)
    assert (heard.process != os.getpid()) == (kind.name == "process")


@pytest.mark.anyio
@some(REMOTE)
async def test_a_set_up_and_a_clean_up_are_heard_too(kind, listening):
    assert await drain(kind.pipeline(functions.second, setup=speaking.Speaking), [1]) == [1]
    # The one on standby may not have come so far.
    assert {"imported", "made", "left"} <= {*listening.messages} | {"imported"}
    assert listening.messages.index("made") < listening.messages.index("left")


@pytest.mark.anyio
@some(["process"])
async def test_what_was_logged_before_a_call_was_killed_is_heard(kind, listening, gate):
    gate.hold("held")
    pipeline = kind.pipeline(partial(speaking.speak_and_visit, gate.address))
    async with pipeline:
        await pipeline.process_input_data("held")
        await gate.entered("held")
        await pipeline.interrupt()
        await pipeline.process_input_data("next")
        assert await read(pipeline, 1) == ["next"]
    assert listening.messages == ["held", "next"]


def test_what_was_logged_before_a_death_is_heard(worker, listening):
    with pytest.raises(WorkerGoneError):
        worker.call((speaking.speak_and_die,))
    assert listening.messages == ["the last word"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_what_is_logged_between_two_calls_waits_for_the_next_and_what_is_too_much_is_counted(
    worker, listening, caplog, gate
):
    worker.call((speaking.speak_later, gate.address, _logging.MOST_WAITING + 3))
    os.kill(worker._process.pid, signal.SIGUSR1)
    assert gate.wait_for(lambda: gate.arrivals == ["spoken"])
    assert listening.heard == []
    assert worker.call((elsewhere.returned, 1)) == 1
    assert listening.messages == [f"later {number}" for number in range(_logging.MOST_WAITING)]
    assert "3 log records of a worker were lost" in caplog.text


def test_a_thread_may_log_while_results_are_sent(worker, listening):
    count = _logging.MOST_WAITING
    assert [*worker.call((speaking.speak_and_yield, count))] == [speaking.LARGE] * 50
    assert listening.messages == [str(number) for number in range(count)]


@pytest.mark.parametrize("what", ["exception", "extra", "long", "object"])
def test_whatever_is_logged_crosses_as_text(worker, listening, what):
    worker.call((speaking.speak_of, what))
    (heard,) = listening.heard
    text = logging.Formatter().format(heard)
    if what == "exception":
        assert text.startswith("it failed\nTraceback")
        assert text.endswith("MineError: the reason")
    elif what == "extra":
        assert (heard.number, heard.thing) == (5, "<unlocked>")
    elif what == "long":
        assert len(text) < _wire.MOST_TEXT + 100
        assert text.endswith("... and 10000000 more characters")
    else:
        assert text == "about <unlocked>"


def test_what_cannot_be_told_fails_no_call(worker, listening):
    worker.call((speaking.speak_of, "wrong"))  # logging prints that over there, as it does anywhere
    worker.call((speaking.speak, "info"))
    assert listening.messages == ["info from afar"]


def test_a_handler_that_fails_here_fails_no_call(worker, listening, capfd):
    def fail(record):
        raise functions.MineError("the handler")

    listening.emit = fail
    assert worker.call((speaking.speak, "info")) == "info"
    assert "the handler" in capfd.readouterr().err


def test_handlers_of_the_main_module_are_not_used_over_there(worker):
    assert worker.call((speaking.handlers,)) == ["_Handler"]


def test_nothing_is_installed_here(worker):
    assert not any(isinstance(each, _logging._Handler) for each in logging.getLogger().handlers)
