"""How calls are made in a worker elsewhere, a process or an interpreter, from here.

The rule: every method blocks, and one thread calls them all; only ``kill`` may come from another,
and it never closes what that thread waits on. What a method raises is what the function raised,
the user's own exception, or :py:exc:`WorkerGoneError`. A call is over, for this end and for that,
before the next is made.
"""

from __future__ import annotations

import contextlib
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from multiprocessing.connection import Connection
from typing import Any

from .._exceptions import RemoteCallError, add_note, not_awaited, shown, told
from ._logging import levels, log_here
from ._pickling import Payload, packed, packed_for_worker, unpacked
from ._wire import Word, message, parts, unpacked_exception, watch


class WorkerGoneError(Exception):
    """Raised when there is no worker at the other end any more.

    Private, and of a class of its own, because a stage's function may raise whatever a pipe does.
    """


class UnheardError(WorkerGoneError):
    """The same, and it had not read the request: the call was not begun, so it may be made elsewhere."""


class WorkerElsewhere(ABC):
    """Has a function called by whoever is at the other end of a pipe.

    Args:
        connection: Our end of it.
        end: What is ready when the other end has ended, if there is such a thing.
        function: What is called.
        greeting: What :py:func:`greeting` made of it.
        credit: How many values a generator may be ahead.
        stage: The name of the stage, for what the worker logs.

    Attributes:
        last_computation: Seconds that the function itself ran in the last call, or in the last
            step of its generator, as measured where it ran; 0 if that is not known.
    """

    def __init__(
        self,
        connection: Connection,
        end: int | None,
        function: Callable[..., Any],
        greeting: bytes,
        *,
        credit: int,
        stage: str,
    ) -> None:
        self.last_computation = 0.0
        self._connection = connection
        self._watch = watch(connection) if end is None else watch(connection, end)
        self._function = function
        self._credit = credit
        self._stage = stage
        self._ready = False
        # Whether a generator has been returned whose last word has not been heard.
        self._generating = False
        self._told = greeting
        self._greeting = threading.Lock()  # whoever has one on standby sends it, and another may want to close

    @abstractmethod
    def kill(self) -> bool:
        """End it at once, from any thread; false if that cannot be done."""

    @abstractmethod
    def leave(self) -> bool:
        """Make it leave its state and end; nothing of it is left when this returns or raises.

        Returns:
            Whether it has reported that its state is left. It has not if it was ended or had ended before.

        Raises:
            BaseException: What leaving the state raised, or closing a generator that was left open.
        """

    @abstractmethod
    def ended(self) -> str:
        """After :py:exc:`WorkerGoneError`: tell how it ended; nothing of it is left then."""

    @abstractmethod
    def is_alive(self) -> bool:
        """Whether it has not ended; takes microseconds."""

    def is_ready(self) -> bool:
        """Whether it has been heard that calls can be made; does not block."""
        return self._ready

    def greet(self) -> None:
        """Ask it to make its state, unless that was done; blocks while it does not read, until it is killed."""
        with self._greeting:
            told, self._told = self._told, b""
            if told:
                with contextlib.suppress(OSError):  # gone already: whoever waits for it hears of that
                    self._connection.send_bytes(told)

    def wait_ready(self) -> None:
        """Wait until calls can be made.

        Raises:
            WorkerGoneError: It ended before.
            BaseException: What ``setup`` raised.
        """
        if self._ready:
            return
        self.greet()
        word, payload = self._receive()
        if word is Word.RAISED:
            raise unpacked_exception(payload)
        self._ready = True

    def call(self, data: Any) -> Any:
        """Call the function there; to be used once :py:meth:`wait_ready` has returned.

        Returns:
            What the function returned. For a generator, one of our own, which yields what that
            yields; exhaust it or close it before the next call. To close it closes the other, waits
            until that has ended, and raises what that raised.

        Raises:
            WorkerGoneError: It ended before or in the call.
            UnheardError: It ended before, as far as that can be told.
            RemoteCallError: The data, the result or the exception cannot be brought over.
            BaseException: What the function raised.
        """
        self.last_computation = 0.0
        try:
            argument = packed_for_worker(data)
        except BaseException as exc:
            raise RemoteCallError(f"an item cannot be sent to the worker: {shown(data)} ({told(exc)})") from exc
        if self._generating:
            raise RuntimeError("the last call was a generator, which has to be closed first")
        self._send(Word.CALL, argument)
        word, payload = self._receive()
        if word is Word.RETURNED:
            return _result(payload)
        if word is Word.RAISED:
            raise unpacked_exception(payload)
        if word is Word.AWAITABLE:
            raise not_awaited(self._function, unpacked(payload))
        values = self._values(word, payload)
        next(values)
        return values

    def _values(self, word: Word, payload: Payload) -> Generator[Any, None, None]:
        """The values of a generator over there, after one that nobody is to see."""
        self._generating = word is Word.YIELDED  # or it has ended before its first value, and answers no more
        left = self._credit
        try:
            yield  # it has begun, so that to close it does what is below
            while word is Word.YIELDED:
                yield _result(payload)
                left -= 1
                if not left:
                    self._send(Word.MORE)
                    left = self._credit
                word, payload = self._receive()
        except RemoteCallError as exc:
            if (failure := self._close_generator()) is not None:
                add_note(exc, f"and the generator failed when it was closed: {shown(failure)}")
            raise
        except BaseException:
            if (failure := self._close_generator()) is not None:
                raise failure from None
            raise
        self._generating = False
        if word is Word.GENERATOR_RAISED:
            raise unpacked_exception(payload)

    def _close_generator(self) -> BaseException | None:
        """End the generator over there, if it has not ended; return what that raised."""
        if not self._generating:
            return None
        try:
            self._send(Word.CLOSE)
            word, payload = self._receive()
            while word is Word.YIELDED:
                word, payload = self._receive()
        except WorkerGoneError:
            return None  # and the generator with it, as whoever makes the next call hears
        self._generating = False
        # What it raised when it was ahead is of values that nobody wants.
        return unpacked_exception(payload) if word is Word.CLOSED and payload else None

    def _say_goodbye(self, seconds: float | None) -> bool:
        """Make it leave its state; true if it reports that in time. Raises what that raised."""
        deadline = None if seconds is None else time.monotonic() + seconds
        failure: BaseException | None = None
        try:
            if not self._ready:
                # Of a process that is asked to leave, it has to be there already.
                word, _ = self._receive(None if seconds is None else time.monotonic())
                if word is not Word.READY:
                    return False  # its set-up failed, which is no news of ours
                self._ready = True
            if self._generating:
                self._send(Word.CLOSE)
            self._send(Word.LEAVE)
            word = Word.READY
            while word is not Word.LEFT:
                word, payload = self._receive(deadline)
                if word in (Word.CLOSED, Word.LEFT) and payload:
                    failure = failure or unpacked_exception(payload)
        except WorkerGoneError:
            return False
        if failure is not None:
            raise failure
        return True

    def _send(self, word: Word, payload: bytes = b"") -> None:
        said = message(word, payload)
        try:
            self._connection.send_bytes(said)
        except OSError as exc:
            self._forget()
            raise UnheardError from exc
        except BaseException:  # with half of it sent, perhaps
            self._forget()
            raise

    def _receive(self, deadline: float | None = None) -> tuple[Word, Payload]:
        """Wait for a message, and log what comes before it; who does not send it in time counts as gone."""
        try:
            word, payload, self.last_computation = parts(self._heard(deadline))
            while word is Word.LOGGED:
                log_here(payload, self._stage)
                word, payload, self.last_computation = parts(self._heard(deadline))
        except WorkerGoneError:
            raise
        except BaseException:  # a MemoryError, mostly
            # The rest of the message is still to come, or the reply: the next call must not take it for its own.
            self._forget()
            raise
        return word, payload

    def _heard(self, deadline: float | None) -> bytes:
        seconds = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            # Not for the connection alone: what the function has forked may keep that open.
            if self._connection.closed or self._connection not in self._watch(seconds):
                raise EOFError  # noqa: TRY301  as if its end had been read
            return self._connection.recv_bytes()
        except ConnectionResetError as exc:  # it has closed a pipe, on Linux, in which there was something to read
            self._forget()
            raise UnheardError from exc
        except (EOFError, OSError) as exc:
            self._forget()
            raise WorkerGoneError from exc

    def _forget(self) -> None:
        """From here on it is gone for whoever asks."""
        self._generating = False
        with self._greeting:
            self._connection.close()


def greeting(function: Callable[..., Any], setup: Callable[[], Any] | None, credit: int) -> bytes:
    """What a worker is told before its first call; raises what pickling it raises."""
    return packed((levels(), packed_for_worker((function, setup, credit))))


def _result(payload: Payload) -> Any:
    try:
        return unpacked(payload)
    except BaseException as exc:
        raise RemoteCallError(f"a result cannot be unpickled here: {told(exc)}") from exc
