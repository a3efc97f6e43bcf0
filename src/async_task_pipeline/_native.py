"""What anyio does not tell, asked of the backend itself.

The rule: the only questions about asyncio or trio that are not asked through anyio are
asked here or in :py:mod:`._posting` and :py:mod:`._supervisor`, and each says why.
"""

from __future__ import annotations

import sys

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
