"""What a far end says of the calls it makes, as outcomes.

The rule: words become outcomes exactly as a thread's own calls do. Instants measured
over there are put between the sending of the request and the arrival of the reply, half
of what the round trip took besides on either side: the way there is queue wait, the way
back transmission.
"""

from __future__ import annotations

import pickle
import time
from abc import ABC, abstractmethod
from collections import deque
from typing import Any

from .._exceptions import RemoteCallError, shown
from .._items import Batch
from .._workers._sessions import no_clock, not_a_list
from .._workers._thread_worker import ThreadSession, ThreadWorker
from ._far_ends import FarEnd
from ._peer import Said, Word, unpacked_exception


class RemoteCalls(ThreadSession, ABC):
    """The part of a session that listens to a far end."""

    def __init__(self, worker: ThreadWorker) -> None:
        super().__init__(worker)
        self._now = self.clock or no_clock
        self._sent_at = 0.0
        self._said: deque[Said] = deque()
        # Of the call that is being heard of: whether it has had no outcome yet, and whether
        # what it still yields is ignored.
        self._first, self._discard = True, False
        # Whether a call has been a generator.
        self._generated = False
        # What an interrupted call raised, until nothing more is to be heard of it.
        self._late_failure: BaseException | None = None

    @property
    @abstractmethod
    def end(self) -> FarEnd:
        """The far end; raises :py:exc:`FarEndClosedError` if there is none any more."""

    def _receive(self, entry: Any) -> None:
        """Turn what is said of one call into outcomes."""
        self.called = entry if self.clock is not None else None
        self._first, self._discard = True, False
        over = False
        try:
            while not over:
                self.begin()
                said = self._next()
                self.began = None
                if said[0] is Word.NO_CREDIT:
                    self._ask_for_more()
                elif self.stale or self._discard:
                    over = self._ignore(said)
                else:
                    over = self._book(entry, said)
        except BaseException:
            self.had_outcome = not self._first
            raise
        finally:
            self.began = None
        self.generating = False
        self.ended()
        self._waker.wake()

    def _book(self, entry: Any, said: Said) -> bool:
        """Put what is said into the outbox; whether it was the last word on the call."""
        word, packed, start, end = said
        if type(entry) is Batch and word in (Word.YIELDED, Word.EXHAUSTED):
            self._discard = word is Word.YIELDED
            self.failed(not_a_list(self.stage, entry, "a generator"), start, end)
            return not self._discard
        if word is Word.EXHAUSTED:
            if self._first:
                self.returned(None, entry, start, end)
            elif self.clock is not None:
                self.spent(start, end, useful=True)
            return True
        try:
            value = self._value(word, packed)
        except BaseException as exc:
            # A value that cannot be unpickled here is the failure of its call; over there
            # the generator goes on, and what it yields is ignored.
            self._discard = word is Word.YIELDED
            self.failed(exc, start, end, first=self._first)
            return not self._discard
        if word is Word.YIELDED:
            self._generated = self.generating = True
            self.yielded(value, entry, start, end, first=self._first)
            self._first = False
            self._waker.wake()
            return False
        if type(entry) is Batch:
            self.returned_batch(value, entry, start, end)
        else:
            self.returned(value, entry, start, end)
        return True

    def _ignore(self, said: Said) -> bool:
        """Hear out a call that is stale; whether it was the last word on it."""
        word, packed, _, _ = said
        if word is Word.RAISED and packed is not None and not self._discard:
            self._late_failure = unpacked_exception(packed)
        return word is not Word.YIELDED

    def _next(self) -> Said:
        """The next word, with instants of our clock."""
        while not self._said:
            elapsed, said = self.end.receive()
            now = self._now()
            if self.clock is time.perf_counter:
                # Half of what the round trip took besides is the way there: queue wait.
                offset = self._sent_at + (now - self._sent_at - elapsed) / 2
                self._said.extend((word, packed, offset + start, offset + end) for word, packed, start, end in said)
            else:  # what the far end has measured is of another clock
                self._said.extend((word, packed, self._sent_at, now) for word, packed, _, _ in said)
        return self._said.popleft()

    def _ask_for_more(self) -> None:
        """Have a generator go on when there is room, or end if nobody wants the rest."""
        wanted = not self._discard and self._room()
        self._sent_at = self._now()
        self.end.send(self.credit(self.end) if wanted else 0)

    def credit(self, far: FarEnd) -> int:
        """How many values a generator may yield before it asks."""
        return max(1, min(far.most_credit, self.limit - len(self.outbox)))

    def _value(self, word: Word, packed: bytes | None) -> Any:
        """What a call returned or yielded; raises what it raised."""
        if packed is None:
            return None
        if word is Word.RAISED:
            raise unpacked_exception(packed)
        try:
            value = pickle.loads(packed)  # noqa: S301  we started what sent it
        except Exception as exc:
            raise RemoteCallError(f"a result cannot be unpickled here: {shown(exc)}") from exc
        if word is Word.AWAITABLE:
            raise self.not_awaited(value)
        return value
