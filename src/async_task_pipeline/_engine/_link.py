"""The link between two stages: a memory object stream of bursts.

The rule: a burst, a list of items, travels in one send and one receive, because a stream
operation costs as much as all the rest of an item's way through a stage. The stream itself is
unbounded; its room is counted in items, so that ``max_queue_size`` means items. Only the loop
touches the stream. A burst that nobody has received grows by what comes after it, so all that waits is
in two lists, however it came, and can be taken out in one step.

What was sent and what was taken are two counts, each with one writer: in the first link items
are sent by whoever puts them, under the input's lock, and taken by the loop.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from anyio import ClosedResourceError, EndOfStream, WouldBlock, create_memory_object_stream
from anyio.streams.memory import MemoryObjectStreamStatistics

from ._counting import TakenOut
from ._item import END, SENTINEL, Item


class Link:
    """A bounded queue of items and sentinels, as shown by ``pipeline.queues``.

    Before its run begins it is empty and takes nothing.

    Attributes:
        maxsize: The bound, the pipeline's ``max_queue_size``.
        others: What waits and is no item, in order; in the first link added to under the input's lock.
    """

    __slots__ = ("_receiver", "_rest", "_sender", "_unread", "maxsize", "others", "peak", "sent", "taken")

    def __init__(self, maxsize: int) -> None:
        self.maxsize: int = maxsize
        self.open()
        # There may never be a run, and a stream that is not closed warns when it is collected.
        self._sender.close()
        self._receiver.close()
        # Of the burst received last, what had no room where it goes; last to first, so that what
        # is next is taken from the end of the list, which moves nothing.
        self._rest: list[Item] = []
        # The burst in the stream.
        self._unread: list[Item] | None = None
        # Entries of any kind.
        self.sent: int = 0
        self.taken: int = 0
        self.others: deque[Item] = deque()
        self.peak: int = 0

    def __repr__(self) -> str:
        """Show how full it is."""
        return f"<Link {self.level}/{self.maxsize}>"

    # -- for the user ---------------------------------------------------------------------

    def qsize(self) -> int:
        """Entries waiting, sentinels included."""
        return self.level

    def empty(self) -> bool:
        """Whether nothing waits."""
        return self.level <= 0

    def full(self) -> bool:
        """Whether it has no room."""
        return self.room <= 0

    def statistics(self) -> MemoryObjectStreamStatistics:
        """Those of the memory object stream, whose buffer has bursts and not items."""
        return self._receiver.statistics()

    # -- for the engine -------------------------------------------------------------------

    def open(self) -> None:
        """Open the stream."""
        self._sender, self._receiver = create_memory_object_stream[list[Item]](math.inf)

    @property
    def level(self) -> int:
        """Entries waiting, sentinels included."""
        return self.sent - self.taken

    @property
    def items(self) -> int:
        """Items waiting."""
        return self.level - len(self.others)

    @property
    def room(self) -> int:
        """How many more entries it takes; negative after an interrupt has moved sentinels here."""
        return self.maxsize - self.sent + self.taken

    def send(self, burst: list[Item], others: Sequence[Item] = ()) -> None:
        """Take in a burst, never empty, and those of it that are no items; the list is the link's then."""
        self.sent += len(burst)
        if others:
            self.others.extend(others)
        self.push(burst)

    def push(self, burst: list[Item]) -> None:
        """Take in a burst that was counted before."""
        if self.level > self.peak:
            self.peak = self.level
        if self._unread is None:
            self._unread = burst
            self._sender.send_nowait(burst)
        else:
            self._unread += burst

    def take(self, most: int) -> list[Item]:
        """The next entries, at most so many, which must be one or more; empty if none wait."""
        if not self._rest:
            burst = self._receive()
            if len(burst) <= most:
                self.taken += len(burst)
                return burst
            burst.reverse()
            self._rest = burst
        burst = self._rest[-most:]
        del self._rest[-most:]
        burst.reverse()
        self.taken += len(burst)
        return burst

    def others_of(self, burst: list[Item]) -> list[Item]:
        """What of a burst just taken is no item."""
        if not self.others:
            return []
        others = [entry for entry in burst if entry.outcome >= SENTINEL]
        for _ in others:
            self.others.popleft()
        return others

    def pop(self) -> Item:
        """The next entry, alone; there must be one."""
        if not self._rest:
            self._rest = self._receive()
            self._rest.reverse()
        self.taken += 1
        entry = self._rest.pop()
        if entry.outcome >= SENTINEL:
            self.others.popleft()
        return entry

    def pop_item(self) -> Item | None:
        """The item that has waited longest, past whatever is no item; ``None`` if none waits."""
        if self.items <= 0:
            return None
        index = self._last_item()
        if index is None:  # nothing but sentinels is left of the burst before
            burst = self._receive()
            burst.reverse()
            self._rest[:0] = burst
            index = self._last_item()
        if index is None:
            return None
        self.taken += 1
        return self._rest.pop(index)

    def _last_item(self) -> int | None:
        rest = self._rest
        return next((at for at in range(len(rest) - 1, -1, -1) if rest[at].outcome < SENTINEL), None)

    def _receive(self) -> list[Item]:
        """The burst in the stream, which after the end of the run is closed; empty if there is none."""
        try:
            burst = self._receiver.receive_nowait()
        except ClosedResourceError:
            burst = self._unread or []
        except (WouldBlock, EndOfStream):
            return []
        self._unread = None
        return burst

    def take_end(self) -> Item | None:
        """The end of input, if it is here, behind everything."""
        if not self.others or self.others[-1].outcome != END:
            return None
        self.taken += 1
        self.others.pop()
        return self._unread.pop() if self._unread else self._rest.pop(0)

    def take_out(self) -> TakenOut:
        """Everything that waits; in one step, however much it is."""
        out = TakenOut([self._rest, self._receive()], self.items, [*self.others])
        self.taken = self.sent
        self._rest = []
        self.others.clear()
        return out

    def close(self) -> None:
        """Close the stream, or it would warn when it is collected; what waits can still be taken."""
        self._sender.close()
        self._receiver.close()
