"""The workers of a stage that runs in processes or interpreters, and what they share.

The rule: one spare process per stage is ready before it is needed, since to start one
takes longer than the silence after an interrupt may last. Interpreters live in threads
that anyio hosts; each is served until its pipe is closed, and cannot be ended before.
"""

from __future__ import annotations

import os
from collections import deque
from functools import partial
from multiprocessing.spawn import get_preparation_data

from anyio import CancelScope, CapacityLimiter, Event, create_task_group, to_thread

from .._links import Link, drain
from .._log import logger
from .._stage import PipelineStage
from .._workers._sessions import Tools
from .._workers._staff import Service
from ._far_ends import InterpreterEnd, ProcessEnd, Spares
from ._peer import serve_interpreter
from ._worker import RemoteWorker

_PREPARED = ("sys_path", "sys_argv", "init_main_from_name", "init_main_from_path")
"""What an interpreter has to be told so that it finds the modules and the main module's
functions; the rest of what a process is told belongs to the process, which is this one."""


def remote_workers(stage: PipelineStage, link: Link, tools: Tools) -> tuple[list[RemoteWorker], Service]:
    """The workers of a stage, and what has to run beside them."""
    maker = _Processes(stage, tools) if stage.kind == "process" else _Interpreters(stage, tools)
    return [RemoteWorker(stage, link, tools, maker.spares) for _ in range(stage.workers)], maker.serve


class _Processes:
    """Keeps one process of a stage in reserve."""

    def __init__(self, stage: PipelineStage, tools: Tools) -> None:
        self._stage = stage
        self._wanted = Event()
        self.spares = Spares(
            partial(ProcessEnd, stage.process_fn, stage.setup), on_taken=lambda: tools.waker.post(self._want)
        )

    def _want(self) -> None:
        self._wanted.set()

    async def serve(self) -> None:
        """Start another process whenever the spare one has been taken."""
        while True:
            await self._wanted.wait()
            self._wanted = Event()
            try:
                await to_thread.run_sync(self.spares.fill, limiter=CapacityLimiter(1))
            except OSError as exc:
                # Whoever needs one will try again, and tell the pipeline if that fails too.
                logger.warning("stage %r: no process could be started ahead of need", self._stage.name, exc_info=exc)


class _Interpreters:
    """Hosts the interpreters of a stage."""

    def __init__(self, stage: PipelineStage, tools: Tools) -> None:
        self._stage = stage
        self._tools = tools
        # Pipes to be served; a callback of the loop, which wakes this, may start no task.
        self._descriptors: deque[int] = deque()
        self._wanted = Event()
        self._closed = False
        self._preparation = {key: value for key, value in get_preparation_data(stage.name).items() if key in _PREPARED}
        self.spares = Spares(partial(InterpreterEnd, stage.process_fn, stage.setup, self._start), on_taken=lambda: None)

    def _start(self, descriptor: int) -> None:
        """Have an interpreter serve a pipe; from any thread."""
        self._descriptors.append(descriptor)
        # Looked at after it is there to be found: whoever closes finds it otherwise.
        if self._closed or not self._tools.waker.post(self._want):
            self._close_waiting()

    def _want(self) -> None:
        self._wanted.set()

    def _close_waiting(self) -> None:
        """Close the pipes nobody will serve, so that whoever waits at the other end hears of it."""
        for descriptor in drain(self._descriptors):
            os.close(descriptor)

    async def _host(self, descriptor: int) -> None:
        from anyio import to_interpreter  # noqa: PLC0415  there is none before Python 3.13

        try:
            # Shielded from its first step on: only the far end can close its pipe, and does
            # so as soon as ours is closed.
            with CancelScope(shield=True):
                await to_interpreter.run_sync(
                    serve_interpreter, descriptor, self._preparation, limiter=CapacityLimiter(1)
                )
        except Exception as exc:
            logger.error("stage %r: an interpreter has failed", self._stage.name, exc_info=exc)
        finally:
            os.close(descriptor)  # so that whoever waits at the other end hears of it

    async def serve(self) -> None:
        """Host interpreters until cancelled."""
        async with create_task_group() as tasks:
            try:
                while True:
                    for descriptor in drain(self._descriptors):
                        tasks.start_soon(self._host, descriptor)
                    await self._wanted.wait()
                    self._wanted = Event()
            finally:
                self._closed = True
                self._close_waiting()
