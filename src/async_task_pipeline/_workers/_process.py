"""One process of our own that makes calls: how it is started, killed and waited for; and one kept ready.

The rule: never a fork of this process, which has threads, and nobody else is ever killed in
its place. It is asked to leave if it waits for a request, and killed if it does not leave; either
way it is gone, and waited for, when ``leave`` or ``ended`` returns. On Linux a server without
threads, Python's own, starts it in a fifth of the time that a fresh interpreter takes; that is
also Python's default there from 3.14 on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from multiprocessing import Pipe, current_process, get_context, set_forkserver_preload
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from typing import Any

from .._exceptions import PipelineStateError
from ._elsewhere import WorkerElsewhere, greeting
from ._pickling import main_is_importable
from ._process_main import serve_process
from ._wire import watch

START_METHOD = "forkserver" if sys.platform == "linux" else "spawn"

CREDIT = 16
"""How many values a generator may be ahead: one round trip in so many is a small part of what they cost."""

LEAVE_SECONDS = 5.0
"""What a process gets to leave its state and to end, before it is killed."""

ENDED_SECONDS = 0.5
"""The same for one that has closed its pipe: it ends at once, or not at all."""

_multiprocessing = threading.Lock()
"""Taken while a process is started or waited for: to start one, multiprocessing looks at all of its
children, and would reap one of them, whose exit code another thread then cannot read."""

_IMPORTED_IN = os.getpid()

_started: weakref.WeakSet[WorkerProcess] = weakref.WeakSet()

_ending: set[int] = set()
"""The processes, this and those it is a fork of, that end their worker processes at their own end."""


class WorkerProcess(WorkerElsewhere):
    """A process, started afresh: it shares nothing with this one but what is sent.

    Args:
        function: What it calls; takes the state first if there is a ``setup``.
        setup: What makes the state, or ``None``.
        credit: How many values a generator may be ahead of who reads them.
        stage: The name of the stage, for what the process logs.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        setup: Callable[[], Any] | None = None,
        *,
        credit: int = CREDIT,
        stage: str = "",
    ) -> None:
        if current_process().daemon:
            raise PipelineStateError(
                "a stage with executor='process' cannot run in a daemon process of multiprocessing, such as one of a "
                "multiprocessing.Pool, which may not start processes; run the pipeline in one that is no daemon, "
                "or give the stage executor='thread'"
            )
        told = greeting(function, setup, credit)
        here, there = Pipe()
        # Nothing is sent through it. That it closes ends the process, as it does when this process ends, however.
        held, self._lifeline = Pipe(duplex=False)
        # In a fork the server is a child of another process, which multiprocessing does not expect.
        method = START_METHOD if os.getpid() == _IMPORTED_IN else "spawn"
        context: Any = get_context(method)
        _prepare()
        with there, held:
            self._process: BaseProcess = context.Process(
                target=serve_process,
                # The environment as it is now: the server has that of its own start.
                args=(there, held, dict(os.environ)),
                name="async_task_pipeline",
                daemon=True,  # so that this process does not wait for it when it ends itself
            )
            with _multiprocessing:
                if method == "forkserver":  # unless it is running, it is to import what a process runs, too
                    set_forkserver_preload(["__main__", serve_process.__module__])
                with main_let_be():
                    _start(self._process)
        self._descriptor = _descriptor_of(self._process)
        end = self._process.sentinel if self._descriptor is None else self._descriptor
        self._watch_end = watch(end)
        self._exit_code: int | None = None
        # Taken while the process is killed or waited for, lest its number be another's.
        self._lock = threading.Lock()
        self._killed = self._over = False
        super().__init__(here, end, function, told, credit=credit, stage=stage)
        _started.add(self)

    def kill(self) -> bool:
        """End it at once, if it has not ended, from any thread; always true."""
        with self._lock:
            self._killed = True
            if self._over:
                pass
            elif self._descriptor is not None:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
            elif not wait([self._process.sentinel], timeout=0):  # or another process may have its number
                self._process.kill()
        return True

    def is_alive(self) -> bool:
        """Whether it has neither been killed nor ended; takes microseconds."""
        return not (self._killed or self._connection.closed or self._watch_end(0))

    def leave(self) -> bool:
        """Make it leave its state and end, in ``LEAVE_SECONDS``; one whose set-up has not ended is killed.

        Returns:
            Whether it has reported that its state is left.

        Raises:
            BaseException: What leaving the state raised, or closing a generator that was left open.
        """
        deadline = time.monotonic() + LEAVE_SECONDS
        if not self._ready and not self._connection.closed and not self._watch(0):
            self.kill()  # its set-up may never end
        # It may be stopped in the middle of a message, of which we wait for the rest.
        late = threading.Timer(LEAVE_SECONDS, self.kill)
        late.daemon = True
        try:
            with contextlib.suppress(RuntimeError):  # there is no thread to be had: then it is waited for
                late.start()
            return self._say_goodbye(LEAVE_SECONDS)
        finally:
            late.cancel()
            if not self._ready:
                self.kill()  # it has told of its set-up, but not of the end of that
            self._wait(deadline - time.monotonic())

    def ended(self) -> str:
        """Exit status as text; kills the process if only its pipe was closed."""
        self._wait(ENDED_SECONDS)
        return f"process ended with exit code {self._exit_code}"

    def _wait(self, seconds: float) -> None:
        """Wait until it has ended, and end it if that takes so long."""
        self._forget()
        if not self._over and not self._watch_end(max(0.0, seconds)):
            self.kill()  # it has threads that do not end, or has lost its pipe
            self._watch_end(None)
        with _multiprocessing, self._lock:
            if not self._over:
                self._reap()

    def _reap(self) -> None:
        self._process.join()
        self._over = True
        self._exit_code = self._process.exitcode
        with contextlib.suppress(ValueError):  # somebody else has waited for it, and not yet noted it
            self._process.close()  # it has a descriptor, until it is collected otherwise
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._lifeline.close()

    def close_in_fork(self) -> None:
        """In a fork of the process that has started it: keep nothing that would keep it alive."""
        self._lifeline.close()
        self._connection.close()


class Standby:
    """One process of a stage started ahead of need, with its state made.

    To start one takes longer than the silence after an interrupt may last. All methods may be
    called in any thread, and block.

    Args:
        start: Starts one.
    """

    def __init__(self, start: Callable[[], WorkerProcess]) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._ready: WorkerProcess | None = None
        self._closed = False

    def take(self) -> WorkerProcess:
        """The one that was started, if there is one and it has not died since, or one started now."""
        with self._lock:
            taken, self._ready = self._ready, None
        if taken is not None:
            if taken.is_alive():
                return taken
            taken.ended()  # while nobody needed it, which is no fault of the stage's
        return self._start()

    def fill(self) -> None:
        """Start one, if there is none; raises what starting it raises."""
        if not self._wanting():
            return
        started = self._start()
        with self._lock:
            kept = self._wanting()  # still
            if kept:
                self._ready = started
        if kept:
            started.greet()  # now that whoever closes finds it, and kills it if it does not listen
        else:
            started.leave()

    def _wanting(self) -> bool:
        return self._ready is None and not self._closed

    def close(self) -> None:
        """Make the standby leave, and keep none from now on; raises what that raises."""
        left = self._take_last()
        if left is not None:
            left.leave()

    def kill(self) -> None:
        """End the one that is ready at once, and keep none from now on."""
        left = self._take_last()
        if left is not None:
            left.kill()
            left.ended()

    def _take_last(self) -> WorkerProcess | None:
        with self._lock:
            self._closed = True
            left, self._ready = self._ready, None
        return left


def _descriptor_of(process: BaseProcess) -> int | None:
    """A pidfd, where available: unlike a PID it cannot be reused."""
    try:
        return os.pidfd_open(process.pid or 0)
    except (AttributeError, OSError):
        return None


def _start(process: BaseProcess) -> None:
    """Start it, by another server if the one that is asked dies in that instant."""
    for seconds in (0.0, 0.01, 0.1):  # a server that is dying is still there for a moment
        try:
            return process.start()
        except (EOFError, ConnectionError):
            time.sleep(seconds)
    return process.start()


@contextlib.contextmanager
def main_let_be() -> Iterator[None]:
    """Keep processes that are started meanwhile from importing the main module, unless it may be imported.

    multiprocessing asks the module for its specification, and lets one be that has the name of a
    package's ``__main__``. Whoever else starts a process in this instant has no use for it either.
    """
    main = sys.modules["__main__"]
    if main_is_importable() or not hasattr(main, "__file__"):
        yield
        return
    kept, main.__spec__ = main.__spec__, ModuleSpec("async_task_pipeline.__main__", None)
    try:
        yield
    finally:
        main.__spec__ = kept


def _prepare() -> None:
    """Before the first start in a process: see to the end of its worker processes, and to its forks."""
    if os.getpid() in _ending:
        return
    if not _ending:  # a fork has what it is a fork of has registered
        with contextlib.suppress(AttributeError):  # nothing forks on Windows
            os.register_at_fork(after_in_child=_in_fork)
    _ending.add(os.getpid())
    # Before multiprocessing asks them to end, by a signal they disregard, and waits for that.
    Finalize(None, _end_all, exitpriority=10)


def _end_all() -> None:
    for each in [*_started]:
        each.kill()


def _in_fork() -> None:
    global _multiprocessing  # noqa: PLW0603  the fork is another process
    for each in _started:
        each.close_in_fork()
    _started.clear()
    _multiprocessing = threading.Lock()  # another thread may have had it
