"""One interrupt, from the request until the last of its calls has ended.

The rule: what an interrupt drops is decided in the step in which it is made, and counted afterwards;
what cannot be known then is when the calls that were running end. Each of their shifts is noted here
until it has ended, and whoever waits hears of the last.

A thread's request is known from before it reaches the loop until it is answered, so a thread that
waits for its answer gets one even if the loop never runs the request.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import attrs

from .._statistics import DroppedItems, InterruptReceipt
from .._timing._clock import Clock
from .._timing._turns import Call
from ._counting import Counting, Note, Tally
from ._shift import Shift
from ._wakeup import Waker

AnswerT = TypeVar("AnswerT")


class Interrupt:
    """What an interrupt has dropped, and which of its calls are still running.

    Args:
        clock: In seconds.
        on_idle: Is told the seconds from the request to the end of the last call that this
            interrupt made stale; not called if there was none.
        last_delivered: The number of the last result handed to the consumer.
        waits: Whether anybody waits for the calls that earlier interrupts made stale, too.

    Attributes:
        dropped: By stage, in stage order.
        sentinel_placed: Whether the interrupt's own sentinel has entered the output.
        began: When it was asked for.
        note: Notes for the report what was dropped, if there is one.
        known: For that: by turn, the calls that went into what is noted.
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
        self.dropped: dict[str, Tally] = {}
        self.note: Note | None = None
        self.known: dict[int, set[Call]] = {}
        self.sentinel_placed = False
        self._last_delivered = last_delivered
        self._clock = clock
        self.began: float = clock()
        self._on_idle = on_idle
        self._own: set[Shift] = set()
        self._pending: dict[Shift, str] = {}
        self._idle_after: dict[str, float] = {}
        self._waiters: list[Callable[[], object]] = []

    def watch(self, shift: Shift, stage: str, *, own: bool) -> None:
        """Wait for the call of this shift too; ``own`` if this interrupt is what made it stale."""
        self._pending[shift] = stage
        if own:
            self._own.add(shift)

    def owns(self, shift: Shift) -> bool:
        """Whether this interrupt made the shift's call stale, and it has not ended."""
        return shift in self._own

    def ended(self, shift: Shift) -> None:
        """Note that a shift has ended."""
        seconds = self._clock() - self.began
        self._idle_after[self._pending.pop(shift)] = seconds
        if shift in self._own:
            self._own.discard(shift)
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
            dropped={name: DroppedItems(*attrs.astuple(tally)) for name, tally in self.dropped.items()},
            busy=tuple(dict.fromkeys(sorted(self._pending.values(), key=list(self.dropped).index))),
            last_delivered=self._last_delivered,
            idle_after=dict(self._idle_after),
            sentinel_placed=self.sentinel_placed,
        )


class Requests:
    """What threads have asked the loop to do and not been answered; they are when all is counted."""

    def __init__(self, waker: Waker, counting: Counting) -> None:
        self._waker = waker
        self._counting = counting
        self._open: set[Future[Any]] = set()
        self._closed = False

    def ask(self, step: Callable[[], AnswerT]) -> AnswerT | None:
        """Run a step on the loop and block until it is done; ``None`` if the run is closed."""
        request: Future[AnswerT | None] = Future()
        self._open.add(request)

        def serve() -> None:
            if request not in self._open:
                return
            self._open.discard(request)
            try:
                answer = step()
            except BaseException as exc:  # an injected clock's; the loop is no place for it
                request.set_exception(exc)
            else:
                self._counting.then(lambda: request.set_result(answer))

        # Looked at after the request is there to be found.
        if self._closed or not self._waker.post(serve):
            self._open.discard(request)
            return None
        self._waker.loop_thread.awaited()
        return request.result()

    def close(self) -> None:
        """Answer everybody that it is too late."""
        self._closed = True
        for request in self._open.copy():  # one step, while threads add to it
            self._open.discard(request)
            request.set_result(None)
