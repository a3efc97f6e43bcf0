"""When somebody is talking.

The rule: speech begins at the second window in a row that sounds like it, and ends at
the tenth in a row that does not; one window alone decides nothing. What was heard just
before the beginning goes with it, because the detector is a little late and the
recogniser needs the first consonant.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from typing import TypeAlias

from .audio import Cutter, Sound, size_of
from .messages import MicrophoneFrame, Phase, Speech

WINDOW_SIZE = size_of(0.032)
"""What silero's detector takes at a time. More than a frame, so that a frame completes
one window at most."""

Score: TypeAlias = Callable[[Sound], float]
"""How much a window sounds like speech, 0 to 1."""


class Detector:
    """A stage: microphone frames in, pieces of speech out.

    Args:
        score: Judges a window.
        threshold: The score from which a window counts as speech.
        onset: Windows of speech in a row that begin an utterance.
        hangover: Windows of silence in a row that end it: how long a pause the user may make.
        lead_in: Windows before the beginning that go with it.
    """

    def __init__(
        self, score: Score, *, threshold: float = 0.5, onset: int = 2, hangover: int = 10, lead_in: int = 8
    ) -> None:
        self.score = score
        self.threshold = threshold
        self.onset = onset
        self.hangover = hangover
        self._cutter = Cutter(WINDOW_SIZE)
        self._before: deque[Sound] = deque(maxlen=lead_in + onset)
        self._talking = False
        self._against = 0  # windows in a row that speak against the present state

    def __call__(self, frame: MicrophoneFrame) -> Generator[Speech, None, None]:
        """The speech that is known of with this frame: a piece or nothing."""
        for window in self._cutter.cut(frame.sound):
            sounds = self.score(window) >= self.threshold
            self._against = self._against + 1 if sounds is not self._talking else 0
            if self._talking:
                ends = self._against == self.hangover
                if ends:
                    self._talking, self._against = False, 0
                yield Speech(frame.trace, Phase.ENDS if ends else Phase.GOES_ON, window)
                continue
            self._before.append(window)
            if self._against == self.onset:
                self._talking, self._against = True, 0
                yield Speech(frame.trace, Phase.BEGINS, b"".join(self._before))
                self._before.clear()
