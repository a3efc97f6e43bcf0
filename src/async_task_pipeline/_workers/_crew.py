"""The workers of a stage that has several, and who of them takes what.

The rule: an entry is taken, and given its place among the calls, in one step; so the
order of the places is the order of the link, whichever worker takes it. A stage of one
worker is dealt with so too where somebody else has to know what the worker is doing,
as for a timeout.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from .._items import ENDED, EXTRA, Control, Kind
from .._links import Link, drain
from .._parking import Need
from .._stage import PipelineStage
from ._places import AsReady, InOrder, Places
from ._sessions import Session, Worker
from ._staff import NOTHING, NewSeat, Service


class Crew:
    """Deals out the entries of a link under a lock.

    At most ``limit`` calls that have ended wait for an earlier one, beside the running
    ones. A worker may always go on with a call it has begun, so the earliest call is
    never kept waiting by later ones.

    Args:
        stage: The stage.
        link: Where entries wait.
        workers: The workers.
        new_seat: Makes the seat of each.
        limit: The pipeline's bound.
        wake: Has the loop look at all stages soon; from any thread.
    """

    def __init__(
        self,
        stage: PipelineStage,
        link: Link,
        workers: list[Worker],
        new_seat: NewSeat,
        *,
        limit: int,
        wake: Callable[[], object],
    ) -> None:
        self._resets = stage.on_interrupt is not None
        self.link = link
        self.outbox: deque[Any] = deque()
        self.lock = threading.Lock()
        self.places: Places = InOrder() if stage.ordered else AsReady()
        self.window = limit + len(workers)
        self._limit = limit
        self._wake = wake
        self.passed = False
        self._over = False
        self._announced = False
        # Sessions in a call when everything was drained, for the rest of that step.
        self._in_call: list[Session] = []
        # The session that ended by raising: its last call has a place and no end.
        self._broken: set[Session] = set()
        # Who waits for what, in the order of parking, so that nobody has to be asked who does
        # not. Some may have gone on by themselves: unparking those does nothing.
        self._parked: dict[Need, dict[Session, None]] = {need: {} for need in Need}
        self.seats = [new_seat(worker, self._seated) for worker in workers]
        self.services: list[Service] = []
        link.wake_reader = self.arrived

    def _seated(self, session: Session) -> Session:
        session.take = partial(self.take, session)
        session.available = self.available
        session.sorted = True
        session.on_park = partial(self._park, session)
        session.over = self._announced
        return session

    # -- in the workers' threads ----------------------------------------------------------

    def _park(self, session: Session, need: Need) -> None:
        # After its flag is up: an unpark that finds it here and the flag down has come before
        # the session's last look.
        self._parked[need][session] = None

    def take(self, session: Session) -> Any:
        """The next entry, which now has a place; :py:class:`IndexError` if there is none."""
        with self.lock:
            entry = NOTHING if session.stale else self.next_for(session)
            passed, self.passed = self.passed, False
        if passed:
            self._wake()
        if entry is NOTHING:
            raise IndexError
        return entry

    def next_for(self, session: Session) -> Any:
        """Take one entry from the link, or :py:data:`NOTHING`; the lock is held."""
        buffer = self.link.buffer
        while buffer and len(self.places) < self.window:
            entry = buffer.popleft()
            if type(entry) is not Control:
                self.places.add(session.outbox)
                session.calling = True
                return entry
            self.pass_by(entry)
        return NOTHING

    def pass_by(self, control: Control) -> None:
        """Give a control its place among the calls; the lock is held."""
        self.places.add(control)
        self.passed = True
        self._over |= control.kind is Kind.END

    def available(self) -> bool:
        """Whether a worker should ask for an entry."""
        return bool(self.link.buffer) and len(self.places) < self.window

    # -- on the loop ------------------------------------------------------------------------

    def arrived(self) -> None:
        """Tell as many waiting workers as there are entries."""
        self.unpark(Need.ITEM, len(self.link.buffer))

    def unpark(self, need: Need, most: int) -> None:
        """Have as many of those who wait for this look again."""
        parked = self._parked[need]
        for session in [*parked] if most > 0 else ():
            parked.pop(session, None)
            waited = session.unpark(need)
            if not session.stale:  # a stale one takes nothing
                most -= waited
            if most <= 0:
                return

    def collect(self) -> bool:
        """Bring into the outbox what may leave now; whether there may be more for it."""
        with self.lock:
            before = len(self.places)
            self.places.collect(self.outbox, self._limit)
            freed = before - len(self.places)
        if freed:
            # The end of a call takes room in an outbox, too, and may be all that has left.
            self.made_room()
            if self.link.buffer:
                self.arrived()  # whoever found no place left looks again
        if self._over and not self._announced:
            self._announced = True
            for seat in self.seats:
                seat.session.over = True
                seat.session.unpark(Need.ITEM)
        return len(self.outbox) >= self._limit  # otherwise all that may leave is in it

    def made_room(self) -> None:
        """Tell workers that there is room for outcomes."""
        self.unpark(Need.ROOM, len(self.seats))

    def take_waiting(self) -> list[Any]:
        """Take out what waits in the link."""
        with self.lock:
            return drain(self.link.buffer)

    def drop_oldest(self) -> Any:
        """Take out the item that has waited longest in the link, past the controls."""
        with self.lock:
            for index, entry in enumerate(self.link.buffer):
                if type(entry) is not Control:
                    del self.link.buffer[index]
                    self.taken_from(index)
                    return entry
        return NOTHING

    def taken_from(self, index: int) -> None:
        """Know that an entry of the link was taken out of turn; the lock is held."""

    def drain(self) -> tuple[list[Any], list[Any]]:
        """Take out everything: what waits for a worker, and what has come out of calls."""
        waiting = self.take_waiting()
        with self.lock:
            self._in_call = [seat.session for seat in self.seats if self._running(seat.session)]
            return waiting, [*drain(self.outbox), *self.places.drain()]

    def _running(self, session: Session) -> bool:
        calls = self.places.calls(session.outbox)
        # By identity: results are anybody's, and may compare in any way.
        return calls > sum(each is ENDED for each in [*session.outbox]) and session not in self._broken

    def calls_beyond(self, in_call: int) -> int:
        """How many calls were running, when drained, whose item had had an outcome before."""
        return max(0, sum(session.size for session in self._in_call) - in_call)

    def renew(self, items: int, *, in_hand: bool) -> list[Session]:
        """Give every worker that was in a call a new session; return the stale ones."""
        stale, self._in_call = self._in_call, []
        for seat in self.seats:
            in_call = seat.session in stale
            if in_call or self._resets:
                with self.lock:  # so that it takes nothing more in between
                    seat.session.stale = True
                seat.renew(in_call=in_call)
            else:
                seat.session.unpark(Need.ROOM)
        for parked in self._parked.values():
            for session in [each for each in [*parked] if each.stale]:
                parked.pop(session, None)
        return stale

    def broke(self, session: Session) -> int:
        """How many items the call was for by which a session has just ended."""
        with self.lock:
            items = session.size if self._running(session) else 0
            self._broken.add(session)
        return items

    def holds(self, session: Session) -> bool:
        """Whether a session is in a call."""
        with self.lock:
            return self._running(session)

    def held(self, controls: int) -> int:
        """Items in calls."""
        return sum(seat.session.size for seat in self.seats if seat.session.calling)

    def write_off(self, session: Session, exc: Exception) -> bool:
        """Let the running call have failed with this, whatever still comes of it.

        The session is stale then; false if it is in no call.
        """
        with self.lock:
            if not self._running(session):
                return False
            outcomes: deque[Any] = deque(drain(session.outbox))
            ends = [index for index, each in enumerate(outcomes, 1) if each is ENDED]
            of_call = len(outcomes) - max(ends, default=0)
            if of_call or session.yielded_any:
                outcomes.append(EXTRA)
                outcomes.append(Control(Kind.FAILED, exc))
            else:
                outcomes.extend(Control(Kind.FAILED, exc) for _ in range(session.size))
            outcomes.append(ENDED)
            self.places.swap(session.outbox, outcomes)
            session.stale = session.late = True
        return True
