"""Interpreters in this process that make calls: how they are hosted, and how they end.

The rule: each has a lock of its own, lives in a thread that anyio hosts, and is served until
its pipe is closed. It cannot be ended before: an interrupted call runs to its end, and its
generator hears with its next value that nobody wants the rest.

An interpreter serves one worker, and is closed by the thread that made it, whatever has become of the
loop: it holds about 15 MB. anyio's ``to_interpreter`` keeps its interpreters until the program
ends, for each event loop anew; it is used on Python 3.13 alone, which has no public way to make one.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.spawn import get_preparation_data
from typing import Any

from anyio import CancelScope, CapacityLimiter, Event, create_task_group

from .._engine._loop_thread import LoopThread
from .._log import logger
from ._elsewhere import WorkerElsewhere, greeting
from ._pickling import main_is_importable
from ._process_main import serve_interpreter

_PREPARED = ("sys_path", "sys_argv")
"""What an interpreter has to be told so that it finds the modules; the rest of what a process is told
belongs to the process, which is this one."""

_PREPARED_MAIN = ("init_main_from_name", "init_main_from_path")
"""And so that it finds what stands in the main module."""


class WorkerInterpreter(WorkerElsewhere):
    """An interpreter, in a thread of its own.

    Args:
        function: What it calls; takes the state first if there is a ``setup``.
        setup: What makes the state, or ``None``.
        host: Has the other end of a pipe, given as a descriptor, served until ours is closed,
            and closes it.
        stage: The name of the stage, for what it logs.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        setup: Callable[[], Any] | None,
        host: Callable[[int], object],
        stage: str = "",
    ) -> None:
        told = greeting(function, setup, 1)
        here, there = Pipe()
        with there:
            host(os.dup(there.fileno()))
        super().__init__(here, None, function, told, credit=1, stage=stage)
        self.greet()

    def kill(self) -> bool:
        """Do nothing and return false: an interpreter cannot be ended."""
        return False

    def is_alive(self) -> bool:
        """Whether it has not ended; between two calls there is nothing else to be heard of it."""
        if self._connection.closed:
            return False
        return not self._ready or self._generating or not self._watch(0)

    def leave(self) -> bool:
        """Make it leave its state and end; waits for its set-up too.

        Returns:
            Whether it has reported that its state is left.

        Raises:
            BaseException: What leaving the state raised, or closing a generator that was left open.
        """
        try:
            return self._say_goodbye(None)
        finally:
            self._forget()

    def ended(self) -> str:
        """Tell how it ended by itself."""
        self._forget()
        return "interpreter ended"


class Interpreters:
    """Hosts the interpreters of a stage.

    Args:
        stage: The name of the stage.
        post: Has something called on the loop, from any thread; false if the loop is gone.
    """

    def __init__(self, stage: str, post: Callable[[Callable[[], object]], bool]) -> None:
        self._stage = stage
        self._post = post
        # Other ends of pipes; a callback of the loop, which wakes who serves them, may start no task.
        self._waiting: deque[int] = deque()
        self._wanted = Event()
        self._lock = threading.Lock()
        self._closed = False
        wanted = (*_PREPARED, *_PREPARED_MAIN) if main_is_importable() else _PREPARED
        self._preparation = {key: value for key, value in get_preparation_data(stage).items() if key in wanted}

    def start(self, function: Callable[..., Any], setup: Callable[[], Any] | None = None) -> WorkerInterpreter:
        """Start one, from any thread; if nobody hosts it any more, it has ended when it is first asked."""
        return WorkerInterpreter(function, setup, self._host_soon, self._stage)

    async def serve(self) -> None:
        """Host interpreters until cancelled, and then until each has ended."""
        async with create_task_group() as tasks:
            try:
                while True:
                    self._wanted = Event()
                    while self._waiting:
                        tasks.start_soon(self._host, self._waiting.popleft())
                    await self._wanted.wait()
            finally:
                with self._lock:
                    self._closed = True
                self._close_waiting()

    def _host_soon(self, descriptor: int) -> None:
        with self._lock:  # whoever closes finds it here, or is found to have closed
            self._waiting.append(descriptor)
            hosted = not self._closed
        if not (hosted and self._post(self._want)):
            self._close_waiting()

    def _want(self) -> None:
        self._wanted.set()

    def _close_waiting(self) -> None:
        """Close the pipes nobody will serve, so that whoever waits at the other end hears of it."""
        with self._lock:
            while self._waiting:
                os.close(self._waiting.popleft())

    async def _host(self, descriptor: int) -> None:
        try:
            # Shielded from its first step on: only the other end can close its pipe, and does
            # so as soon as ours is closed.
            with CancelScope(shield=True):
                await self._serve(descriptor)
        except Exception as exc:
            logger.error("stage %r: an interpreter has failed", self._stage, exc_info=exc)
        finally:
            os.close(descriptor)  # so that whoever waits at the other end hears of it

    async def _serve(self, descriptor: int) -> None:
        if sys.version_info >= (3, 14):
            await LoopThread.here().run(_serve_in_a_new_one, descriptor, self._preparation)
        else:
            from anyio import to_interpreter  # noqa: PLC0415  there is none before Python 3.13

            limiter = CapacityLimiter(1)
            await to_interpreter.run_sync(serve_interpreter, descriptor, self._preparation, limiter=limiter)


if sys.version_info >= (3, 14):

    def _serve_in_a_new_one(descriptor: int, preparation: dict[str, Any]) -> None:
        from concurrent import interpreters  # noqa: PLC0415  only where a stage asks for one

        with contextlib.closing(interpreters.create()) as interpreter:
            interpreter.call(serve_interpreter, descriptor, preparation)
