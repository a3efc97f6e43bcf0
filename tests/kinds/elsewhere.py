"""What workers elsewhere are asked to do by tests without a pipeline: other processes import it.

The rule: a call says itself what is to be called, so that one worker serves many tests. Run as a
program, this module is one that has processes, and is killed, signalled, or ends without a word to them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import anyio
from anyio import open_signal_receiver

from async_task_pipeline import AsyncTaskPipeline
from async_task_pipeline._workers._process import WorkerProcess
from tests.kinds.functions import MineError, OneWay, gated, visit

LEFT = []
"""Processes that nobody has asked to leave."""


def do(call):
    function, *arguments = call
    return function(*arguments)


def do_with(state, call):
    function, *arguments = call
    return function(state, *arguments)


def returned_with(state, value):
    return value


def noted():
    error = MineError("noted")
    error.add_note("a note")
    raise error


def returned(value):
    return value


def future():
    return asyncio.Future(loop=asyncio.new_event_loop())


def sleeps(seconds):
    time.sleep(seconds)
    yield 1
    time.sleep(seconds)


def ends_badly(data, *more):
    try:
        yield data
        yield from more
    finally:
        raise MineError("the clean-up")


def odd_and_ends_badly(what):
    """Yield what cannot be brought back, and more, and fail in the clean-up."""
    return ends_badly(threading.Lock() if what == "no pickle" else OneWay(), *range(20))


def one_way_first():
    """Yield what cannot be made where it is brought, and more."""
    yield OneWay()
    yield from range(20)


def fails_after(data, *more):
    yield data
    yield from more
    raise MineError("after them")


def endless():
    number = 0
    while True:
        yield number
        number += 1


def lose_the_pipe():
    """Close every descriptor but those of Python's own streams, and go on."""
    os.closerange(3, 256)
    threading.Event().wait()


def present(address):
    """A state whose end its gate hears of when the process ends."""
    at_gate = socket.socket(socket.AF_UNIX)
    at_gate.connect(address)
    at_gate.sendall(b"present")
    at_gate.recv(1)
    return at_gate


def hold_the_lock(state, address):
    """Keep the interpreter's lock for minutes, without a look at signals or other threads."""
    visit(address, "in a call")
    return sum(range(10**10))


def how_it_ends(number):
    """How a program and a fork end that are sent this signal."""
    command = f"import os; os.kill(os.getpid(), {number:d})"
    in_program = subprocess.run([sys.executable, "-c", command], check=False).returncode
    fork = os.fork()
    if fork == 0:
        os.kill(os.getpid(), number)
        os._exit(0)
    return in_program, os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])


def open_in_a_program():
    """Which pipes and sockets a program has that is started without closing what may be inherited."""
    with tempfile.NamedTemporaryFile() as listed:
        os.system(f"ls -l /proc/self/fd > {listed.name}")
        return [line.split()[-1] for line in listed.read().decode().splitlines() if "->" in line]


def own_pipes():
    """Which this process speaks by: the pipe, and the one whose end is its end."""
    main = sys._getframe()
    while "lifeline" not in main.f_locals:
        main = main.f_back
    pipes = [main.f_locals[each] for each in ("connection", "lifeline")]
    return [str(Path(f"/proc/self/fd/{each.fileno()}").readlink()) for each in pipes]


async def drain_when_told(address):
    """Let a pipeline do what it has when it is told to end, and print what comes out."""
    pipeline = AsyncTaskPipeline().add_stage("visit", partial(gated, address), executor="process")
    with open_signal_receiver(signal.SIGTERM) as signals:
        async with pipeline:
            for item in "abc":
                await pipeline.process_input_data(item)
            await anext(signals)
            pipeline.close_input()
            print(*[each async for each in pipeline.generate_output_stream()])


def call_once():
    worker = WorkerProcess(do)
    worker.wait_ready()
    value = worker.call((returned, 5))
    return value, worker.leave()


def program(address, when):
    """Start a process, say that it is there, and wait to be killed; or end."""
    if when == "draining":
        anyio.run(drain_when_told, address)
        return
    worker = WorkerProcess(do_with, _Present(address))
    worker.wait_ready()
    if when == "forking":
        fork = os.fork()
        if fork == 0:
            os._exit(call_once() != (5, True))
        ended = os.waitpid(fork, 0)[1]
        sys.exit(ended or worker.call((returned_with, 5)) != 5)
    if when == "ending":
        LEFT.append(worker)
        return
    if when == "in a call":
        if os.fork() == 0:  # a copy of all that this process has open, which stays longer than this does
            sys.stdin.read()
            os._exit(0)
        worker.call((hold_the_lock, address))
    visit(address, "idle")
    sys.stdin.read()


class _Present:
    """A set-up that can be pickled where this module is the program."""

    def __init__(self, address):
        self.address = address

    def __call__(self):
        return present(self.address)


if __name__ == "__main__":
    program(*sys.argv[1:])
