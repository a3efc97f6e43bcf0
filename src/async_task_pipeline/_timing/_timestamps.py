"""What the engine notes in an item while it is timed, and in which order.

The rule: instants are appended and never rewritten; what they mean is told by their place.
"""

from __future__ import annotations

from typing import Any, Protocol

TIMESTAMPS_PER_STAGE = 3
"""Instants added per stage: accepted, call began, call ended. The next stage's acceptance is this
one's end, so the intervals of all stages sum to the latency."""


class Timed(Protocol):
    """An item of the engine, with timing on.

    Attributes:
        data: The user's object.
        created_at: The producer's, or ``None``; seconds of the pipeline's clock.
        timestamps: Accepted by the first link; then for each stage: call began, call ended,
            accepted by what is behind.
        turn: The number of its turn.
    """

    data: Any
    created_at: float | None
    timestamps: list[float]
    turn: int
