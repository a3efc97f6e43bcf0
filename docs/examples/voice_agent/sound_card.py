"""A sound card without a speaker.

The rule: it plays a period of 10 ms at a time. What it has begun it finishes; what it
has not begun can be flushed. If there is nothing, it plays silence. So what it has
played is as long as it has been running, and can be laid beside what the microphone heard.
"""

from __future__ import annotations

from collections import deque
from typing import TypeAlias

import attrs

from .audio import Cutter, Sound, size_of
from .messages import VoiceFrame

PERIOD = 0.01
PERIOD_SIZE = size_of(PERIOD)


@attrs.frozen
class Played:
    """A period of this turn begins to sound, out of this sentence."""

    turn: int
    text: str


@attrs.frozen
class Finished:
    """All of this turn has been played."""

    turn: int


News: TypeAlias = Played | Finished


class SoundCard:
    """A buffer and what has been played of it.

    Whoever owns the time calls ``tick`` at the end of each period, the first being over
    before anything can have been written.
    """

    def __init__(self) -> None:
        self._buffer: deque[tuple[News, Sound]] = deque()
        self._track: list[Sound] = [bytes(PERIOD_SIZE)]

    @property
    def waiting(self) -> int:
        """Periods not begun."""
        return sum(isinstance(news, Played) for news, _ in self._buffer)

    def write(self, frame: VoiceFrame) -> None:
        """Queue a frame."""
        self._buffer.extend((Played(frame.turn, frame.text), piece) for piece in Cutter(PERIOD_SIZE).cut(frame.sound))

    def mark_end(self, turn: int) -> None:
        """Queue the mark that all of a turn has been written."""
        self._buffer.append((Finished(turn), b""))

    def flush(self) -> int:
        """Forget what has not begun; return how many periods that is."""
        dropped = self.waiting
        self._buffer.clear()
        return dropped

    def tick(self) -> list[News]:
        """Begin the next period; return what there is to tell of it."""
        told: list[News] = []
        sound = b""
        while self._buffer and not sound:
            news, sound = self._buffer.popleft()
            told.append(news)
        self._track.append(sound or bytes(PERIOD_SIZE))
        return told

    @property
    def track(self) -> Sound:
        """All that was played, silence included."""
        return b"".join(self._track)
