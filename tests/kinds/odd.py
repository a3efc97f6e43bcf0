"""Odd results, exceptions, set-ups and processes, at the top level of a module: other processes import it.

The rule: each is allowed by Python and met in practice, if seldom: arrays cannot be compared,
and some exceptions take no notes. Whatever happens at a moment that matters happens at a gate.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import struct
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from tests.kinds.functions import MineError, OneWay, OneWayError, Resource, visit, visit_on_loop
from tests.support.waiting import PATIENCE

CALLS = itertools.count()
"""Counts the calls of one worker, where each has this module to itself."""


def like(kind, name):
    """The function of this name for a kind of stage."""
    return globals()[f"{name}_on_loop" if kind.name == "loop" else name]


@contextlib.contextmanager
def at_once(release):
    """Release what a hang stands at, late but before the test is given up, and say that it hung."""
    hung = []

    def rescue():
        hung.append(True)
        release()

    timer = threading.Timer(PATIENCE / 5, rescue)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
    assert not hung, "it hung until it was released"


# -- results that cannot be compared ----------------------------------------------------------


class Ambiguous:
    """Refuses to be compared, as an array does."""

    __hash__ = None

    def __init__(self, label):
        self.label = label

    def __eq__(self, other):
        raise ValueError("the truth value of this is ambiguous")


class Anything(Ambiguous):
    """Is equal to everything, as ``mock.ANY`` is."""

    __hash__ = None

    def __eq__(self, other):
        return True


def make(cls, address, data):
    visit(address, data)
    return cls(data)


async def make_on_loop(cls, address, data):
    await visit_on_loop(address, data)
    return cls(data)


def many(cls, address, data):
    """Yield many, or one before the gate and one behind it."""
    if data == "many":
        yield from [cls(number) for number in range(20)]
    else:
        yield cls(data)
        visit(address, data)
        if data.startswith("held"):
            yield cls("never")


async def many_on_loop(cls, address, data):
    if data == "many":
        for number in range(20):
            yield cls(number)
    else:
        yield cls(data)
        await visit_on_loop(address, data)
        if data.startswith("held"):
            yield cls("never")


# -- what cannot be sent, nor told --------------------------------------------------------------


class Unspeakable:
    def __reduce__(self):
        raise TypeError("no pickle")

    def __repr__(self):
        raise ValueError("no repr")


class Exiting:
    """Ends the program where somebody pickles it."""

    def __reduce__(self):
        raise SystemExit("pickled")


class ExitingError(Exception):
    """The same, and cannot be told either."""

    def __reduce__(self):
        raise SystemExit("pickled")

    def __str__(self):
        raise ValueError("no str")

    __repr__ = __str__


def deep():
    nested = []
    for _ in range(100_000):
        nested = [nested]
    return nested


UNSPEAKABLE = {
    "no repr": Unspeakable,
    "deep": deep,
    "exits": Exiting,
    "huge": lambda: {"samples": [*range(300_000)], "lock": threading.Lock()},
}


def bring(data):
    """Return or raise what cannot be brought back; otherwise say which call of this worker it was."""
    number = next(CALLS)
    if data in UNSPEAKABLE:
        return UNSPEAKABLE[data]()
    if data == "raises":
        raise ExitingError
    return data, number


def bring_all(address, data):
    """The same, a value at a time; whoever closes the generator early hears of it."""
    number = next(CALLS)
    ended = False
    try:
        yield data, number
        if data == "no pickle":
            yield threading.Lock()
        if data == "no way back":
            yield OneWay()
        if data == "endless":
            visit(address, data)
            yield from itertools.repeat(data)
        if data in ("no pickle", "no way back"):
            yield from ["after"] * 20
        ended = True
    finally:
        if not ended:
            raise MineError("the clean-up")


# -- exceptions that take no notes --------------------------------------------------------------


@dataclass(frozen=True)
class FrozenError(Exception):
    """Lets nothing be set on it; and so cannot be unpickled."""

    key: str


@dataclass(frozen=True)
class FrozenAndSentError(Exception):
    """The same, and can be."""

    key: str

    def __reduce__(self):
        return FrozenAndSentError, (self.key,)


class ProudError(Exception):
    def add_note(self, note):
        raise RuntimeError("no notes")


class AnnotatedError(Exception):
    def __init__(self, notes):
        super().__init__(notes)
        self.__notes__ = notes


REFUSING = {
    "frozen": lambda: FrozenError("key"),
    "frozen and sent": lambda: FrozenAndSentError("key"),
    "add_note raises": lambda: ProudError("key"),
    "notes are a tuple": lambda: AnnotatedError(("key",)),
    "notes are a number": lambda: AnnotatedError(5),
}

RAISED = []
"""What was raised in this process."""


def refuse(address, data):
    if data in REFUSING:
        RAISED.append(REFUSING[data]())
        raise RAISED[-1]
    visit(address, data)
    return data


async def refuse_on_loop(address, data):
    if data in REFUSING:
        return refuse(address, data)
    await visit_on_loop(address, data)
    return data


THE_ERROR = MineError("the one")


def raise_the_one(data):
    raise THE_ERROR


# -- set-ups and states ---------------------------------------------------------------------------


def stops():
    """A set-up that fails with what Python itself uses for control flow."""
    raise StopIteration("setup")


async def cancels():
    """A set-up that is cancelled, though nobody has cancelled it."""
    raise asyncio.CancelledError


class Ledger(Resource):
    """A state that knows whether it has been closed."""

    open = False

    def __enter__(self):
        self.open = True
        return super().__enter__()

    def __exit__(self, *exc_info):
        self.open = False
        super().__exit__(*exc_info)


def write(ledger, data):
    if data == "fails":
        raise MineError(data)
    return data, ledger.open


# -- processes --------------------------------------------------------------------------------


def breed(address, fifo, how, data):
    """Leave a child behind, which ends once the fifo has been written and closed; then stand at the gate."""
    if data.startswith("child"):
        if how == "system":
            os.system(f"cat {fifo} &")
        elif os.fork() == 0:
            Path(fifo).read_bytes()
            os._exit(0)
    if data.endswith("dies"):
        os._exit(1)
    visit(address, data)
    return data


def begin_a_thread(address, data):
    threading.Thread(target=visit, args=(address, "thread")).start()
    return data


def set_up(address):
    """A set-up that tells the gate by which process it is made."""
    visit(address, os.getpid())


class Stopping:
    """A state whose process is stopped, as a debugger does, while it cleans up."""

    def __init__(self, when):
        self._when = when

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        if self._when == "in the middle of a message":
            os.write(channel().fileno(), struct.pack("!i", 1000) + b"the first few of them")
        os.kill(os.getpid(), signal.SIGSTOP)


def channel():
    """The pipe that the worker process of this call speaks by."""
    frame = sys._getframe()
    while not hasattr(found := frame.f_locals.get("self"), "_connection"):
        frame = frame.f_back
    return found._connection


class Text(str):
    __slots__ = ()

    def __reduce__(self):
        raise TypeError("no pickle")


class LongOneWayError(Exception):
    """Has a long text of several lines, and cannot be made again."""

    def __init__(self, one, two):
        super().__init__(f"{one}\n{two}" * 10**6)


class Long:
    """Is shown in many lines, and so is what is wrong with its pickle."""

    def __repr__(self):
        return "a line\n" * 10**6

    def __reduce__(self):
        raise LongOneWayError("this", "that")


def raise_long():
    """Raise one, with a note of an odd kind."""
    error = LongOneWayError("this", "that")
    error.add_note(Text("a note"))
    raise error


class Unspeakably:
    """A state that is left with what can be pickled, and not be made again."""

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        raise OneWayError("this", "that")


def die_or_not(state, data):
    if data == "dies":
        os._exit(1)
    return data


class Slow:
    def __init__(self, address):
        self.address = address

    def __reduce__(self):
        visit(self.address, "pickled")
        return str, ("slow",)
