"""What a stage's runner asks of the workers of its stage.

The rule: few questions: what has come out, what is inside, whose calls are stale. What
the answers mean is the runner's business; which worker does what is theirs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeAlias

from ._seat import Seat
from ._sessions import Session, Worker

NewSeat: TypeAlias = Callable[[Worker, Callable[[Session], Session]], Seat]
"""Makes a seat; the second argument tells each of its sessions where entries come from."""

Service: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
"""What has to run while the workers work."""


NOTHING = object()
"""What is taken when there is nothing to be had."""


class Staff(Protocol):
    """All workers of one stage.

    Attributes:
        seats: Where they sit.
        services: What else has to run, in the run's task group, while they work.
    """

    seats: list[Seat]
    services: list[Service]

    @property
    def outbox(self) -> deque[Any]:
        """Outcomes in the order in which they may leave."""
        ...

    def collect(self) -> bool:
        """Bring into the outbox what may leave now; whether there may be more for it."""
        ...

    def made_room(self) -> None:
        """Tell workers that there is room for outcomes."""

    def take_waiting(self) -> list[Any]:
        """Take out what waits for a worker."""
        ...

    def drop_oldest(self) -> Any:
        """Take out the item that has waited longest; :py:data:`NOTHING` if none waits."""
        ...

    def drain(self) -> tuple[list[Any], list[Any]]:
        """Take out everything: what waits for a worker, and what has come out of calls."""
        ...

    def calls_beyond(self, in_call: int) -> int:
        """How many calls were running, when drained, whose item had had an outcome before."""
        ...

    def renew(self, items: int, *, in_hand: bool) -> list[Session]:
        """Give every worker that was in a call a new session; return the stale ones.

        ``items`` were in calls when everything was drained; ``in_hand`` tells whether there is
        anything of this turn that was not drained.
        """
        ...

    def broke(self, session: Session) -> int:
        """How many items the call was for by which a session has just ended."""
        ...

    def write_off(self, session: Session, exc: Exception) -> bool:
        """Let the running call of a session have failed with this, whatever still comes of it.

        The session is stale then; false if it is in no call.
        """
        ...

    def holds(self, session: Session) -> bool:
        """Whether a session is in a call."""
        ...

    def held(self, controls: int) -> int:
        """Items, or generators, that seem to be in calls; of what waits, so many are controls."""
        ...
