"""What happened when, and what follows from it.

The rule: whoever sees something writes down the instant, and nothing else; every figure
is computed here, from what was written down. A frame is stale if its turn had been
ended by a barge-in when the sink was handed it: that is the only definition there is.
"""

from __future__ import annotations

import attrs

from .messages import VoiceFrame


@attrs.frozen
class Span:
    """From when to when, and what was said."""

    began: float
    ended: float
    text: str


@attrs.define
class Turn:
    """One answer of the agent.

    Attributes:
        number: The turn's number in the downlink.
        asked: What was heard.
        speech_ended: When the user's last sound was over.
        called: When the microphone frame was handed over that completed the silence
            after it: from here on the agent is at work.
        in_hand: When the sink had its first frame.
        spent: Seconds inside stage functions on the way of that frame since ``called``.
        first_audio: When the sound card began it.
        last_audio: When the sound card ended the last one.
        barged_in: When the user's barge-in made the agent interrupt it.
        spoke_over: When the user had begun to talk, for that.
        flushed: When the sink was told to empty the sound card.
        flushed_periods: Periods that were in it.
        dropped: Items that the interrupt dropped inside the pipeline.
        finished: When all of it had been played.
    """

    number: int
    asked: str
    speech_ended: float
    called: float
    in_hand: float | None = None
    spent: float = 0.0
    first_audio: float | None = None
    last_audio: float | None = None
    barged_in: float | None = None
    spoke_over: float | None = None
    flushed: float | None = None
    flushed_periods: int = 0
    dropped: int = 0
    finished: float | None = None

    @property
    def over(self) -> bool:
        """Whether nothing is to be expected of it any more."""
        return self.barged_in is not None or self.finished is not None

    @property
    def response(self) -> float | None:
        """End of the user's speech to the agent's first sound."""
        return None if self.first_audio is None else self.first_audio - self.speech_ended

    @property
    def listening(self) -> float:
        """Of it, waiting for silence, to be sure that the user has ended."""
        return self.called - self.speech_ended

    @property
    def card(self) -> float | None:
        """Of it, waiting for the sound card's next period."""
        return None if self.first_audio is None or self.in_hand is None else self.first_audio - self.in_hand

    @property
    def overhead(self) -> float | None:
        """Of it, what is left: the library's own share, and the few lines between the pipelines."""
        return None if self.in_hand is None else self.in_hand - self.called - self.spent

    @property
    def detection(self) -> float | None:
        """The user begins to talk to the barge-in."""
        return None if self.barged_in is None or self.spoke_over is None else self.barged_in - self.spoke_over

    @property
    def silenced(self) -> float | None:
        """Barge-in to the end of the last frame that was heard of this turn; not positive if it had ended before."""
        return None if self.barged_in is None or self.last_audio is None else self.last_audio - self.barged_in


class Timeline:
    """The turns of a conversation, and what the user said, since ``start``."""

    def __init__(self, start: float) -> None:
        self.start = start
        self.turns: dict[int, Turn] = {}
        self.user: list[Span] = []
        self.heard: list[str] = []
        self.frames = 0
        self.stale = 0

    @property
    def current(self) -> Turn | None:
        """The last turn, if it is not over."""
        last = next(reversed(self.turns.values()), None)
        return None if last is None or last.over else last

    def began_turn(self, number: int, asked: str, called: float) -> None:
        """The agent answers what the user has just said."""
        self.turns[number] = Turn(number, asked, self.user[-1].ended, called)

    def barged_in(self, turn: Turn, at: float) -> None:
        """The user's speech ends a turn; called before the interrupt, so that nothing escapes the check."""
        turn.barged_in = at
        turn.spoke_over = self.user[-1].began

    def delivered(self, frame: VoiceFrame, at: float) -> None:
        """The sink was handed a frame."""
        turn = self.turns[frame.turn]
        self.frames += 1
        if turn.barged_in is not None:
            self.stale += 1
        if turn.in_hand is None:
            turn.in_hand, turn.spent = at, frame.trace.spent

    def played(self, number: int, began: float, ended: float) -> None:
        """The sound card played a period of a turn."""
        turn = self.turns[number]
        turn.last_audio = ended
        if turn.first_audio is None:
            turn.first_audio = began

    def finished(self, number: int, at: float) -> None:
        """The sound card has played all of a turn."""
        turn = self.turns[number]
        if turn.barged_in is None:
            turn.finished = at

    def flushed(self, number: int, at: float, periods: int) -> None:
        """The sink was told that a turn was interrupted, and emptied the sound card."""
        turn = self.turns[number]
        turn.flushed, turn.flushed_periods = at, periods
