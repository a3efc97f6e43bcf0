"""Stage functions of the contract suite, at the top level of a module: other processes import it.

The rule: whatever a function does at a moment that matters, it does at a :py:class:`Gate`
(see ``gates``), by whose address it is told where that stands. The same functions run in
threads, processes, interpreters and executors; those that run on the loop stand at the
same gates.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from pathlib import Path

from anyio import fail_after, wait_readable

from tests.support.waiting import PATIENCE

# -- at a gate ------------------------------------------------------------------------------


def visit(address, label):
    """Say who is there, and stand there until let through; not for ever, or a test that fails would wait for it."""
    with socket.socket(socket.AF_UNIX) as at_gate:
        at_gate.connect(address)
        at_gate.sendall(str(label).encode())
        at_gate.settimeout(PATIENCE / 2)
        at_gate.recv(1)


async def visit_on_loop(address, label):
    """The same, on the loop; cancelled, it leaves."""
    with socket.socket(socket.AF_UNIX) as at_gate:
        at_gate.connect(address)
        at_gate.sendall(str(label).encode())
        with fail_after(PATIENCE / 2):
            await wait_readable(at_gate)
        at_gate.recv(1)


# -- one item in, one outcome out -------------------------------------------------------------


class MineError(Exception):
    def __init__(self, data):
        super().__init__(data)
        self.data = data


def outcome(data):
    if data is None:
        return "got None"
    if data == "filtered":
        return None
    if data == "fails":
        raise MineError(data)
    if data == "stops":
        raise StopIteration(data)
    if data == "no file":
        raise FileNotFoundError(2, "no such file", data)
    if data == "exits":
        raise SystemExit(data)
    return (data, data)


async def outcome_on_loop(data):
    return outcome(data)


def gated(address, data):
    visit(address, data)
    return data


async def gated_on_loop(address, data):
    await visit_on_loop(address, data)
    return data


# -- one item in, many out --------------------------------------------------------------------


def fan(address, data):
    """Yield ``data`` numbers, standing at the gate before each and at the end."""
    try:
        for number in range(data):
            visit(address, number)
            yield number
    finally:
        visit(address, "closed")


async def fan_on_loop(address, data):
    try:
        for number in range(data):
            await visit_on_loop(address, number)
            yield number
    finally:
        visit(address, "closed")


def each_in(data):
    """Yield what the data contains; ``None`` is filtered, and ``"fails"`` raises."""
    for value in data:
        yield value and outcome(value)


async def each_in_on_loop(data):
    for value in data:
        yield value and outcome(value)


# -- what cannot be sent, and what ends a worker -----------------------------------------------


class OneWayError(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


class OneWay:
    def __reduce__(self):
        return _unmake, ()


def _unmake():
    raise MineError("unmade")


def unsendable(data):
    """Return, yield or raise what cannot come back."""
    if data == "returns a lock":
        return threading.Lock()
    if data == "returns one way":
        return OneWay()
    if data == "raises one way":
        raise OneWayError("this", "that")
    if data == "raises a lock":
        raise MineError(threading.Lock())
    return data


def yields_a_lock(address, data):
    """A generator that goes on after a value that cannot come back, if it is let."""
    yield "before"
    yield threading.Lock()
    for _ in range(data):
        yield "after"
    visit(address, "went on")


def mortal(address, data):
    """Die of some data; stand at the gate with the rest."""
    if data == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    visit(address, (data, os.getpid()))
    return data


def variable(name):
    return os.environ.get(name), str(Path.cwd())


# -- setup -------------------------------------------------------------------------------------


class Resource:
    """A state that tells its gate when it is made and closed."""

    def __init__(self, address):
        self.address = address
        self.calls = 0

    def __enter__(self):
        visit(self.address, "made")
        return self

    def __exit__(self, *exc_info):
        visit(self.address, "closed")


@contextlib.asynccontextmanager
async def resource_on_loop(address):
    with Resource(address) as resource:
        yield resource


def count(resource, data):
    """How many calls this worker has had, and what they were for."""
    if data == "fails":
        raise MineError(data)
    if str(data).startswith("held"):
        visit(resource.address, data)
    resource.calls += 1
    return resource.calls, data


async def count_on_loop(resource, data):
    if data == "fails":
        raise MineError(data)
    if str(data).startswith("held"):
        await visit_on_loop(resource.address, data)
    resource.calls += 1
    return resource.calls, data


def number():
    return 40


def add(state, data):
    return state + data


def missing_model():
    """A set-up that fails, with an error that a pipe might raise too."""
    raise FileNotFoundError(2, "no such file", "model.bin")


def dies():
    os.kill(os.getpid(), signal.SIGKILL)


def held_setup(address):
    visit(address, "setup")


async def held_setup_on_loop(address):
    await visit_on_loop(address, "setup")


def second(state, data):
    return data


# -- batches -----------------------------------------------------------------------------------


def batch(address, items):
    visit(address, items)
    return answers(items)


async def batch_on_loop(address, items):
    await visit_on_loop(address, items)
    return answers(items)


def answers(items):
    if "fails" in items:
        raise MineError(items)
    if "short" in items:
        return items[1:]
    if "text" in items:
        return "text"
    if "generator" in items:
        return (each for each in items)
    return [None if each == "filtered" else (each, len(items)) for each in items]
