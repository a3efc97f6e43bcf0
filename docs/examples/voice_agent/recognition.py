"""What the user has said.

The rule: an utterance is decoded while it is spoken, so that at its end only the last
piece is left to do; and that somebody talks is passed on before the first piece is
decoded, because a barge-in must not wait for it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Protocol

from .messages import Heard, Phase, Speech, SpeechBegan


class Hypothesis(Protocol):
    """What a decoder believes it has heard."""

    hypstr: str


class Decoder(Protocol):
    """The part of pocketsphinx that is used here."""

    def start_utt(self) -> None:
        """Begin an utterance."""

    def process_raw(self, data: bytes) -> object:
        """Decode a piece of it."""

    def end_utt(self) -> None:
        """End it."""

    def hyp(self) -> Hypothesis | None:
        """The best hypothesis, if there is one."""


def grammar(sentences: Iterable[str]) -> str:
    """A JSGF grammar of exactly these sentences."""
    return f"#JSGF V1.0;\ngrammar voice;\npublic <request> = {' | '.join(sentences)};\n"


class Recogniser:
    """A stage: pieces of speech in; that somebody talks, and then what was said, out."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder

    def __call__(self, speech: Speech) -> Generator[SpeechBegan | Heard, None, None]:
        """What is known with this piece."""
        if speech.phase is Phase.BEGINS:
            yield SpeechBegan(speech.trace)
            self.decoder.start_utt()
        self.decoder.process_raw(speech.sound)
        if speech.phase is Phase.ENDS:
            self.decoder.end_utt()
            hypothesis = self.decoder.hyp()
            yield Heard(speech.trace, hypothesis.hypstr if hypothesis else "")
