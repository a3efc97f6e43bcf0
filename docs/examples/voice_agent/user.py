"""The user: a few lines to say, and ears.

The rule: a line is said some time after the agent has begun to talk, or after it has
ended; the user knows of the agent only what can be heard.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import AsyncIterator, Iterable

import attrs

from .audio import FRAME, FRAME_SIZE, Cutter, Sound, seconds_of
from .messages import MicrophoneFrame, Trace
from .pacing import Clock, Sleep, Ticks
from .timeline import Span, Timeline


class Cue(enum.Enum):
    """What the user waits for."""

    AT_ONCE = enum.auto()
    AGENT_TALKS = enum.auto()
    AGENT_IS_DONE = enum.auto()


@attrs.frozen
class Line:
    """Something to say.

    Attributes:
        text: The words.
        sound: How they sound.
        cue: What to wait for.
        delay: Seconds after that.
    """

    text: str
    sound: Sound
    cue: Cue
    delay: float


class User:
    """Says the lines, one after the other."""

    def __init__(self, lines: Iterable[Line], timeline: Timeline) -> None:
        self.timeline = timeline
        self._lines = deque(lines)
        self._saying: deque[Sound] = deque()
        self._answers = 0  # turns that came before the last line
        self._track: list[Sound] = []

    def frame(self, began: float) -> Sound:
        """The 20 ms that begin at this instant."""
        if not self._saying and self._lines and self._due(self._lines[0]) <= began:
            self._begin(self._lines.popleft(), began)
        sound = self._saying.popleft() if self._saying else bytes(FRAME_SIZE)
        self._track.append(sound)
        return sound

    def _due(self, line: Line) -> float:
        """When to say it; never, until what the user waits for has been heard."""
        if line.cue is Cue.AT_ONCE:
            return self.timeline.start + line.delay
        turns = list(self.timeline.turns.values())[self._answers :]
        heard = [turn.first_audio if line.cue is Cue.AGENT_TALKS else turn.finished for turn in turns]
        return min((at + line.delay for at in heard if at is not None), default=float("inf"))

    def _begin(self, line: Line, at: float) -> None:
        cutter = Cutter(FRAME_SIZE)
        self._saying.extend([*cutter.cut(line.sound), *cutter.finish()])
        self._answers = len(self.timeline.turns)
        self.timeline.user_says(Span(at, at + seconds_of(line.sound), line.text))

    @property
    def done(self) -> bool:
        """Whether everything has been said and answered to the end."""
        turns = list(self.timeline.turns.values())
        return not self._lines and not self._saying and len(turns) > self._answers and turns[-1].over

    async def microphone(self, clock: Clock, sleep: Sleep) -> AsyncIterator[MicrophoneFrame]:
        """What the user's microphone gives, each frame when it is complete."""
        async for over in Ticks(self.timeline.start, FRAME, clock, sleep):
            sound = self.frame(over - FRAME)
            yield MicrophoneFrame(Trace(clock()), sound)
            if self.done:
                break

    @property
    def track(self) -> Sound:
        """All that the microphone gave."""
        return b"".join(self._track)
