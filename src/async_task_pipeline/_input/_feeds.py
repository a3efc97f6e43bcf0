"""The sources that are read ahead, side by side.

The rule: each in its turn is given the room there is; and while producers wait in line, the
sources have one entry after each of theirs, so that neither starves.
"""

from __future__ import annotations

from collections import deque

from ._producers import Feed


class Feeds:
    """Sources that threads are reading.

    Attributes:
        due: Whether a producer in line has had its turn since a source had.
    """

    def __init__(self) -> None:
        self._feeds: deque[Feed] = deque()
        self.due = False

    def append(self, feed: Feed) -> None:
        """Pump this one too."""
        self._feeds.append(feed)

    def remove(self, feed: Feed) -> None:
        """Do so no more."""
        self._feeds.remove(feed)

    @property
    def waiting(self) -> bool:
        """Whether anything has been read that was not put yet."""
        return bool(self._feeds) and any(feed.read for feed in self._feeds)

    def pump(self) -> None:
        """Have them put what they have read, as far as there is room."""
        for feed in tuple(self._feeds):
            if feed.pump():  # it has had its turn; looked at without room, none has
                self._feeds.remove(feed)
                self._feeds.append(feed)

    def flush(self) -> int:
        """Forget what was read; return how many items that was."""
        return sum(feed.flush() for feed in self._feeds)

    def stop(self) -> None:
        """Read no further."""
        for feed in self._feeds:
            feed.stop()
