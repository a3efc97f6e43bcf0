"""A voice: espeak-ng as a program of its own, read while it speaks.

The rule: whoever stops listening stops the program. The generator that reads it ends it
in its ``finally``, and an interrupt closes the generator, so nothing is synthesised for
a turn that is over.
"""

from __future__ import annotations

import subprocess
import wave
from collections.abc import Generator

import attrs
import numpy as np
import soxr

from .audio import FRAME_SIZE, RATE, Cutter, Sound, trimmed
from .messages import Sentence, VoiceFrame

PROGRAM = "espeak-ng"

PIECE = 2048
"""Samples read at a time: a tenth of a second."""


@attrs.frozen
class Voice:
    """One of espeak-ng's voices.

    Attributes:
        name: As ``espeak-ng --voices`` lists it; ``+f3`` makes it a woman's.
        words_per_minute: The pace.
    """

    name: str
    words_per_minute: int = 160

    def speak(self, text: str) -> Generator[Sound, None, None]:
        """The sound of a text, as it is synthesised."""
        command = [PROGRAM, "-v", self.name, "-s", str(self.words_per_minute), "--stdout", "--", text]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603
            try:
                with wave.open(process.stdout) as speech:
                    resampler = soxr.ResampleStream(speech.getframerate(), RATE, 1, dtype="int16")
                    while piece := speech.readframes(PIECE):
                        yield resampler.resample_chunk(np.frombuffer(piece, np.int16)).tobytes()
                    # It looks a few milliseconds ahead, so there is something left in it.
                    yield resampler.resample_chunk(np.zeros(0, np.int16), last=True).tobytes()
            finally:
                process.kill()  # without effect when it has ended by itself

    def utterance(self, text: str) -> Sound:
        """All of a text, without silence around it."""
        return trimmed(b"".join(self.speak(text)))

    def __call__(self, sentence: Sentence) -> Generator[VoiceFrame, None, None]:
        """A stage: a sentence in, frames out."""
        cutter = Cutter(FRAME_SIZE)
        for sound in self.speak(sentence.text):
            for piece in cutter.cut(sound):
                yield VoiceFrame(sentence.trace, sentence.turn, sentence.text, piece)
        for piece in cutter.finish():
            yield VoiceFrame(sentence.trace, sentence.turn, sentence.text, piece)
