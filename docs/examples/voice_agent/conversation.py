"""The agent: an uplink that is never interrupted, a downlink that is.

The rule: what the user says must survive the interrupt that it causes, so listening and
talking are two pipelines, and the only thing between them is the few lines of ``react``.

    uplink     microphone ─▶ detection ─▶ recognition ─▶ react
    downlink   react ─▶ model ─▶ sentences ─▶ voice ─▶ pace ─▶ sink ─▶ sound card
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from typing import TypeAlias

import anyio

from async_task_pipeline import AsyncTaskPipeline

from .detection import Detector
from .language_model import Sentences
from .messages import EndOfTurn, Flush, Heard, MicrophoneFrame, Request, Sentence, SpeechBegan, VoiceFrame, Word
from .pacing import Clock, Pace, Sleep, Ticks
from .recognition import Recogniser
from .sound_card import PERIOD, Played, SoundCard
from .spending import in_thread, on_loop
from .timeline import Timeline

Model: TypeAlias = Callable[[Request], AsyncGenerator[Word, None]]
"""Finds an answer."""

Speaker: TypeAlias = Callable[[Sentence], Generator[VoiceFrame, None, None]]
"""Speaks a sentence."""

Mark: TypeAlias = EndOfTurn | Flush
"""The sentinels of the downlink."""

LEAD = 0.1
"""Seconds of sound in the sound card: enough for a busy machine, and what a barge-in has to flush."""

BOUND = 4
"""Entries per link. Small, so that little is made ahead that an interrupt throws away."""


class Agent:
    """Listens, answers, and is silent when it is talked over.

    Args:
        detector: Finds the speech.
        recogniser: Finds the words.
        model: Finds an answer.
        voice: Speaks it.
        timeline: Where to write down what happens.
        clock: The time.
        sleep: How to wait.
        interrupting: Whether a barge-in interrupts the downlink. Without, only the sound card
            is flushed, as in an agent whose pipeline has no interrupt; to hear the difference.
    """

    def __init__(
        self,
        detector: Detector,
        recogniser: Recogniser,
        model: Model,
        voice: Speaker,
        *,
        timeline: Timeline,
        clock: Clock,
        sleep: Sleep,
        interrupting: bool = True,
    ) -> None:
        self.timeline = timeline
        self.clock = clock
        self.sleep = sleep
        self.interrupting = interrupting
        self.card = SoundCard()
        # Stages change the type of what they are given, so a pipeline's data are objects.
        sentences, pace = Sentences(), Pace(LEAD, clock, sleep)
        self.uplink: AsyncTaskPipeline[object, None] = (
            AsyncTaskPipeline[object, None](enable_timing=True, clock=clock)
            .add_stage("detection", in_thread(detector, clock, timeline.lane("detection")))
            .add_stage("recognition", in_thread(recogniser, clock, timeline.lane("recognition")))
        )
        self.downlink: AsyncTaskPipeline[object, Mark] = (
            AsyncTaskPipeline[object, Mark](BOUND, enable_timing=True, clock=clock)
            .add_stage("model", on_loop(model, clock, timeline.lane("model")))
            .add_stage(
                "sentences", on_loop(sentences, clock, timeline.lane("sentences")), on_interrupt=sentences.forget
            )
            .add_stage("voice", in_thread(voice, clock, timeline.lane("voice")))
            .add_stage("pace", on_loop(pace, clock, timeline.lane("pace")), on_interrupt=pace.forget)
        )

    async def run(self, microphone: AsyncIterator[MicrophoneFrame]) -> None:
        """Talk until the microphone is switched off."""
        async with self.downlink, anyio.create_task_group() as sound:
            sound.start_soon(self.play)
            sound.start_soon(self.sink)
            async with self.uplink.process(microphone) as events:
                async for event in events:
                    await self.react(event)
            sound.cancel_scope.cancel()

    async def react(self, event: object) -> None:
        """Be silent when the user begins to talk; answer when the user has ended."""
        match event:
            case SpeechBegan():
                await self.barge_in()
            case Heard(trace, text):
                self.timeline.hears(text, self.clock())
                async with self.downlink.turn() as turn:
                    self.timeline.began_turn(turn.number, text, trace.began)
                    await turn.put(Request(trace, turn.number, text))
                    await turn.put_sentinel(EndOfTurn(turn.number))

    async def barge_in(self) -> None:
        """End the answer under way, if there is one."""
        answer = self.timeline.current
        if answer is None:
            return
        self.timeline.barged_in(answer, self.clock())
        if self.interrupting:
            receipt = await self.downlink.interrupt(sentinel=Flush(answer.number))
            self.timeline.interrupted(answer, receipt.total, self.clock())
        else:
            self.flush(answer.number)

    async def sink(self) -> None:
        """Give the sound card what comes out, and empty it when told to.

        It never waits for the card (the stage "pace" does), so it hears of an interrupt at once.
        """
        async for entry in self.downlink.generate_output_stream():
            match entry:
                case VoiceFrame():
                    self.timeline.delivered(entry, self.clock())
                    self.card.write(entry)
                case EndOfTurn(number):
                    self.card.mark_end(number)
                case Flush(number):
                    self.flush(number)

    def flush(self, number: int) -> None:
        """Empty the sound card of a turn that was interrupted."""
        self.timeline.flushed(number, self.clock(), self.card.flush())

    async def play(self) -> None:
        """Be the sound card's own clock."""
        async for _ in Ticks(self.timeline.start, PERIOD, self.clock, self.sleep):
            now = self.clock()
            for news in self.card.tick():
                if isinstance(news, Played):
                    self.timeline.played(news.turn, news.text, now, now + PERIOD)
                else:
                    self.timeline.finished(news.turn, now)
