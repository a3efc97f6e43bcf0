"""What happened when, and what follows from it.

The rule: whoever sees something writes down the instant, and nothing else; every figure
is computed here, from what was written down. A frame is stale if its turn had been
ended by a barge-in when the sink was handed it: that is the only definition there is.

What is heard, said and cut is logged as well, so that whoever runs the agent can follow it.
"""

from __future__ import annotations

import logging
from typing import TypeAlias

import attrs

from .messages import VoiceFrame
from .sound_card import PERIOD

logger = logging.getLogger(__package__)

Lane: TypeAlias = list[tuple[float, float]]
"""When a stage was at work: from its call, or from where it was resumed, to its next outcome."""


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
        said: Its sentences, as far as they could be heard.
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
    said: list[Span] = attrs.field(factory=list)

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

    @property
    def talked_on(self) -> float:
        """Seconds for which the agent was heard although the user had talked over it."""
        began = self.barged_in
        return 0.0 if began is None else sum(max(0.0, said.ended - max(said.began, began)) for said in self.said)


class Timeline:
    """The turns of a conversation, and what the user said, since ``start``.

    Args:
        start: When it began.
        name: Of the conversation, for the log.
    """

    def __init__(self, start: float, name: str = "conversation") -> None:
        self.start = start
        self.name = name
        self.turns: dict[int, Turn] = {}
        self.user: list[Span] = []
        self.heard: list[str] = []
        self.lanes: dict[str, Lane] = {}
        self.frames = 0
        self.stale = 0

    @property
    def current(self) -> Turn | None:
        """The last turn, if it is not over."""
        last = next(reversed(self.turns.values()), None)
        return None if last is None or last.over else last

    @property
    def talked_on(self) -> float:
        """Seconds of stale speech that the user had to listen to."""
        return sum(turn.talked_on for turn in self.turns.values())

    def lane(self, stage: str) -> Lane:
        """Where it is written down when a stage is at work."""
        return self.lanes.setdefault(stage, [])

    def user_says(self, line: Span) -> None:
        """The user begins a line."""
        self.user.append(line)
        self._log(line.began, f'user    says "{line.text}"')

    def hears(self, text: str, at: float) -> None:
        """The agent knows what the user has said."""
        self.heard.append(text)
        self._log(at, f'agent   heard "{text}"')

    def began_turn(self, number: int, asked: str, called: float) -> None:
        """The agent answers what the user has just said."""
        self.turns[number] = Turn(number, asked, self.user[-1].ended, called)

    def barged_in(self, turn: Turn, at: float) -> None:
        """The user's speech ends a turn; called before the interrupt, so that nothing escapes the check."""
        turn.barged_in = at
        turn.spoke_over = self.user[-1].began
        self._log(at, f"agent   is talked over in turn {turn.number}")

    def interrupted(self, turn: Turn, dropped: int, at: float) -> None:
        """The interrupt for it has dropped so many items."""
        turn.dropped = dropped
        self._log(at, f"agent   cuts turn {turn.number}: {dropped} items dropped")

    def delivered(self, frame: VoiceFrame, at: float) -> None:
        """The sink was handed a frame."""
        turn = self.turns[frame.turn]
        self.frames += 1
        if turn.barged_in is not None:
            self.stale += 1
        if turn.in_hand is None:
            turn.in_hand, turn.spent = at, frame.trace.spent

    def played(self, number: int, text: str, began: float, ended: float) -> None:
        """The sound card played a period of a turn, out of this sentence."""
        turn = self.turns[number]
        turn.last_audio = ended
        if turn.first_audio is None:
            turn.first_audio = began
        if turn.said and turn.said[-1].text == text:
            turn.said[-1] = attrs.evolve(turn.said[-1], ended=ended)
        else:
            turn.said.append(Span(began, ended, text))
            self._log(began, f'agent   says "{text}"{" (stale)" if turn.barged_in is not None else ""}')

    def finished(self, number: int, at: float) -> None:
        """The sound card has played all of a turn."""
        turn = self.turns[number]
        if turn.barged_in is None:
            turn.finished = at

    def flushed(self, number: int, at: float, periods: int) -> None:
        """The sink was told that a turn was interrupted, and emptied the sound card."""
        turn = self.turns[number]
        turn.flushed, turn.flushed_periods = at, periods
        self._log(at, f"agent   flushes {periods * PERIOD * 1e3:.0f} ms of sound")

    def _log(self, at: float, what: str) -> None:
        logger.info("%-19s %6.2f s  %s", self.name, at - self.start, what)
