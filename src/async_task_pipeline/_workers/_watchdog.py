"""The time that the calls of one stage may take.

The rule: a worker notes when it enters the stage's function, and that is all it does in
time. The watchdog sleeps until the earliest call may be overdue, looks, and sleeps
again; while no call is running it does not wake up. So a timeout costs a fast stage one
reading of a clock per call, and one wake-up of the loop per timeout.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from ._alarm import Alarm
from ._sessions import Session


class Watchdog:
    """Finds calls that are overdue.

    Args:
        timeout: Seconds that a call may take.
        sessions: The sessions of the stage now.
        overdue: Is told of each whose call has taken longer.
        post: Has a callback run on the loop soon, from any thread.
    """

    def __init__(
        self,
        timeout: float,
        sessions: Callable[[], Iterable[Session]],
        overdue: Callable[[Session], object],
        post: Callable[[Callable[[], object]], object],
    ) -> None:
        self._timeout = timeout
        self._sessions = sessions
        self._overdue = overdue
        self._post = post
        self._asleep = True
        self._alarm = Alarm(self._look)
        self.serve = self._alarm.serve

    def begun(self) -> None:
        """Note that a worker has entered the function. Safe in any thread."""
        if self._asleep:
            self._asleep = False
            self._post(self._look)

    def _look(self) -> None:
        # Before the calls are looked at: one that begins from here on wakes it again.
        self._asleep = True
        now = time.monotonic()
        for session in self._sessions():
            began = session.began
            if began is None:
                continue
            if began + self._timeout <= now:
                self._overdue(session)
            else:
                self._asleep = False
                self._alarm.set(began + self._timeout)
