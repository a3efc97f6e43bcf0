"""Sound as the agent handles it: mono, 16 bits a sample, one rate, in frames of 20 ms.

The rule: sound arrives in pieces of any size and leaves in pieces of exactly the size
asked for; no sample is lost, and only the end of a stream is padded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

Sound: TypeAlias = bytes
"""Samples, two bytes each, in the machine's byte order."""

RATE = 16_000
"""Samples per second: what the detector and the recogniser were trained on."""

WIDTH = 2
"""Bytes of a sample."""

FRAME = 0.02
"""Seconds of a frame: what telephony and WebRTC send."""


def size_of(seconds: float) -> int:
    """Bytes of so much sound."""
    return round(RATE * seconds) * WIDTH


def seconds_of(sound: Sound) -> float:
    """How long it lasts."""
    return len(sound) / WIDTH / RATE


FRAME_SIZE = size_of(FRAME)


def values(sound: Sound) -> memoryview:
    """Its samples as integers, from -32768 to 32767."""
    return memoryview(sound).cast("h")


class Cutter:
    """Cuts a stream that arrives in pieces of any size into pieces of one size."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._rest = b""

    def cut(self, sound: Sound) -> Iterator[Sound]:
        """The pieces that are complete with this sound; the remainder is kept."""
        self._rest += sound
        while len(self._rest) >= self.size:
            piece, self._rest = self._rest[: self.size], self._rest[self.size :]
            yield piece

    def finish(self) -> Iterator[Sound]:
        """The remainder, filled up with silence; nothing if there is none."""
        rest, self._rest = self._rest, b""
        if rest:
            yield rest.ljust(self.size, b"\0")


def trimmed(sound: Sound, floor: int = 300) -> Sound:
    """Without the silence around it, so that where it ends is where the speaker ended."""
    loud = [at for at, value in enumerate(values(sound)) if abs(value) > floor]
    return sound[loud[0] * WIDTH : (loud[-1] + 1) * WIDTH] if loud else b""
