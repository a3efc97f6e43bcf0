"""Doing things at the right time.

The rule: due times are computed from the start, never from the last time, so lateness
does not add up. Clock and sleep are handed in; with a clock that the sleep moves, every
number here is exact.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Self, TypeAlias

from .audio import FRAME
from .messages import VoiceFrame

Clock: TypeAlias = Callable[[], float]
"""Tells the time in seconds."""

Sleep: TypeAlias = Callable[[float], Awaitable[None]]
"""Waits so many seconds."""


class Ticks:
    """Iterates over the ends of the periods since ``start``, each when it has come; those missed follow at once.

    No async generator, so that a loop over it may be left at any time.
    """

    def __init__(self, start: float, period: float, clock: Clock, sleep: Sleep) -> None:
        self.start = start
        self.period = period
        self.clock = clock
        self.sleep = sleep
        self._number = 0

    def __aiter__(self) -> Self:
        """It is its own iterator."""
        return self

    async def __anext__(self) -> float:
        """Wait for the end of the next period; return when that was due."""
        self._number += 1
        due = self.start + self._number * self.period
        await self.sleep(max(0.0, due - self.clock()))
        return due


class Pace:
    """A stage: lets frames pass so that the sound card is never more than ``lead`` ahead.

    Because this stage waits for the card, the sink never does: it is always listening,
    and gets word of an interrupt at once.

    Args:
        lead: Seconds of sound that may wait in the sound card.
        clock: The time.
        sleep: How to wait.
    """

    def __init__(self, lead: float, clock: Clock, sleep: Sleep) -> None:
        self.lead = lead
        self.clock = clock
        self.sleep = sleep
        self._silent_at = 0.0  # when the card will have played all that has passed

    async def __call__(self, frame: VoiceFrame) -> AsyncGenerator[VoiceFrame, None]:
        """The frame, when there is room for it."""
        now = self.clock()
        early = self._silent_at + FRAME - self.lead - now
        if early > 0:
            await self.sleep(early)
        self._silent_at = max(self._silent_at, now) + FRAME
        yield frame

    def forget(self) -> None:
        """The card has been emptied: the next frame may pass at once."""
        self._silent_at = 0.0
