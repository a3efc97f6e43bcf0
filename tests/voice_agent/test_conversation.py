"""The two pipelines and the barge-in, with parts that the test holds.

The rule: the sound card's clock, the model's gaps and the pace's waiting are the test's,
so what is in the card when the user begins to talk is known to the period.
"""

from __future__ import annotations

import itertools

import anyio
import pytest

from docs.examples.voice_agent.audio import FRAME_SIZE
from docs.examples.voice_agent.conversation import Agent
from docs.examples.voice_agent.detection import Detector
from docs.examples.voice_agent.figures import problems
from docs.examples.voice_agent.language_model import ScriptedModel
from docs.examples.voice_agent.messages import Heard, MicrophoneFrame, SpeechBegan, Trace, VoiceFrame
from docs.examples.voice_agent.recognition import Recogniser
from docs.examples.voice_agent.sound_card import Finished, Played
from docs.examples.voice_agent.timeline import Span, Timeline
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

LOUD, QUIET = b"\x01" * FRAME_SIZE, bytes(FRAME_SIZE)

FULL = 10
"""Periods in the sound card when the pace begins to wait: 100 ms."""


class Decoder:
    """Hears in anything what it was told to, one text after the other."""

    def __init__(self, *texts):
        self.texts = iter(texts)

    def start_utt(self):
        pass

    def process_raw(self, data):
        pass

    def end_utt(self):
        pass

    def hyp(self):
        self.hypstr = next(self.texts)
        return self


def speak(sentence):
    """Two frames if it is brief, and no end of them if not."""
    for _ in range(2) if sentence.text == "Brief." else itertools.count():
        yield VoiceFrame(sentence.trace, sentence.turn, sentence.text, LOUD)


class Stage:
    """An agent at an instant that never passes, on a stage with the test in the user's place."""

    def __init__(self, *, interrupting=True):
        self.waiting = anyio.Event()  # the pace waits for the card
        self.thinking = anyio.Event()  # the model waits for its first word
        self.go_on = anyio.Event()
        self.timeline = Timeline(0.0)
        replies = {"talk": "Endless.", "be brief": "Brief.", "hesitate": "Never."}
        self.agent = Agent(
            Detector(lambda window: float(window[0] > 0)),
            Recogniser(Decoder("hello")),
            ScriptedModel(replies, self.think, first=1.0),
            speak,
            timeline=self.timeline,
            clock=lambda: 0.0,
            sleep=self.wait,
            interrupting=interrupting,
        )
        self.hesitant = False

    async def think(self, seconds):
        self.thinking.set()
        if self.hesitant:
            await anyio.sleep_forever()
        await anyio.lowlevel.checkpoint()

    async def wait(self, seconds):
        self.waiting.set()
        await self.go_on.wait()

    async def user_says(self, text):
        """The user begins to talk, and ends."""
        self.waiting, self.thinking = anyio.Event(), anyio.Event()
        self.timeline.user_says(Span(0.0, 0.0, text))
        await self.agent.react(SpeechBegan(Trace(0.0)))
        await self.agent.react(Heard(Trace(0.0), text))

    async def until_full(self):
        await self.waiting.wait()
        await anyio.wait_all_tasks_blocked()

    def play(self, periods):
        """What the card tells while it plays so many."""
        told = [news for _ in range(periods) for news in self.agent.card.tick()]
        for news in told:
            if isinstance(news, Played):
                self.timeline.played(news.turn, news.text, 0.0, 0.0)
            else:
                self.timeline.finished(news.turn, 0.0)
        return told

    async def __aenter__(self):
        self._scope = anyio.create_task_group()
        await self.agent.downlink.__aenter__()
        await self._scope.__aenter__()
        self._scope.start_soon(self.agent.sink)
        return self

    async def __aexit__(self, *exc):
        self._scope.cancel_scope.cancel()
        await self._scope.__aexit__(*exc)
        return await self.agent.downlink.__aexit__(*exc)


def turns_of(told):
    return [news.turn for news in told if isinstance(news, Played)]


async def test_a_barge_in_empties_the_card_and_nothing_stale_follows():
    async with Stage() as stage:
        await stage.user_says("talk")
        await stage.until_full()
        assert stage.agent.card.waiting == FULL
        assert turns_of(stage.play(3)) == [1, 1, 1]

        await stage.user_says("talk")
        await stage.until_full()
        assert stage.timeline.turns[1].flushed_periods == FULL - 3
        assert stage.timeline.turns[1].dropped > 0
        assert stage.agent.card.waiting == FULL
        assert turns_of(stage.play(FULL)) == [2] * FULL
        assert stage.timeline.stale == 0
        assert stage.timeline.frames == FULL


async def test_without_the_interrupt_stale_frames_get_out_and_the_run_has_failed():
    async with Stage(interrupting=False) as stage:
        await stage.user_says("talk")
        await stage.until_full()
        await stage.user_says("talk")
        stage.go_on.set()
        while not stage.timeline.stale:
            await anyio.lowlevel.checkpoint()
        stage.play(1)
        assert "stale frames got out" in problems(stage.timeline, said=[], barge_ins=1)[0]


async def test_an_answer_not_begun_is_never_heard():
    async with Stage() as stage:
        stage.hesitant = True
        await stage.user_says("hesitate")
        await stage.thinking.wait()
        stage.hesitant = False
        await stage.user_says("talk")
        await stage.until_full()
        assert turns_of(stage.play(FULL)) == [2] * FULL
        first = stage.timeline.turns[1]
        assert (first.in_hand, first.first_audio, first.flushed_periods) == (None, None, 0)
        assert first.flushed is not None


async def test_an_answer_that_has_been_played_is_not_interrupted():
    async with Stage() as stage:
        await stage.user_says("be brief")
        while (told := stage.play(1)) != [Finished(1)]:
            assert turns_of(told) in ([], [1])
            await anyio.lowlevel.checkpoint()
        await stage.user_says("be brief")
        first = stage.timeline.turns[1]
        assert (first.barged_in, first.flushed) == (None, None)
        assert stage.timeline.turns[2].number == 2


async def test_the_uplink_tells_that_somebody_talks_and_then_what_was_said():
    agent = Stage().agent
    sound = [QUIET] * 10 + [LOUD] * 10 + [QUIET] * 30
    async with agent.uplink.process([MicrophoneFrame(Trace(float(n)), each) for n, each in enumerate(sound)]) as out:
        began, heard = [event async for event in out]
    assert isinstance(began, SpeechBegan)
    assert 10 < began.trace.began < 20
    assert heard.text == "hello"
    assert 20 < heard.trace.began < 50


class Conversation:
    """A whole conversation with an agent for whom no time passes: whoever waits lets the others run.

    Args:
        heard: What the user says, in order; the second and later lines are said over the answer.
    """

    def __init__(self, *heard):
        self.timeline = Timeline(0.0)
        self.lines = len(heard)
        decoder = Decoder(*heard)
        self.agent = Agent(
            Detector(lambda window: float(window[0] > 0)),
            Recogniser(decoder),
            ScriptedModel({"talk": "Endless.", "be brief": "Brief."}, self.pass_on),
            speak,
            timeline=self.timeline,
            clock=lambda: 0.0,
            sleep=self.pass_on,
        )

    async def pass_on(self, seconds):
        await anyio.lowlevel.checkpoint()

    async def microphone(self):
        turns = self.timeline.turns
        for number in range(1, self.lines + 1):
            self.timeline.user_says(Span(0.0, 0.0, "line"))
            for sound in [LOUD] * 10 + [QUIET] * 30:
                yield MicrophoneFrame(Trace(0.0), sound)
            await until(lambda: number in turns and turns[number].first_audio is not None)  # noqa: B023 # awaited here
        await until(lambda: turns[self.lines].over)


async def test_a_conversation_ends_with_the_microphone_and_leaves_nothing():
    talk = Conversation("be brief")
    await talk.agent.run(talk.microphone())
    assert problems(talk.timeline, said=["be brief"], barge_ins=0) == []
    assert talk.timeline.frames == 2
    assert not talk.agent.uplink.running
    assert not talk.agent.downlink.running


async def test_a_user_who_talks_over_the_agent_twice_gets_the_last_answer_whole():
    talk = Conversation("talk", "talk", "be brief")
    await talk.agent.run(talk.microphone())
    assert problems(talk.timeline, said=["talk", "talk", "be brief"], barge_ins=2) == []
    first, second, last = talk.timeline.turns.values()
    assert None not in (first.flushed, second.flushed, last.finished)
    report = talk.agent.downlink.get_report()
    assert [turn.interrupted for turn in report.turns] == [True, True, False]
    assert report.turns[-1].delivered == 2
