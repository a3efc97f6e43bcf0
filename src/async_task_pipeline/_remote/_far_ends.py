"""The other processes and interpreters: how they come to be, and how they end.

The rule: everything here blocks, and is called in threads, but for ``kill``. A far end is
asked to leave if it is waiting for a request, and killed if it is not; either way it is
gone, and waited for, when the call returns.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import threading
from collections import deque
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from .._links import drain
from ._child import Child
from ._peer import error_of, is_reply, serve_process

LEAVE_SECONDS = 5.0
"""What a process gets to end after it has let go of its state, before it is killed."""

FATE_SECONDS = 0.5
"""The same for one that has closed its pipe: it ends at once, or not at all."""


class FarEndClosedError(Exception):
    """Raised when there is nobody at the far end any more.

    Of a class of its own, because a stage's function may raise whatever a pipe does.
    """


class FarEnd(Protocol):
    """One process or interpreter that makes calls.

    Attributes:
        most_credit: How many values a generator may yield before it asks for leave to go on.
            Where it cannot be ended from here that is one, so that it hears with its next
            value that nobody wants the rest.
    """

    most_credit: int

    def wait_ready(self) -> None:
        """Block until calls can be made; raise what ``setup`` raised over there.

        This and what follows raise :py:exc:`FarEndClosedError` if the far end has gone.
        """

    def send(self, request: Any) -> None:
        """Send a request."""

    def receive(self) -> Any:
        """Block until there is a reply."""
        ...

    def kill(self) -> bool:
        """End it at once, in the middle of a call or of set-up; false if that cannot be done."""
        ...

    def is_ready(self) -> bool:
        """Whether calls can be made, or would be but for an error; does not block."""
        ...

    def leave(self) -> None:
        """Have it let go of its state and end; raise what that raised over there."""

    def fate(self) -> str:
        """Tell how it ended by itself."""
        ...


class _Connected:
    """A far end behind a connection."""

    def __init__(self, connection: Connection, function: Callable[..., Any], setup: Callable[[], Any] | None) -> None:
        self._connection = connection
        self._ready = False
        with contextlib.suppress(OSError):  # gone already: whoever waits for it hears of that
            connection.send_bytes(pickle.dumps((function, setup)))

    def wait_ready(self) -> None:
        """Block until calls can be made; raise what ``setup`` raised over there."""
        if self._ready:
            return
        error = error_of(self._received())
        if error is not None:
            raise error
        self._ready = True

    def is_ready(self) -> bool:
        """Whether calls can be made, or would be but for an error; does not block."""
        try:
            return self._ready or self._connection.poll()
        except OSError:
            return False

    def send(self, request: Any) -> None:
        """Send a request."""
        packed = pickle.dumps(request, pickle.HIGHEST_PROTOCOL)
        try:
            self._connection.send_bytes(packed)
        except OSError as exc:
            raise FarEndClosedError from exc

    def receive(self) -> Any:
        """Block until there is a reply."""
        return pickle.loads(self._received())  # noqa: S301  we started what sent it

    def _received(self) -> bytes:
        try:
            return self._connection.recv_bytes()
        except (EOFError, OSError) as exc:
            raise FarEndClosedError from exc

    def _say_goodbye(self) -> BaseException | None:
        """Have it let go of its state; return what that raised."""
        try:
            self.wait_ready()
        except BaseException:
            return None
        try:
            self.send(None)
            while is_reply(packed := self._received()):
                pass  # of calls that nobody waits for any more
            return error_of(packed)
        except FarEndClosedError:
            return None


class ProcessEnd(_Connected):
    """A process, started afresh: it shares nothing with this one but what is sent."""

    most_credit: int = sys.maxsize

    def __init__(self, function: Callable[..., Any], setup: Callable[[], Any] | None) -> None:
        here, there = Pipe()
        # The environment as it is now: the server has that of its own start.
        self._child = Child(serve_process, there, dict(os.environ))
        there.close()
        super().__init__(here, function, setup)

    def kill(self) -> bool:
        """End it at once."""
        self._child.kill()
        return True

    def leave(self) -> None:
        """Have it let go of its state and end."""
        error = self._say_goodbye()
        self._gone(LEAVE_SECONDS)
        if error is not None:
            raise error

    def fate(self) -> str:
        """Tell how it ended by itself; one that is only lost is ended, as it is of no use."""
        return f"process ended with exit code {self._gone(FATE_SECONDS)}"

    def _received(self) -> bytes:
        # Not of the connection alone: a process may leave children behind that hold it open.
        try:
            if self._connection not in wait([self._connection, self._child.end]):
                raise FarEndClosedError
        except (OSError, ValueError) as exc:
            raise FarEndClosedError from exc
        return super()._received()

    def _gone(self, patience: float) -> int | None:
        self._connection.close()
        return self._child.wait(patience)


class InterpreterEnd(_Connected):
    """An interpreter in this process, with a lock of its own, in a thread that anyio hosts.

    Args:
        function: The stage's function.
        setup: What makes the state, or ``None``.
        host: Runs the far end of a pipe, given as a descriptor, until that is closed.
    """

    most_credit: int = 1

    def __init__(
        self, function: Callable[..., Any], setup: Callable[[], Any] | None, host: Callable[[int], object]
    ) -> None:
        here, there = Pipe()
        host(os.dup(there.fileno()))
        there.close()
        super().__init__(here, function, setup)

    def kill(self) -> bool:
        """Do nothing: an interpreter cannot be ended."""
        return False

    def leave(self) -> None:
        """Have it let go of its state and end."""
        error = self._say_goodbye()
        self._connection.close()
        if error is not None:
            raise error

    def fate(self) -> str:
        """Tell how it ended by itself."""
        return "interpreter ended"


class Spares:
    """Processes started ahead of need, one for each stage, with their state made.

    Args:
        start: Starts one.
        on_taken: Is called, in any thread, when another should be started.
    """

    def __init__(self, start: Callable[[], FarEnd], on_taken: Callable[[], object]) -> None:
        self._start = start
        self._on_taken = on_taken
        self._spares: deque[FarEnd] = deque()
        self._lock = threading.Lock()
        self._closed = False

    def take(self) -> tuple[FarEnd, bool]:
        """The spare, or one started now; and whether it is the spare."""
        try:
            taken = self._spares.popleft(), True
        except IndexError:
            taken = self._start(), False
        self._on_taken()
        return taken

    def fill(self) -> None:
        """Start a spare, if there is none."""
        if self._spares:
            return
        end = self._start()
        with self._lock:
            closed = self._closed
            if not closed:
                self._spares.append(end)
        if closed:
            _dismiss(end)

    def close(self) -> None:
        """Have all spares leave."""
        with self._lock:
            self._closed = True
        for end in drain(self._spares):
            _dismiss(end)


def _dismiss(end: FarEnd) -> None:
    """Have a far end leave; one whose set-up has not ended, and may never, is killed."""
    if not end.is_ready() and end.kill():
        end.fate()
    else:
        end.leave()
