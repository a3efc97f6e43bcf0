"""One process of our own: how it is started, killed and waited for.

The rule: never a fork of this process, which has threads, and nobody else is ever killed in
its place. On Linux a server without threads, Python's own, starts it in a fifth of the time
that a fresh interpreter takes; that is also Python's default there from 3.14 on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing import forkserver, get_context
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

START_METHOD = "forkserver" if sys.platform == "linux" else "spawn"

_multiprocessing = threading.Lock()
"""Held while a process is started or waited for: to start one, multiprocessing looks at all of its
children, and would take from another thread the word of how one has ended."""


class Child:
    """A running process; a daemon, so that it never outlives this one.

    Args:
        target: What it runs; importable.
        args: What that is called with.
    """

    def __init__(self, target: Callable[..., None], *args: object) -> None:
        context: Any = get_context(START_METHOD)
        self._process: BaseProcess = context.Process(target=target, args=args, name="async_task_pipeline", daemon=True)
        with _multiprocessing:
            _preload(target.__module__)
            self._process.start()
        self._descriptor = _descriptor_of(self._process)
        self._exit_code: int | None = None
        self._lock = threading.Lock()
        self._over = False

    @property
    def end(self) -> int:
        """What can be waited for, and is ready when the process has ended."""
        return self._process.sentinel if self._descriptor is None else self._descriptor

    def kill(self) -> None:
        """End it at once, if it has not ended."""
        with self._lock:
            if self._over:
                return
            if self._descriptor is not None:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
            elif not wait([self._process.sentinel], timeout=0):  # or another process may have its number
                self._process.kill()

    def wait(self, patience: float) -> int | None:
        """Wait until it has ended, and end it if that takes so many seconds; return its exit code."""
        if not self._over and not wait([self.end], patience):  # it has threads that do not end, or lost its pipe
            self.kill()
            wait([self.end])
        with _multiprocessing, self._lock:
            if not self._over:
                self._forget()
        return self._exit_code

    def _forget(self) -> None:
        self._process.join()
        self._over = True
        self._exit_code = self._process.exitcode
        with contextlib.suppress(ValueError):  # somebody else has waited for it, and not yet said so
            self._process.close()  # it holds a descriptor, until it is collected otherwise
        if self._descriptor is not None:
            os.close(self._descriptor)


def _descriptor_of(process: BaseProcess) -> int | None:
    """A descriptor of the process itself, where the system has such: its number may be another's one day."""
    try:
        return os.pidfd_open(process.pid or 0)
    except (AttributeError, OSError):
        return None


def _preload(module: str) -> None:
    """Have the server import, unless it is running, what a child runs, beside what others asked for."""
    wanted: list[str] = getattr(forkserver._forkserver, "_preload_modules", ["__main__"])
    if module not in wanted:
        forkserver.set_forkserver_preload([*wanted, module])
