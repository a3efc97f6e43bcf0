"""One interrupt, from the request until the last of its calls has ended.

The rule: what an interrupt drops is known in the step in which it is made; what it
cannot know then is when the calls that were running end. Each of them reports here
once, and whoever waits hears of the last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._statistics import DroppedItems, InterruptReceipt
from ._timing import Clock


class Interruption:
    """What an interrupt has dropped, and which of its calls are still running.

    Args:
        clock: In seconds.
        on_idle: Is told the seconds from the request to the end of the last call that this
            interrupt made stale; not called if there was none.
        last_delivered: The number of the last result handed to the consumer.
        waits: Whether anybody waits for the calls of earlier interrupts, too.
    """

    def __init__(
        self,
        clock: Clock,
        on_idle: Callable[[float], object] | None = None,
        *,
        last_delivered: int = 0,
        waits: bool = False,
    ) -> None:
        self.waits = waits
        self.dropped: dict[str, DroppedItems] = {}
        # The items themselves, for the report, until they are booked there.
        self.entries: list[Any] = []
        self._last_delivered = last_delivered
        self._clock = clock
        self._began = clock()
        self._on_idle = on_idle
        self._own: set[object] = set()
        self._pending: dict[object, str] = {}
        self._idle_after: dict[str, float] = {}
        self._waiters: list[Callable[[], object]] = []

    def watch(self, call: object, stage: str, *, own: bool) -> None:
        """Wait for this call too; ``own`` if this interrupt is what made it stale."""
        self._pending[call] = stage
        if own:
            self._own.add(call)

    def owns(self, call: object) -> bool:
        """Whether this interrupt made the call stale, and it has not ended."""
        return call in self._own

    def ended(self, call: object) -> None:
        """Note that a call has ended."""
        seconds = self._clock() - self._began
        self._idle_after[self._pending.pop(call)] = seconds
        if call in self._own:
            self._own.discard(call)
            if not self._own and self._on_idle is not None:
                self._on_idle(seconds)
        if self._pending:
            return
        for waiter in self._waiters:
            waiter()

    @property
    def pending(self) -> bool:
        """Whether a call is still running."""
        return bool(self._pending)

    def when_idle(self, waiter: Callable[[], object]) -> None:
        """Call this when the last call has ended, now if it has."""
        if self._pending:
            self._waiters.append(waiter)
        else:
            waiter()

    def receipt(self) -> InterruptReceipt:
        """What is known by now."""
        return InterruptReceipt(
            dropped=dict(self.dropped),
            busy=tuple(dict.fromkeys(sorted(self._pending.values(), key=list(self.dropped).index))),
            last_delivered=self._last_delivered,
            idle_after=dict(self._idle_after),
        )
