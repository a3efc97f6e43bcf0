"""Interrupts that threads ask for.

The rule: a request is known from before it reaches the loop until it is answered, so a
thread that waits for its answer gets one even if the loop never runs the request.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from ._interruption import Interruption
from ._posting import Waker


class InterruptRequests:
    """Requests not answered yet."""

    def __init__(self, waker: Waker) -> None:
        self._waker = waker
        self._open: set[Future[Interruption | None]] = set()
        self._closed = False

    def ask(
        self,
        interrupt: Callable[[Interruption], None],
        new: Callable[[], Interruption],
        on_idle: Callable[[], object],
    ) -> Interruption | None:
        """Have the loop interrupt, and block until it has; ``None`` if it is too late for that."""
        request: Future[Interruption | None] = Future()
        self._open.add(request)

        def serve() -> None:
            if request not in self._open:
                return
            try:
                interruption = new()
                interrupt(interruption)
                interruption.when_idle(on_idle)
            except BaseException as exc:  # an injected clock's; the loop is no place for it
                self._open.discard(request)
                request.set_exception(exc)
            else:
                self._answer(request, interruption)

        # Looked at after the request is there to be found: see Entrance.put_from_thread.
        if self._closed or not self._waker.post(serve):
            self._open.discard(request)
            return None
        return request.result()

    def close(self) -> None:
        """Answer everybody that it is too late."""
        self._closed = True
        for request in tuple(self._open):
            self._answer(request, None)

    def _answer(self, request: Future[Interruption | None], interruption: Interruption | None) -> None:
        self._open.discard(request)
        request.set_result(interruption)
