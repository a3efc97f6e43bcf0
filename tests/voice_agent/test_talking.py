"""The scripted model keeps its pace, sentences are whole, and the sound card is never fed too far ahead."""

from __future__ import annotations

import pytest

from docs.examples.voice_agent.audio import FRAME, FRAME_SIZE
from docs.examples.voice_agent.language_model import SORRY, ScriptedModel, Sentences
from docs.examples.voice_agent.messages import Request, Sentence, Trace, VoiceFrame, Word
from docs.examples.voice_agent.pacing import Pace, Ticks

pytestmark = pytest.mark.anyio

TRACE = Trace(0.0)


async def outcomes(stage, *messages):
    return [outcome for message in messages for outcome in [each async for each in stage(message)]]


async def test_the_model_speaks_a_word_at_a_time_with_its_gaps(hand):
    model = ScriptedModel({"hi": "Hello. How are you?"}, hand.sleep, first=0.5, gaps=(0.1, 0.2, 0.3))
    words = [(word.text, round(hand.now, 9)) async for word in model(Request(TRACE, 7, "hi"))]
    assert words == [("Hello.", 0.5), ("How", 0.6), ("are", 0.8), ("you?", 1.1)]


async def test_the_model_has_an_answer_to_what_it_does_not_know(hand):
    words = await outcomes(ScriptedModel({}, hand.sleep), Request(TRACE, 7, "what"))
    assert " ".join(word.text for word in words) == SORRY
    assert {word.turn for word in words} == {7}


async def test_a_sentence_is_passed_on_with_its_last_word():
    words = [Word(Trace(float(n)), 1, text) for n, text in enumerate(["One", "two.", "Three!", "Four"])]
    assert await outcomes(Sentences(), *words) == [
        Sentence(Trace(1.0), 1, "One two."),
        Sentence(Trace(2.0), 1, "Three!"),
    ]


async def test_words_of_a_turn_that_is_over_are_forgotten():
    sentences = Sentences()
    assert await outcomes(sentences, Word(TRACE, 1, "old")) == []
    sentences.forget()
    assert await outcomes(sentences, Word(TRACE, 2, "New.")) == [Sentence(TRACE, 2, "New.")]


async def test_lateness_does_not_add_up_and_what_was_missed_follows_at_once(hand):
    seen = []
    async for due in Ticks(0.0, 10.0, hand.clock, hand.sleep):
        seen.append((due, hand.now))
        hand.now += {10.0: 3.0, 20.0: 25.0}.get(due, 0.0)
        if due == 60.0:
            break
    assert seen == [(10.0, 10.0), (20.0, 20.0), (30.0, 45.0), (40.0, 45.0), (50.0, 50.0), (60.0, 60.0)]
    assert hand.slept == [10.0, 7.0, 0.0, 0.0, 5.0, 10.0]


def frames(number):
    return [VoiceFrame(TRACE, 1, "Hello.", bytes(FRAME_SIZE))] * number


async def test_the_card_is_filled_at_once_and_then_kept_as_full(hand):
    await outcomes(Pace(5 * FRAME, hand.clock, hand.sleep), *frames(8))
    assert hand.slept == [FRAME] * 3


async def test_a_card_that_ran_dry_is_filled_again(hand):
    pace = Pace(2 * FRAME, hand.clock, hand.sleep)
    await outcomes(pace, *frames(2))
    hand.now = 100.0
    await outcomes(pace, *frames(2))
    assert hand.slept == []
    await outcomes(pace, *frames(1))
    assert hand.slept == [FRAME]


async def test_after_a_flush_the_next_frame_passes_at_once(hand):
    pace = Pace(2 * FRAME, hand.clock, hand.sleep)
    await outcomes(pace, *frames(2))
    pace.forget()
    await outcomes(pace, *frames(2))
    assert hand.slept == []
