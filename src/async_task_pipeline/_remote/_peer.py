"""The far end of a worker that is another process, or another interpreter.

The rule: it reads a request, makes the calls in it one after another, and says what came
of each, in order. What it has to say it says at once if the calls are slow; results of
fast calls share a message, which a thread of its own sends in time should the next call
turn out to be slow. A generator yields as many values as the request has credit
for and then waits to be asked for more, so back-pressure reaches it here too.

Everything that crosses is pickled piece by piece, so that what cannot be pickled is the
failure of one call.
"""

from __future__ import annotations

import contextlib
import enum
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from queue import SimpleQueue
from types import GeneratorType
from typing import Any, TypeAlias

from .._exceptions import RemoteCallError, add_note, notes_of, shown, unawaited
from .._workers._setup import Preparation

FLUSH_AFTER = 0.001
"""Seconds for which results are held back to share a message: what a message costs both
ends, times ten."""


class Word(enum.IntEnum):
    """What came of a call, or of one step of it."""

    RETURNED = enum.auto()
    AWAITABLE = enum.auto()
    YIELDED = enum.auto()
    RAISED = enum.auto()
    EXHAUSTED = enum.auto()
    NO_CREDIT = enum.auto()


Said: TypeAlias = tuple[Word, bytes | None, float, float]
"""A word, what it is about (pickled; ``None`` is ``None``), and from when to when the
function ran, in seconds since the request arrived."""

NONE = pickle.dumps(None)
"""What is said of set-up and clean-up that raised nothing."""


class Peer:
    """Serves requests until it is told to leave."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._said: list[Said] = []
        self._began = self._flushed = time.perf_counter()
        self._leaving = False
        self._lock = threading.Lock()
        # Whether the thread knows that something is held back; and what it waits on.
        self._told = False
        self._tickets: SimpleQueue[bool] = SimpleQueue()

    def _received(self) -> Any:
        return pickle.loads(self._connection.recv_bytes())  # noqa: S301  from what started this

    def serve(self) -> None:
        """Prepare, then serve."""
        try:
            function, setup = self._received()
            preparation = Preparation(function, setup)
            preparation.enter()
        except BaseException as exc:
            self._connection.send_bytes(packed_exception(exc))
            return
        self._connection.send_bytes(NONE)
        sender = threading.Thread(target=self._send_in_time)
        sender.start()
        try:
            while not self._leaving and (request := self._received()) is not None:
                self._serve(preparation.function, *request)
        finally:
            self._tickets.put(False)
            sender.join()
        try:
            preparation.leave()
        except BaseException as exc:
            self._connection.send_bytes(packed_exception(exc))
        else:
            self._connection.send_bytes(NONE)

    def _serve(self, function: Any, credit: int, calls: list[bytes]) -> None:
        self._began = self._flushed = time.perf_counter()
        for each in calls:
            credit = self._call(function, each, credit)
            if self._leaving:
                return
        self._flush()

    def _call(self, function: Any, pickled: bytes, credit: int) -> int:
        start = time.perf_counter()
        try:
            result = function(_unpickled(pickled))
        except BaseException as exc:
            self._raised(exc, start)
            return credit - 1
        if type(result) is GeneratorType:
            return self._expand(result, start, credit)
        kind = unawaited(result)
        if kind is None:
            self._say(Word.RETURNED, result, start)
        else:
            self._say(Word.AWAITABLE, kind, start)
        return credit - 1

    def _expand(self, generator: Any, start: float, credit: int) -> int:
        """Say what a generator yields; return what is left of the credit."""
        credit, last = self._iterate(generator, start, credit)
        try:
            generator.close()
        except BaseException as exc:
            if last is not None:
                self._raised(exc, last)
            return credit
        if last is not None:
            self._say(Word.EXHAUSTED, None, last)
        return credit

    def _iterate(self, generator: Any, start: float, credit: int) -> tuple[int, float | None]:
        """The same; and when its last step began, ``None`` if the last word on the call has been said."""
        while True:
            if credit <= 0:
                self._say(Word.NO_CREDIT, None, start)
                self._flush()
                granted: int | None = self._received()
                self._began = self._flushed = time.perf_counter()
                if granted is None:  # told to leave in the middle of a call
                    self._leaving = True
                    return 0, None
                if granted <= 0:
                    return credit, start  # nobody wants the rest
                credit = granted
                start = time.perf_counter()
            try:
                value = next(generator)
            except StopIteration:
                return credit, start
            except BaseException as exc:
                self._raised(exc, start)
                return credit - 1, None
            credit -= 1
            if not self._say(Word.YIELDED, value, start):
                return credit, None
            start = time.perf_counter()

    def _say(self, word: Word, value: Any, start: float) -> bool:
        """Say something with a value; false if it cannot be, and the call has failed."""
        now = time.perf_counter()
        try:
            pickled = None if value is None else pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        except BaseException as exc:
            word = Word.RAISED
            pickled = packed_exception(
                RemoteCallError(f"a result cannot be brought back: {shown(value)} ({shown(exc)})")
            )
        self._add((word, pickled, start - self._began, now - self._began))
        return word is not Word.RAISED

    def _raised(self, exc: BaseException, start: float) -> None:
        self._add((Word.RAISED, packed_exception(exc), start - self._began, time.perf_counter() - self._began))

    def _add(self, said: Said) -> None:
        with self._lock:
            self._said.append(said)
        if time.perf_counter() - self._flushed > FLUSH_AFTER:
            self._flush()
        elif not self._told:
            self._told = True
            self._tickets.put(True)

    def _flush(self) -> None:
        with self._lock:
            if self._said:
                said, self._said = self._said, []
                now = self._flushed = time.perf_counter()
                self._connection.send_bytes(pickle.dumps((now - self._began, said), pickle.HIGHEST_PROTOCOL))

    def _send_in_time(self) -> None:
        """Send what is held back while a slow call is running; the body of a thread."""
        with contextlib.suppress(OSError):  # nobody is there any more, as the caller will find
            while self._tickets.get():
                time.sleep(FLUSH_AFTER)
                # Before the look: what is added from here on brings a ticket of its own.
                self._told = False
                self._flush()


def _unpickled(pickled: bytes) -> Any:
    try:
        return pickle.loads(pickled)  # noqa: S301  it comes from the process that started this one
    except Exception as exc:
        raise RemoteCallError(f"an item cannot be unpickled in the worker: {shown(exc)}") from exc


def packed_exception(exc: BaseException) -> bytes:
    """An exception, pickled, and as a note for it the traceback it has here."""
    where = _traceback(exc)
    BaseException.with_traceback(exc, None)  # raised again, it would have the frames of now as well
    try:
        packed = pickle.dumps(exc, pickle.HIGHEST_PROTOCOL)
        pickle.loads(packed)  # noqa: S301  some can be pickled and not be made again
    except BaseException:
        return pickle.dumps(RemoteCallError(f"an exception cannot be brought back:\n{where}"))
    # Notes are in an exception's __dict__, which a class of its own may leave out when pickled.
    notes = [*notes_of(exc), f"in the worker it was raised so:\n{where}"]
    return pickle.dumps((packed, notes), pickle.HIGHEST_PROTOCOL)


def _traceback(exc: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(exc)).rstrip()
    except BaseException:  # what is formatted is anybody's
        return shown(exc)


def is_reply(packed: bytes) -> bool:
    """Whether this is what came of calls, and not how set-up or clean-up went."""
    found = pickle.loads(packed)  # noqa: S301  it comes from a process that we started
    return isinstance(found, tuple) and isinstance(found[0], float)


def unpacked_exception(packed: bytes) -> BaseException:
    """What :py:func:`packed_exception` packed."""
    found = pickle.loads(packed)  # noqa: S301  it comes from a process that we started
    if isinstance(found, BaseException):
        return found
    exc: BaseException = pickle.loads(found[0])  # noqa: S301
    for note in found[1]:
        add_note(exc, note)
    return exc


def error_of(packed: bytes) -> BaseException | None:
    """What set-up or clean-up raised, if it did."""
    return None if packed == NONE else unpacked_exception(packed)


def serve_process(connection: Connection, environ: dict[str, str]) -> None:
    """Be a worker, in a process of its own, with these environment variables."""
    os.environ.clear()
    os.environ.update(environ)
    # Ctrl-C goes to every process of the terminal; what it means is the pipeline's to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The other end may be gone at any moment, and with it the reason to be here.
    with contextlib.suppress(EOFError, OSError):
        Peer(connection).serve()


def serve_interpreter(descriptor: int, preparation: dict[str, Any]) -> None:
    """Be a worker, in an interpreter of its own, which begins knowing nothing of the main module."""
    from multiprocessing.spawn import prepare  # noqa: PLC0415  only where it is needed

    hosts = sys.modules["__main__"]  # what runs us goes on in it
    # A duplicate: the original belongs to who hosts this, however this ends.
    with Connection(os.dup(descriptor)) as connection, contextlib.suppress(EOFError, OSError):
        try:
            prepare(preparation)
        except BaseException as exc:  # such as a main module that imports what no other interpreter may
            connection.send_bytes(packed_exception(exc))
        else:
            Peer(connection).serve()
        finally:
            sys.modules["__main__"] = hosts
