"""Sound is cut without losing a byte; the sound card plays what it has begun and no more."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docs.examples.voice_agent.audio import FRAME, FRAME_SIZE, RATE, Cutter, seconds_of, size_of, trimmed, values
from docs.examples.voice_agent.messages import Trace, VoiceFrame
from docs.examples.voice_agent.sound_card import PERIOD_SIZE, Finished, Played, SoundCard


@given(st.lists(st.binary(max_size=50), max_size=20), st.integers(1, 30))
def test_whatever_sizes_come_in_pieces_of_one_size_go_out_with_every_byte(parts, size):
    sound, cutter = b"".join(parts), Cutter(size)
    pieces = [piece for part in parts for piece in cutter.cut(part)]
    assert len(pieces) == len(sound) // size
    pieces += cutter.finish()
    assert {len(piece) for piece in pieces} <= {size}
    joined = b"".join(pieces)
    assert joined.startswith(sound)
    assert len(joined) - len(sound) < size
    assert not any(joined[len(sound) :])
    assert list(cutter.finish()) == []


def test_what_can_be_heard_begins_and_ends_the_trimmed_sound():
    sound = array("h", [0, 30, 16000, 0, -13000, 60, 0]).tobytes()
    assert list(values(trimmed(sound))) == [16000, 0, -13000]
    assert trimmed(bytes(20)) == b""


@pytest.mark.parametrize("seconds", [0.0, FRAME, 0.032, 1.0])
def test_bytes_become_seconds_and_seconds_bytes(seconds):
    assert seconds_of(bytes(size_of(seconds))) == pytest.approx(seconds)
    assert len(values(bytes(size_of(seconds)))) == round(seconds * RATE)


def frame(turn, value=1):
    return VoiceFrame(Trace(0.0), turn, "Hello.", bytes([value]) * FRAME_SIZE)


def test_a_frame_is_played_as_two_periods_with_its_turn():
    card = SoundCard()
    card.write(frame(3))
    assert card.waiting == 2
    assert [card.tick() for _ in range(3)] == [[Played(3, "Hello.")], [Played(3, "Hello.")], []]


def test_the_end_of_a_turn_is_told_when_its_last_period_is_over():
    card = SoundCard()
    card.write(frame(1))
    card.mark_end(1)
    card.write(frame(2))
    assert [card.tick() for _ in range(3)] == [
        [Played(1, "Hello.")],
        [Played(1, "Hello.")],
        [Finished(1), Played(2, "Hello.")],
    ]


def test_a_flush_forgets_what_has_not_begun_and_marks_too():
    card = SoundCard()
    card.write(frame(1))
    card.write(frame(1))
    card.mark_end(1)
    card.tick()
    assert card.flush() == 3
    assert card.waiting == 0
    assert card.tick() == []


def test_the_track_is_as_long_as_the_card_has_been_running():
    card = SoundCard()
    card.tick()
    card.write(frame(1, 7))
    card.tick()
    card.flush()
    card.tick()
    # The first period was over before anything could be played.
    assert list(card.track[::PERIOD_SIZE]) == [0, 0, 7, 0]
    assert len(card.track) == 4 * PERIOD_SIZE
