"""What anyio does not tell, asked of the backend itself.

The rule: the only questions about asyncio or trio that are not asked through anyio are
asked here or in :py:mod:`._posting` and :py:mod:`._supervisor`, and each says why.
"""

from __future__ import annotations

import math
import sys

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
    """Whether a cancellation that the current task has just met was asked for by anybody.

    If not, a user's function has raised it: on asyncio, whoever awaits a task that has been
    cancelled does. Let through alone, it would end our task quietly, and the stage with it.
    """
    return current_effective_deadline() == -math.inf or cancelled_natively()
