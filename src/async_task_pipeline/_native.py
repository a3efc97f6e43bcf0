"""What anyio does not tell, asked of the backend itself.

The rule: the only questions about asyncio or trio that are not asked through anyio are
asked here or in :py:mod:`._engine._wakeup` and :py:mod:`._engine._supervisor`, and each has its
reason beside it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

from anyio import current_effective_deadline
from anyio.lowlevel import current_token


def cancelled_natively() -> bool:
    """Whether somebody called ``Task.cancel`` on the current task, on asyncio.

    ``asyncio.run`` does so to every task when its main one ends. anyio sees only its own
    scopes, so a ``CancelledError`` from there looks as if the task had made it up.
    """
    if not hasattr(current_token().native_token, "create_task"):
        return False
    task = sys.modules["asyncio"].current_task()
    return task is not None and bool(task.cancelling())


def cancelled_from_outside() -> bool:
    """Whether the cancellation just caught comes from a cancel scope or ``Task.cancel``.

    If not, a user's function has raised it: on asyncio, whoever awaits a task that has been
    cancelled does. Let through alone, it would end our task quietly, and the stage with it.
    """
    return current_effective_deadline() == -math.inf or cancelled_natively()


class NativeCancellations:
    """The calls of ``Task.cancel`` that the current task of asyncio has got and nobody has taken back.

    anyio knows only of its own scopes. A stage that swallows a cancellation, or whose timeout left
    one behind, leaves the count of its task above zero, and on Python 3.11 and 3.12 a task group
    does so whose child failed; the next task group in that task would then take it for its own.
    On trio there is no such thing.

    Args:
        main: The task that runs the pipeline, if it is one of asyncio's: when that has been
            cancelled too, everything ends (``asyncio.run`` cancels all tasks at its end).

    Attributes:
        pending: Tells how many there are, the scopes' own included; 0 on trio.
    """

    def __init__(self, main: Any) -> None:
        self._main = main
        task: Any = None if main is None else sys.modules["asyncio"].current_task()
        self._task = task
        self.pending: Callable[[], int] = int if task is None else task.cancelling

    @property
    def alone(self) -> bool:
        """Whether somebody has cancelled this task, and no scope of anyio's, and not the whole run."""
        return (
            self._task is not None
            and self._task.cancelling() > 0
            and not self._main.cancelling()
            and current_effective_deadline() != -math.inf
        )

    def undo(self) -> None:
        """Take back what is left of them, if they were for this task alone."""
        task = self._task
        if task is not None and task.cancelling() and self.alone:
            while task.cancelling():
                task.uncancel()


def current_native_task() -> Any:
    """The current task of asyncio; ``None`` on trio."""
    if not hasattr(current_token().native_token, "create_task"):
        return None
    return sys.modules["asyncio"].current_task()
