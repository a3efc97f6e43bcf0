"""The user says each line when it is its turn, and knows of the agent only what can be heard."""

from __future__ import annotations

import pytest

from docs.examples.voice_agent.audio import FRAME_SIZE, RATE
from docs.examples.voice_agent.timeline import Timeline
from docs.examples.voice_agent.user import Cue, Line, User


def line(text, cue, delay, frames=2):
    """Something to say, a hundred samples shorter than so many frames."""
    return Line(text, b"\1" * (frames * FRAME_SIZE - 200), cue, delay)


def talks(user, at):
    return any(user.frame(at))


def test_a_line_is_said_whole_and_its_end_is_known_to_the_sample():
    timeline = Timeline(10.0)
    user_line = line("hello", Cue.AT_ONCE, 1.0)
    user = User([user_line], timeline)
    assert [talks(user, at) for at in (10.98, 11.0, 11.02, 11.04)] == [False, True, True, False]
    (span,) = timeline.user
    assert (span.began, span.text) == (11.0, "hello")
    assert span.ended == pytest.approx(11.04 - 100 / RATE)
    assert len(user.track) == 4 * FRAME_SIZE
    assert user.track.strip(b"\0") == user_line.sound


def test_the_user_waits_for_the_answer_to_the_last_line_before_talking_over_it():
    timeline = Timeline(0.0)
    user = User([line("a", Cue.AT_ONCE, 0.0, 1), line("b", Cue.AGENT_TALKS, 2.0, 1)], timeline)
    assert talks(user, 0.0)
    assert not talks(user, 50.0)
    timeline.began_turn(1, "a", called=50.0)
    assert not talks(user, 60.0)
    timeline.played(1, "Hello.", 61.0, 61.01)
    assert not talks(user, 62.9)
    assert talks(user, 63.0)
    assert not user.done  # nobody has answered that yet


def test_the_user_lets_the_agent_finish_and_is_done_after_the_last_answer():
    timeline = Timeline(0.0)
    user = User([line("a", Cue.AT_ONCE, 0.0, 1), line("b", Cue.AGENT_IS_DONE, 0.5, 1)], timeline)
    assert talks(user, 0.0)
    timeline.began_turn(1, "a", called=1.0)
    timeline.played(1, "Hello.", 2.0, 2.01)
    assert not talks(user, 50.0)
    timeline.finished(1, 51.0)
    assert talks(user, 51.5)
    timeline.began_turn(2, "b", called=52.0)
    assert not user.done
    timeline.finished(2, 53.0)
    assert user.done


@pytest.mark.anyio
async def test_a_microphone_frame_is_given_when_it_is_complete(hand):
    timeline = Timeline(0.0)
    user = User([line("a", Cue.AT_ONCE, 0.02, 1)], timeline)
    seen = []
    async for each in user.microphone(hand.clock, hand.sleep):
        seen.append((round(each.trace.began, 6), any(each.sound)))
        if len(seen) == 3:
            timeline.began_turn(1, "a", called=0.06)
            timeline.finished(1, 0.06)
    assert seen == [(0.02, False), (0.04, True), (0.06, False)]
