"""The link between two stages: a memory object stream of bursts.

The rule: a burst, a list of items, travels in one send and one receive, because a stream
operation costs as much as all the rest of an item's way through a stage. The stream itself is
unbounded; its room is counted in items, so that ``max_queue_size`` means items. Only the loop
touches the stream.

What was sent and what was taken are two counts, each with one writer: in the first link items
are sent by whoever puts them, under the input's lock, and taken by the loop.
"""

from __future__ import annotations

import math

from anyio import ClosedResourceError, EndOfStream, WouldBlock, create_memory_object_stream
from anyio.streams.memory import MemoryObjectStreamStatistics

from ._item import SENTINEL, Item


class Link:
    """A bounded queue of items and sentinels, as shown by ``pipeline.queues``.

    Before its run begins it is empty and takes nothing.

    Attributes:
        maxsize: The bound, the pipeline's ``max_queue_size``.
    """

    __slots__ = ("_receiver", "_rest", "_sender", "maxsize", "others_sent", "others_taken", "peak", "sent", "taken")

    def __init__(self, maxsize: int) -> None:
        self.maxsize: int = maxsize
        self.open()
        # There may never be a run, and a stream that is not closed warns when it is collected.
        self._sender.close()
        self._receiver.close()
        # Of the burst received last, what had no room where it goes; last to first, so that what
        # is next is taken from the end of the list, which moves nothing.
        self._rest: list[Item] = []
        # Entries of any kind, and of them those that are no items.
        self.sent: int = 0
        self.taken: int = 0
        self.others_sent: int = 0
        self.others_taken: int = 0
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
        return self.level - (self.others_sent - self.others_taken)

    @property
    def room(self) -> int:
        """How many more entries it takes; negative after an interrupt has moved sentinels here."""
        return self.maxsize - self.sent + self.taken

    def send(self, burst: list[Item], others: int = 0) -> None:
        """Take in a burst, of which so many are no items. Never empty."""
        self.sent += len(burst)
        self.others_sent += others
        self.push(burst)

    def push(self, burst: list[Item]) -> None:
        """Take in a burst that was counted before."""
        if self.level > self.peak:
            self.peak = self.level
        self._sender.send_nowait(burst)

    def take(self, most: int) -> list[Item]:
        """The next entries, at most so many, which must be one or more; empty if none wait."""
        if not self._rest:
            try:
                burst = self._receiver.receive_nowait()
            except (WouldBlock, EndOfStream, ClosedResourceError):
                return []
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

    def pop(self) -> Item:
        """The next entry, alone; there must be one."""
        if not self._rest:
            self._rest = self._receiver.receive_nowait()
            self._rest.reverse()
        self.taken += 1
        entry = self._rest.pop()
        if entry.outcome >= SENTINEL:
            self.others_taken += 1
        return entry

    def pop_item(self) -> Item | None:
        """The item that has waited longest, past whatever is no item; ``None`` if none waits."""
        entries = self.drain()
        found = next((entry for entry in entries if entry.outcome < SENTINEL), None)
        if found is not None:
            entries.remove(found)
        self._put_back(entries)
        return found

    def drain(self) -> list[Item]:
        """Everything that waits, taken out."""
        entries: list[Item] = []
        while burst := self.take(self.level):
            entries += burst
        self.others_taken += sum(entry.outcome >= SENTINEL for entry in entries)
        return entries

    def _put_back(self, entries: list[Item]) -> None:
        """Undo a :py:meth:`drain` of these, in one piece: all is as it was but for where bursts end."""
        self.taken -= len(entries)
        self.others_taken -= sum(entry.outcome >= SENTINEL for entry in entries)
        entries.reverse()
        self._rest = entries

    def close(self) -> None:
        """Close the stream, or it would warn when it is collected; what waits can still be taken."""
        self._put_back(self.drain())
        self._sender.close()
        self._receiver.close()
