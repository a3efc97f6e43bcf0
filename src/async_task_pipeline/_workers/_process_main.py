"""What runs in a worker process, or in an interpreter of its own.

The rule: it makes its state, then answers one request at a time. A generator yields each
value at once, is at most ``credit`` values ahead of who reads them, and then waits to be asked,
so back-pressure reaches it here too. Whatever ends the program that started the process ends
the process with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import GeneratorType
from typing import Any

from .._exceptions import RemoteCallError, add_note, shown, told, unawaited
from ._logging import Sender, forwarding
from ._pickling import Payload, packed, packed_for_pipeline, unpacked
from ._setup import WorkerState
from ._wire import Word, message, packed_exception, parts, watch


class _Main:
    """Answers requests until it is told to leave."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sender = Sender(connection)
        self._watch = watch(connection)
        self._credit = 1

    def _heard(self) -> tuple[Word, Payload]:
        """Wait for a request."""
        word, payload, _ = parts(self._connection.recv_bytes())
        self._sender.resume()
        return word, payload

    def _say(self, word: Word, payload: bytes = b"", seconds: float = 0.0) -> None:
        self._sender.send(message(word, payload, seconds), last=word is not Word.YIELDED)

    def _raised(self, exc: BaseException, seconds: float = 0.0) -> None:
        self._say(Word.RAISED, packed_exception(exc), seconds)

    def serve(self) -> None:
        """Answer requests, and forward what is logged from the first import on."""
        wanted, functions = unpacked(self._connection.recv_bytes())
        with forwarding(self._sender, wanted):
            self._serve(functions)

    def _serve(self, functions: bytes) -> None:
        """Make the state, answer, and let the state go."""
        try:
            function, setup, self._credit = _functions(functions)
            state = WorkerState(function, setup)
            state.enter()
        except BaseException as exc:
            self._raised(exc)
            return
        self._say(Word.READY)
        while True:
            word, payload = self._heard()
            if word is Word.CALL:
                self._call(state.function, payload)
            elif word is Word.LEAVE:
                break
            # Anything else was sent to a generator that had ended meanwhile.
        self._clean_up(Word.LEFT, state.leave)

    def _clean_up(self, word: Word, clean_up: Callable[[], object]) -> None:
        """Clean up, and report that with what it raised."""
        failure = _failure_of(clean_up)
        self._say(word, b"" if failure is None else packed_exception(failure))

    def _call(self, function: Callable[[Any], Any], payload: Payload) -> None:
        """Send what came of a call."""
        try:
            data = _argument(payload)
        except RemoteCallError as exc:
            self._raised(exc)
            return
        began = time.perf_counter()
        try:
            result = function(data)
        except BaseException as exc:
            self._raised(exc, time.perf_counter() - began)
            return
        if type(result) is GeneratorType:
            self._iterate(result, began)
            return
        seconds = time.perf_counter() - began
        kind = unawaited(result)
        if kind is not None:
            self._say(Word.AWAITABLE, packed(kind), seconds)
            return
        try:
            brought = _brought(result)
        except RemoteCallError as exc:
            self._raised(exc, seconds)
        else:
            self._say(Word.RETURNED, brought, seconds)

    def _iterate(self, generator: Any, began: float) -> None:
        """Send what a generator yields, until it has ended or nobody wants more."""
        ahead = 0
        while True:
            try:
                value = next(generator)
            except StopIteration:
                self._say(Word.EXHAUSTED, seconds=time.perf_counter() - began)
                return
            except BaseException as exc:
                self._say(Word.GENERATOR_RAISED, packed_exception(exc), time.perf_counter() - began)
                return
            seconds = time.perf_counter() - began
            try:
                brought = _brought(value)
            except RemoteCallError as exc:
                if (failure := _failure_of(generator.close)) is not None:
                    add_note(exc, f"and the generator failed when it was closed: {shown(failure)}")
                self._say(Word.GENERATOR_RAISED, packed_exception(exc), seconds)
                return
            self._say(Word.YIELDED, brought, seconds)
            ahead += 1
            if ahead >= self._credit or self._watch(0):
                if self._heard()[0] is not Word.MORE:  # but CLOSE
                    self._clean_up(Word.CLOSED, generator.close)
                    return
                ahead = 0
            began = time.perf_counter()


def _functions(payload: Payload) -> Any:
    try:
        return unpacked(payload)
    except AttributeError as exc:
        add_note(
            exc,
            "a function of the stage cannot be found in the worker: define it at the top level of a module, "
            "in the main module outside of its 'if __name__ == \"__main__\":'",
        )
        raise


def _argument(payload: Payload) -> Any:
    try:
        return unpacked(payload)
    except BaseException as exc:
        raise RemoteCallError(f"an item cannot be unpickled in the worker: {told(exc)}") from exc


def _brought(value: Any) -> bytes:
    try:
        return packed_for_pipeline(value)
    except BaseException as exc:
        raise RemoteCallError(f"a result cannot be brought back: {shown(value)} ({told(exc)})") from exc


def _failure_of(clean_up: Callable[[], object]) -> BaseException | None:
    try:
        clean_up()
    except BaseException as exc:
        return exc
    return None


def serve_process(connection: Connection, lifeline: Connection, environ: dict[str, str]) -> None:
    """Be a worker, in a process of its own, with these environment variables, as long as the lifeline is open."""
    _end_with(lifeline)
    for number in _OF_GROUPS:
        _disregard(number)
    os.environ.clear()
    os.environ.update(environ)
    if sys.platform != "win32":
        # What the function forks would keep the pipe open, and half a message in it, after the end of this process.
        os.register_at_fork(after_in_child=connection.close)
        # And so would a program that it starts: what comes to a process by a server, or in its start, is inherited.
        for each in (connection, lifeline):
            os.set_inheritable(each.fileno(), False)
        os.register_at_fork(after_in_child=_regard)
    # The other end may be gone at any moment, and with it the reason to be here.
    with contextlib.suppress(EOFError, OSError):
        _Main(connection).serve()


_OF_GROUPS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Signals that a terminal, a service manager or a container sends to every process of a group."""


def _disregard(number: int) -> None:
    """Disregard a signal: what it means to a group of processes is the pipeline's to decide.

    By a function, since a signal that is ignored is ignored in every program that a stage
    starts, which could not be ended by it then. One that is ignored already, by ``nohup``, stays so.
    """
    if signal.getsignal(number) is signal.SIG_IGN and number != signal.SIGINT:  # multiprocessing ignores that one
        return
    signal.signal(number, _nothing)
    if sys.platform != "win32":
        signal.siginterrupt(number, False)


def _nothing(number: int, frame: object) -> None:
    """Do nothing about a signal."""


def _regard() -> None:
    """In a fork: have the signals do what they do in a process of its own, but for those the function has seen to."""
    for number in _OF_GROUPS:
        if signal.getsignal(number) is _nothing:
            signal.signal(number, signal.SIG_DFL)


def _end_with(lifeline: Connection) -> None:
    """End this process when nobody has the other end of a pipe any more.

    On Linux the kernel sees to it, in the middle of a call that has the interpreter's lock
    too. Nothing else does: the parent of this process is Python's fork server, which ends after
    its children (so ``PR_SET_PDEATHSIG`` would not come), and a thread would wait for the lock.
    The pipe stays open until the end of the process, which keeps what it was called with.
    """
    if sys.platform == "linux":
        import fcntl  # noqa: PLC0415  there is none on Windows

        descriptor = lifeline.fileno()
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_ASYNC)
        if lifeline.poll():  # it ended before
            os._exit(1)
    else:
        threading.Thread(target=_end_after, args=(lifeline,), daemon=True).start()


def _end_after(lifeline: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv_bytes()  # nothing is ever sent
    os._exit(1)


def serve_interpreter(descriptor: int, preparation: dict[str, Any]) -> None:
    """Be a worker, in an interpreter of its own, which begins knowing nothing of the main module."""
    from multiprocessing.spawn import prepare  # noqa: PLC0415  only where it is needed

    hosts = sys.modules["__main__"]  # restored below: the code that hosts this worker still uses it
    # A duplicate: the original belongs to who hosts this, however this ends.
    with Connection(os.dup(descriptor)) as connection, contextlib.suppress(EOFError, OSError):
        try:
            prepare(preparation)
        except BaseException as exc:  # such as a main module that imports what no other interpreter may
            connection.send_bytes(message(Word.RAISED, packed_exception(exc)))
        else:
            _Main(connection).serve()
        finally:
            sys.modules["__main__"] = hosts
