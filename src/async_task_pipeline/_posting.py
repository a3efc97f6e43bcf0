"""Waking the event loop from another thread, once for many reasons.

The rule: a worker that has something for the loop calls :py:meth:`Waker.wake`; however
many workers call it before the loop gets round to it, the loop is woken once and then
looks everywhere. A wake-up costs a system call (7 to 13 microseconds on asyncio and
trio), so one per item would cost more than the pipeline itself.

``from_thread.run_sync`` is not used: it is a blocking round trip, and on asyncio it
can wait for ever when the loop shuts down.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anyio.lowlevel import current_token


class Waker:
    """Runs one callback on the loop it was made on, soon after any call of ``wake``.

    The callback must not raise (trio would end the whole run) and may only touch plain
    data and set events, because on asyncio it runs outside any task.
    """

    __slots__ = ("_callback", "_post", "pending")

    def __init__(self, callback: Callable[[], object]) -> None:
        native: Any = current_token().native_token
        self._post: Callable[[Callable[[], object]], object] = (
            getattr(native, "run_sync_soon", None) or native.call_soon_threadsafe
        )
        self._callback = callback
        self.pending = False

    def wake(self) -> None:
        """Have the callback run soon. Safe in any thread, never blocks."""
        if not self.pending:
            self.pending = True
            self.post(self._run)

    def post(self, function: Callable[[], object]) -> bool:
        """Have any callback run soon; false if the loop is gone."""
        try:
            self._post(function)
        except RuntimeError:
            # The loop has ended (trio's RunFinishedError is a RuntimeError too). Whoever
            # waits for the callback was released when the pipeline's scope closed.
            return False
        return True

    def _run(self) -> None:
        # Cleared first: what a worker adds from here on brings its own wake-up.
        self.pending = False
        self._callback()
