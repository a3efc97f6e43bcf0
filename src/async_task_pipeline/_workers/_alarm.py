"""Waking up at one instant, which may be moved while it is waited for.

The rule: nothing polls. While no instant is set the alarm sleeps without a deadline, and
setting an earlier one than it sleeps for wakes it to sleep again. Instants are those of
:py:func:`time.monotonic`, because threads set them too and trio's clock can be read on
the loop alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from anyio import Event, move_on_after


class Alarm:
    """Calls a function on the loop when an instant has come.

    Args:
        ring: Is called; it may set the alarm again.
    """

    def __init__(self, ring: Callable[[], object]) -> None:
        self._ring = ring
        self._at = math.inf
        self._moved = Event()

    def set(self, at: float) -> None:
        """Ring at this instant, unless an earlier one is set. On the loop."""
        if at < self._at:
            self._at = at
            self._moved.set()

    async def serve(self) -> None:
        """Ring whenever it is time, for ever."""
        while True:
            self._moved = Event()
            delay = self._at - time.monotonic()
            if delay > 0:
                with move_on_after(delay):
                    await self._moved.wait()
                continue
            self._at = math.inf
            self._ring()
