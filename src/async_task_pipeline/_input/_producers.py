"""Who may be waiting at the entrance.

The rule: a waiting producer holds its own entry, and whoever lets it in or refuses it
says so here; it belongs to nobody's count until then.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from typing import Any, Protocol

import attrs
from anyio import Event

from .._turns import Turn


@attrs.define(eq=False)
class Producer:
    """One waiting put, of a task (which waits for an event) or of a thread (for a future).

    ``dropped_in`` is the number of the turn with which an interrupt dropped it.
    """

    entry: Any
    answer: Event | Future[None]
    turn: Turn[Any, Any] | None = None
    dropped_in: int | None = None


class Feed(Protocol):
    """A source that is read ahead of acceptance."""

    read: deque[Any]

    def pump(self) -> bool:
        """Put what was read into the entrance, as far as there is room; whether there was any."""
        ...

    def flush(self) -> int:
        """Forget what was read; return how many items that was."""
        ...

    def stop(self) -> None:
        """Read no further."""
