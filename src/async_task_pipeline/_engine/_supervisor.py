"""Running a pipeline outside any scope, for ``start()`` and ``stop()``.

The rule: a task group entered in ``start`` and left in ``stop`` breaks on another
task, under a timeout and out of order, on both backends. So the run gets a task of its
own that belongs to nobody: on asyncio a task we keep a reference to (the loop does not), on
trio a system task, which is cancelled when the program's main task ends. What it
raises is kept, because an exception out of a trio system task would end everything.
"""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable
from typing import Any

from anyio import Event, get_cancelled_exc_class
from anyio.lowlevel import current_token

from .._log import logger


class Supervisor:
    """Runs one async function in a detached task.

    Args:
        serve: The function.
        on_end: Is called when it has ended, or never begins.
    """

    def __init__(self, serve: Callable[..., Awaitable[None]], on_end: Callable[[], object]) -> None:
        self._serve = serve
        self._on_end = on_end
        self._task: object = None
        self.ready = Event()
        self.done = Event()
        self.exception: BaseException | None = None

    def started(self, value: None = None) -> None:
        """Note that the function is up: the ``task_status`` protocol."""
        self.ready.set()

    async def _supervise(self) -> None:
        try:
            await self._serve(task_status=self)
        except get_cancelled_exc_class():
            raise
        except BaseException as exc:
            # Logged as well as kept: no scope owns this task, and stop() may never come.
            logger.error("the pipeline failed", exc_info=exc)
            self.exception = exc
        finally:
            self._ended()

    def _ended(self, _task: object = None) -> None:
        self._on_end()
        self.done.set()
        self.ready.set()

    def spawn(self) -> None:
        """Start the task, with the context variables as they are here."""
        native: Any = current_token().native_token
        if hasattr(native, "create_task"):
            self._task = task = native.create_task(self._supervise(), name="async_task_pipeline")
            # Cancelled before its first step, a task of asyncio never enters its try block.
            task.add_done_callback(self._ended)
        else:
            import trio  # noqa: PLC0415  only where trio is what runs us

            trio.lowlevel.spawn_system_task(self._supervise, context=contextvars.copy_context())
