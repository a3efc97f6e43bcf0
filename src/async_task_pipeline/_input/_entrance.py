"""Where items enter: the one place that accepts, or makes a producer wait.

The rule: a put that returns was accepted, a put that raises was not, and both are known in
the same step. A waiting producer holds its own entry until there is room and all before it
have gone; then it puts the entry itself, in the tick in which it runs, and wakes the next.
A cancelled producer wakes the next in its stead. So acceptance is in the order of the
calls, and native asyncio cancellation loses nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from itertools import islice
from typing import Any, Literal

from anyio import Event, WouldBlock
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled

from .._exceptions import PipelineStateError, stopped
from .._items import Control, Kind, divided
from .._links import ENTRIES_PER_STEP, NEVER
from .._posting import Waker
from .._runner import StageRunner
from .._timing import Clock
from .._turn_history import TurnHistory
from .._turns import Turn
from ._feeds import Feeds
from ._line import Line
from ._producers import Producer
from ._stamps import Stamps

Overflow = Literal["wait", "drop_oldest", "drop_newest"]
"""What a full input means to a producer: wait, or lose an item, the oldest that waits or
the one just put."""


class Entrance:
    """The input of one run."""

    def __init__(
        self,
        first: StageRunner,
        clock: Clock | None,
        waker: Waker,
        *,
        numbers: Iterator[int],
        turns: TurnHistory | None,
        overflow: Overflow,
    ) -> None:
        self._overflow = overflow
        self._first = first
        self._link = first.link
        self._waker = waker
        self._thread = threading.get_ident()
        self._stamps = Stamps(clock, numbers, turns)
        self._turns: dict[Turn[Any, Any], None] = {}
        self._history = turns
        self._owes_checkpoint = False
        self._line = Line()
        self._closed: Callable[[], PipelineStateError] | None = None
        self.feeds = Feeds()
        self.error: BaseException | None = None  # a source's, which ended the input

    @property
    def room(self) -> int:
        """How many entries may be put now without overtaking a waiting producer, or a source that has read some."""
        waits = self._overflow == "wait" and self.feeds.waiting
        return 0 if self._line or waits else max(0, self._link.room)

    def check_open(self) -> None:
        """Raise what closed the input, if it is closed."""
        if self._closed is not None:
            raise self._closed()

    def item(self, data: Any, created_at: float | None = None, turn: Turn[Any, Any] | None = None) -> Any:
        """The entry for one item; its marks begin when it is accepted."""
        return self._stamps.entry(data, created_at, 0 if turn is None else turn.number)

    def put_nowait(self, entry: Any) -> None:
        """Accept one entry, or raise :py:exc:`anyio.WouldBlock` if there is no room."""
        self.check_open()
        if self._settle(entry) is None:
            raise WouldBlock

    def put_some(self, items: Iterator[Any], *, in_between: bool = False) -> bool:
        """Accept as many of the next items as there is room for; one, if it is the turn of those in line after it."""
        self.check_open()
        if self._overflow != "wait":
            return bool([self._settle(self.item(data)) for data in islice(items, ENTRIES_PER_STEP)])
        room = self.room
        if in_between:
            room = 0 if self._line and not self.feeds.due else max(0, self._link.room)
            if self.feeds.due:
                room = 0 if self._line.head_called else min(1, room)
        entries = [self.item(data) for data in islice(items, min(room, ENTRIES_PER_STEP))]
        if entries:
            self.feeds.due = False
            self._stamps.stamp(entries)
            self._link.buffer.extend(entries)
            self._first.accept(len(entries))
        return bool(entries)

    async def put(self, entry: Any, turn: Turn[Any, Any] | None = None) -> None:
        """Accept one entry as soon as there is room and every earlier producer has gone."""
        if self._owes_checkpoint:
            # Who never waits has to let others run; not after it is accepted, for native cancellation.
            self._owes_checkpoint = False
            await checkpoint()
        if turn is not None:
            turn.check()
        self.check_open()
        dropped = self._settle(entry)
        if dropped is not None:
            self._owes_checkpoint = dropped > 0
            return
        producer = Producer(entry, let_in := Event(), turn)
        self._line.waiting.append(producer)
        self.pump()
        try:
            await let_in.wait()
        except BaseException:
            self._line.leave(producer)
            self.pump()  # the turn may have come in the same tick; pass it on
            raise
        if producer.dropped_in is not None:
            self._drop(1, producer.dropped_in)
            return
        if self._closed is not None or (turn is not None and turn.over):
            await checkpoint_if_cancelled()  # the more telling of two reasons
        if turn is not None:
            turn.check()
        self.check_open()
        self._line.waiting.popleft()
        self.feeds.due = True
        self._accept(entry)
        self.pump()

    def put_from_thread(self, entry: Any, turn: Turn[Any, Any] | None = None) -> None:
        """Accept one entry from another thread, blocking it until there is room."""
        if threading.get_ident() == self._thread:
            raise PipelineStateError("a put that blocks belongs in another thread than the event loop's")
        if turn is not None:
            turn.check()
        accepted: Future[None] = Future()
        producer = Producer(entry, accepted, turn)
        self._line.threads[producer] = None
        if self._closed is not None or not self._waker.post(lambda: self._join_line(producer)):
            self._line.threads.pop(producer, None)
            self.check_open()
            raise stopped(None)
        try:
            accepted.result()
        except BaseException:
            accepted.cancel()  # KeyboardInterrupt: leave the line
            raise

    def _join_line(self, producer: Producer) -> None:
        if producer not in self._line.threads:
            return  # answered, when the entrance closed meanwhile
        if producer.turn is not None and producer.turn.over:
            self._line.release(producer, producer.turn.error())
        elif self._overflow != "wait" and (type(producer.entry) is not Control or self._takes_controls):
            self._line.admit(producer, self._settle_now)
        else:
            self._line.waiting.append(producer)
            self.pump()

    @property
    def _takes_controls(self) -> bool:
        """Whether a control need not wait: there is room, or an item whose place it takes."""
        droppable = self._overflow == "drop_oldest" and not self._line
        return self.room > 0 or (droppable and divided([*self._link.buffer])[0] > 0)

    def _settle_now(self, entry: Any) -> None:
        """Settle what does not wait: if a worker has just taken what was to make room, there is room."""
        if self._settle(entry) is None:
            self._accept(entry)

    def _settle(self, entry: Any) -> int | None:
        """Accept an entry, or drop what has no room; how many were dropped, ``None`` if it waits."""
        if self.room:
            self._accept(entry)
            return 0
        dropped: list[Any] = []
        if self._overflow == "drop_oldest" and not self._line:
            dropped = self._first.drop_oldest()
        if dropped:
            self._accept(entry)
        elif self._overflow == "wait" or type(entry) is Control:
            return None
        else:
            self._stamps.stamp((entry,))
            self._first.refuse()
            dropped.append(entry)
        if self._history is not None:
            self._history.drop(dropped, cut_short=False)
        return len(dropped)

    def _accept(self, entry: Any) -> None:
        control = type(entry) is Control
        if not control:
            self._stamps.stamp((entry,))
        self._link.buffer.append(entry)
        if control:
            self._first.accept(0, (entry,))
        else:
            self._first.accept(1)

    def pump(self) -> None:
        """Let in whoever waits, in order, while there is room."""
        link = self._link
        if not self._line or self.feeds.due:
            self.feeds.pump()
        self._let_in()
        if self._line:
            # A producer that waits with one entry wants to hear of the first room.
            link.notify_at = link.maxsize - 1
        elif self._closed is None and self.feeds.waiting:
            link.notify_at = link.maxsize // 2
        else:
            link.notify_at = NEVER
            return
        # Looked at after asking to be told, so that room made in between is seen.
        if len(link.buffer) <= link.notify_at and not self._line.head_called:
            self._waker.wake()  # the rest in another step

    def _let_in(self) -> None:
        while self._line and self._link.room > 0:
            head = self._line.waiting[0]
            if isinstance(head.answer, Event):
                # Only the first: on trio, tasks woken together run in any order.
                head.answer.set()
                return
            self._line.waiting.popleft()
            self.feeds.due = True
            self._line.admit(head, self._accept)

    def begin(self, turn: Turn[Any, Any]) -> int:
        """Make it the current turn, to which plain puts belong too; return its number."""
        self.check_open()
        self._turns[turn] = None
        return self._stamps.begin()

    def leave(self, turn: Turn[Any, Any]) -> None:
        """Know the turn no longer, and refuse those who still wait with something of it."""
        self._turns.pop(turn, None)
        self._line.refuse_outlived()
        self.pump()

    def flush(self) -> int:
        """End the turns; accept and drop the items of waiting producers and of sources.

        Returns how many. Their puts return: the item was accepted, and dropped like all of
        its turn. That of a task is counted when it does return, because cancelled in the
        same tick it raises instead, and then the item was never accepted. Puts bound to
        a turn raise. Waiting sentinels stay in line; they have not been accepted yet.
        """
        for turn in self._turns:
            turn.interrupt()
            if self._history is not None:
                self._history.cut_short(turn.number)
        self._line.refuse_outlived()
        items = self._line.take_items()
        # What was read ahead of a closed input is not accepted any more, and its feed says so.
        read = 0 if self.is_closed else self.feeds.flush()
        number = self._stamps.end()
        self._drop(read, number)
        for producer in items:
            producer.dropped_in = number
            if self._line.release(producer) and isinstance(producer.answer, Future):
                self._drop(1, number)
        return len(items) + read

    def _drop(self, items: int, number: int) -> None:
        counts = self._first.stage.counts
        counts.accepted += items
        counts.dropped += items
        if items and self._history is not None:
            self._history.drop_waiting(number, items)

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is accepted."""
        return self._closed is not None

    def close(self, reason: Callable[[], PipelineStateError]) -> None:
        """Accept nothing more; wake whoever waits with an error from ``reason``."""
        if self._closed is None:
            self._closed = reason
        self._line.close(reason)
        self.feeds.stop()

    def end(self, error: BaseException | None = None) -> None:
        """Put the end of input behind everything accepted, bound or no bound."""
        if self._closed is None:
            self.error = error
            self.close(lambda: PipelineStateError("the input of this pipeline has been closed"))
            peak = self._link.peak  # the end is beyond the bound, and no item
            self._accept(Control(Kind.END, error))
            self._link.peak = peak
