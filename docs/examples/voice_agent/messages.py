"""What travels through the two pipelines.

The rule: frozen records, and everything that belongs to an answer carries the number of
its turn. That number is what the sink looks at; nothing else decides what is stale.
"""

from __future__ import annotations

import enum

import attrs

from .audio import Sound


@attrs.frozen
class Trace:
    """What has been spent on the way to this message.

    Attributes:
        began: When the microphone frame that set it off was handed to the uplink.
        spent: Seconds inside stage functions since, on this message's own path.
    """

    began: float
    spent: float = 0.0


@attrs.frozen
class Message:
    """What all of them carry."""

    trace: Trace


@attrs.frozen
class MicrophoneFrame(Message):
    """20 ms of what the microphone hears."""

    sound: Sound


class Phase(enum.Enum):
    """Where a piece of speech stands in its utterance."""

    BEGINS = enum.auto()
    GOES_ON = enum.auto()
    ENDS = enum.auto()


@attrs.frozen
class Speech(Message):
    """A piece of an utterance, as the detector cut it out."""

    phase: Phase
    sound: Sound


@attrs.frozen
class SpeechBegan(Message):
    """The user has begun to talk. What was said is not known yet."""


@attrs.frozen
class Heard(Message):
    """What the user has said; empty if it fits no sentence of the grammar."""

    text: str


@attrs.frozen
class Request(Message):
    """What the language model is asked, in a turn of the downlink."""

    turn: int
    text: str


@attrs.frozen
class Word(Message):
    """A word of the answer, with its punctuation."""

    turn: int
    text: str


@attrs.frozen
class Sentence(Message):
    """A sentence of the answer: the least that can be spoken with its right melody."""

    turn: int
    text: str


@attrs.frozen
class VoiceFrame(Message):
    """20 ms of the agent's voice, out of this sentence."""

    turn: int
    text: str
    sound: Sound


@attrs.frozen
class EndOfTurn:
    """A sentinel behind the last item of a turn."""

    turn: int


@attrs.frozen
class Flush:
    """A sentinel that tells the sink that a turn was interrupted: empty the sound card."""

    turn: int
