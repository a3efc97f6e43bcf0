"""Speech begins and ends by windows in a row; it is decoded as it comes, and a barge-in does not wait for that."""

from __future__ import annotations

import itertools

import pytest

from docs.examples.voice_agent.audio import FRAME_SIZE, Cutter
from docs.examples.voice_agent.detection import WINDOW_SIZE, Detector
from docs.examples.voice_agent.messages import Heard, MicrophoneFrame, Phase, Speech, SpeechBegan, Trace
from docs.examples.voice_agent.recognition import Recogniser, grammar

BEGINS, GOES_ON, ENDS = Phase.BEGINS, Phase.GOES_ON, Phase.ENDS


def numbered(windows):
    """Sound in which each window is a number, and the frames it comes in."""
    sound = b"".join(bytes([number]) * WINDOW_SIZE for number in range(windows))
    cutter = Cutter(FRAME_SIZE)
    return [MicrophoneFrame(Trace(float(n)), each) for n, each in enumerate([*cutter.cut(sound), *cutter.finish()])]


def speech_in(marks, **options):
    """What is found in windows that sound like speech where there is an x."""
    judged = []

    def score(window):
        assert len(window) == WINDOW_SIZE
        assert len(set(window)) == 1, "cut at the wrong place"
        judged.append(window[0])
        return 0.9 if marks[judged[-1]] == "x" else 0.1

    found = list(itertools.chain.from_iterable(map(Detector(score, **options), numbered(len(marks)))))
    assert judged == list(range(len(marks)))
    return found


def windows_in(piece):
    return list(piece.sound[::WINDOW_SIZE])


def test_two_windows_in_a_row_begin_an_utterance_and_ten_of_silence_end_it():
    found = speech_in("..xxx" + "." * 14)
    assert [piece.phase for piece in found] == [BEGINS, *[GOES_ON] * 10, ENDS]
    assert windows_in(found[-1]) == [14]


def test_one_window_alone_decides_nothing():
    assert speech_in(".x.x.x.x.") == []
    assert [piece.phase for piece in speech_in("xx" + ".........x" * 3)] == [BEGINS] + [GOES_ON] * 30


def test_what_came_just_before_goes_with_the_beginning_and_nothing_is_told_twice():
    found = speech_in("." * 6 + "xx" + "." * 10, lead_in=3)
    assert windows_in(found[0]) == [3, 4, 5, 6, 7]
    assert [window for piece in found for window in windows_in(piece)] == list(range(3, 18))


def test_an_utterance_after_another_begins_anew():
    found = speech_in("xx...xx...", hangover=3, lead_in=1)
    assert [piece.phase for piece in found] == [BEGINS, GOES_ON, GOES_ON, ENDS] * 2
    assert windows_in(found[4]) == [5, 6]  # the silence before belongs to the first


def test_a_piece_carries_the_trace_of_the_frame_that_completed_it():
    (begun,) = speech_in("xx")
    assert begun.trace.began == float(-(-2 * WINDOW_SIZE // FRAME_SIZE) - 1)


class Scripted:
    """A decoder that writes down what is asked of it."""

    def __init__(self, text):
        self.text = text
        self.calls = []

    def start_utt(self):
        self.calls.append("start")

    def process_raw(self, data):
        self.calls.append(len(data))

    def end_utt(self):
        self.calls.append("end")

    def hyp(self):
        return self.text and type("Hypothesis", (), {"hypstr": self.text})


def test_that_somebody_talks_is_told_before_anything_is_decoded():
    decoder = Scripted("hello")
    outcomes = Recogniser(decoder)(Speech(Trace(1.0), BEGINS, bytes(200)))
    assert next(outcomes) == SpeechBegan(Trace(1.0))
    assert decoder.calls == []
    assert list(outcomes) == []
    assert decoder.calls == ["start", 200]


@pytest.mark.parametrize(("text", "heard"), [("hello", "hello"), (None, "")])
def test_each_piece_is_decoded_when_it_comes_and_the_words_follow_the_last(text, heard):
    decoder = Scripted(text)
    recogniser = Recogniser(decoder)
    phases = [BEGINS, GOES_ON, ENDS]
    outcomes = [list(recogniser(Speech(Trace(float(n)), phase, bytes(20 + n)))) for n, phase in enumerate(phases)]
    assert outcomes == [[SpeechBegan(Trace(0.0))], [], [Heard(Trace(2.0), heard)]]
    assert decoder.calls == ["start", 20, 21, 22, "end"]


def test_the_grammar_has_the_sentences_and_no_others():
    assert "public <request> = go on | stop;" in grammar(["go on", "stop"])
