"""The far end of a worker that is another process, or another interpreter.

The rule: it reads a request, makes the calls in it one after another, and says what came
of each, in order. What it has to say it says at once if the calls are slow; results of
fast calls share a message. A generator yields as many values as the request has credit
for and then waits to be asked for more, so back-pressure reaches it here too.

Everything that crosses is pickled piece by piece, so that what cannot be pickled is the
failure of one call.
"""

from __future__ import annotations

import contextlib
import enum
import pickle
import signal
import sys
import time
import traceback
from multiprocessing.connection import Connection
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, TypeAlias

from ._exceptions import RemoteCallError
from ._setup import Preparation

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


class Peer:
    """Serves requests until it is told to leave."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._said: list[Said] = []
        self._began = self._flushed = time.perf_counter()

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
        while True:
            request = self._received()
            if request is None:
                break
            self._began = self._flushed = time.perf_counter()
            credit, calls = request
            for each in calls:
                credit = self._call(preparation.function, each, credit)
            self._flush()
        try:
            preparation.leave()
        except BaseException as exc:
            self._connection.send_bytes(packed_exception(exc))
        else:
            self._connection.send_bytes(NONE)

    def _call(self, function: Any, pickled: bytes, credit: int) -> int:
        start = time.perf_counter()
        try:
            result = function(_unpickled(pickled))
        except BaseException as exc:
            self._raised(exc, start)
            return credit - 1
        kind = type(result)
        if kind is GeneratorType:
            return self._expand(result, start, credit)
        if kind is CoroutineType or kind is AsyncGeneratorType:
            if kind is CoroutineType:
                result.close()
            self._say(Word.AWAITABLE, kind.__name__, start)
        else:
            self._say(Word.RETURNED, result, start)
        return credit - 1

    def _expand(self, generator: Any, start: float, credit: int) -> int:
        try:
            while True:
                if credit <= 0:
                    self._say(Word.NO_CREDIT, None, start)
                    self._flush()
                    credit = self._received()
                    self._began = self._flushed = time.perf_counter()
                    if credit <= 0:
                        break  # nobody wants the rest
                    start = time.perf_counter()
                try:
                    value = next(generator)
                except StopIteration:
                    break
                except BaseException as exc:
                    self._raised(exc, start)
                    return credit - 1
                self._say(Word.YIELDED, value, start)
                credit -= 1
                start = time.perf_counter()
        finally:
            generator.close()
        self._say(Word.EXHAUSTED, None, start)
        return credit

    def _say(self, word: Word, value: Any, start: float) -> None:
        now = time.perf_counter()
        try:
            pickled = None if value is None else pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        except Exception as exc:
            word = Word.RAISED
            pickled = packed_exception(RemoteCallError(f"a result cannot be brought back: {value!r} ({exc})"))
        self._add((word, pickled, start - self._began, now - self._began))

    def _raised(self, exc: BaseException, start: float) -> None:
        self._add((Word.RAISED, packed_exception(exc), start - self._began, time.perf_counter() - self._began))

    def _add(self, said: Said) -> None:
        self._said.append(said)
        if time.perf_counter() - self._flushed > FLUSH_AFTER:
            self._flush()

    def _flush(self) -> None:
        if self._said:
            said, self._said = self._said, []
            now = self._flushed = time.perf_counter()
            self._connection.send_bytes(pickle.dumps((now - self._began, said), pickle.HIGHEST_PROTOCOL))


def _unpickled(pickled: bytes) -> Any:
    try:
        return pickle.loads(pickled)  # noqa: S301  it comes from the process that started this one
    except Exception as exc:
        raise RemoteCallError(f"an item cannot be unpickled in the worker: {exc!r}") from exc


def packed_exception(exc: BaseException) -> bytes:
    """An exception, pickled, with the traceback it has here as a note."""
    where = "".join(traceback.format_exception(exc)).rstrip()
    exc.add_note(f"in the worker it was raised so:\n{where}")
    try:
        packed = pickle.dumps(exc, pickle.HIGHEST_PROTOCOL)
        pickle.loads(packed)  # noqa: S301  some can be pickled and not be made again
    except Exception:
        return pickle.dumps(RemoteCallError(f"an exception cannot be brought back:\n{where}"))
    # Notes are in an exception's __dict__, which a class of its own may leave out when pickled.
    return pickle.dumps((packed, getattr(exc, "__notes__", [])), pickle.HIGHEST_PROTOCOL)


def unpacked_exception(packed: bytes) -> BaseException | None:
    """The exception again; ``None`` for :py:data:`NONE`."""
    found = pickle.loads(packed)  # noqa: S301  it comes from a process that we started
    if not isinstance(found, tuple):
        nothing_or_error: BaseException | None = found
        return nothing_or_error
    exc: BaseException = pickle.loads(found[0])  # noqa: S301
    for note in found[1]:
        if note not in getattr(exc, "__notes__", ()):
            exc.add_note(note)
    return exc


def serve_process(connection: Connection) -> None:
    """Be a worker, in a process of its own."""
    # Ctrl-C goes to every process of the terminal; what it means is the pipeline's to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The other end may be gone at any moment, and with it the reason to be here.
    with contextlib.suppress(EOFError, OSError):
        Peer(connection).serve()


def serve_interpreter(descriptor: int, preparation: dict[str, Any]) -> None:
    """Be a worker, in an interpreter of its own, which begins knowing nothing of the main module."""
    from multiprocessing.spawn import prepare  # noqa: PLC0415  only where it is needed

    hosts = sys.modules["__main__"]  # what runs us goes on in it
    with Connection(descriptor) as connection, contextlib.suppress(EOFError, OSError):
        try:
            prepare(preparation)
        except BaseException as exc:  # such as a main module that imports what no other interpreter may
            connection.send_bytes(packed_exception(exc))
        else:
            Peer(connection).serve()
        finally:
            sys.modules["__main__"] = hosts
