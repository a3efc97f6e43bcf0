"""Every figure follows from the instants written down, and a failed run says why."""

from __future__ import annotations

import json
import math
import re
from array import array

import anyio
import attrs
import pytest

from async_task_pipeline import AsyncTaskPipeline
from docs.examples.voice_agent.audio import FRAME_SIZE
from docs.examples.voice_agent.figures import (
    answer_lines,
    barge_in_lines,
    problems,
    stage_lines,
    stale_line,
    turn_lines,
)
from docs.examples.voice_agent.messages import Trace, VoiceFrame, Word
from docs.examples.voice_agent.page import merged, write_page
from docs.examples.voice_agent.picture import envelope
from docs.examples.voice_agent.spending import in_thread, on_loop
from docs.examples.voice_agent.timeline import Span, Timeline


def frame(turn, spent=0.0):
    return VoiceFrame(Trace(0.0, spent), turn, "Hello.", bytes(FRAME_SIZE))


def one_turn():
    timeline = Timeline(100.0)
    timeline.user_says(Span(101.0, 102.0, "hello"))
    timeline.hears("hello", 102.2)
    timeline.began_turn(1, "hello", called=102.25)
    timeline.delivered(frame(1, spent=0.5), 102.875)
    timeline.delivered(frame(1, spent=9.0), 102.9)
    timeline.played(1, "Hello.", 103.0, 103.01)
    return timeline


def interrupted(timeline):
    timeline.user_says(Span(104.0, 105.0, "stop"))
    timeline.played(1, "Hello.", 104.0625, 104.0725)
    timeline.barged_in(timeline.turns[1], 104.0625)
    return timeline


def test_the_wait_for_an_answer_is_taken_apart_without_a_rest():
    turn = one_turn().turns[1]
    assert turn.response == 1.0
    assert (turn.listening, turn.spent, turn.card, turn.overhead) == (0.25, 0.5, 0.125, 0.125)
    assert turn.listening + turn.spent + turn.card + turn.overhead == turn.response


def test_a_barge_in_is_measured_to_the_end_of_the_last_frame():
    timeline = interrupted(one_turn())
    timeline.flushed(1, 104.064, 7)
    turn = timeline.turns[1]
    assert turn.detection == 0.0625
    assert turn.silenced == pytest.approx(0.01)
    assert (turn.flushed, turn.flushed_periods) == (104.064, 7)
    assert "10.0 ms" in barge_in_lines([turn])[1]
    assert "70 ms of sound flushed" in barge_in_lines([turn])[1]


def test_a_frame_is_stale_from_the_barge_in_on_and_only_if_its_turn_was_ended():
    timeline = interrupted(one_turn())
    assert timeline.stale == 0
    timeline.began_turn(2, "stop", called=105.3)
    timeline.delivered(frame(2), 105.4)
    assert timeline.stale == 0
    timeline.delivered(frame(1), 105.5)
    assert (timeline.stale, timeline.frames) == (1, 4)
    assert stale_line(timeline) == "stale frames  1 of 4"


def test_a_turn_is_current_until_it_is_interrupted_or_has_been_played():
    timeline = one_turn()
    assert timeline.current is timeline.turns[1]
    timeline.finished(1, 103.5)
    assert timeline.current is None
    assert interrupted(one_turn()).current is None
    assert Timeline(0.0).current is None


def test_an_interrupted_turn_is_not_finished_by_the_mark_that_survives():
    timeline = interrupted(one_turn())
    timeline.finished(1, 104.1)
    assert timeline.turns[1].finished is None


def test_a_good_run_has_no_problems_and_each_problem_is_named():
    timeline = one_turn()
    timeline.finished(1, 103.5)
    assert problems(timeline, said=["hello"], barge_ins=0) == []
    assert problems(timeline, said=["hallo"], barge_ins=0) == ["heard ['hello'] where the user said ['hallo']"]
    assert problems(timeline, said=["hello"], barge_ins=2) == ["0 barge-ins where there should be 2"]
    timeline.stale = 3
    assert problems(timeline, said=["hello"], barge_ins=0) == ["3 stale frames got out"]
    assert problems(one_turn(), said=["hello"], barge_ins=0) == ["turn 1 never came to its end"]


def test_a_turn_that_was_never_heard_has_no_figures():
    timeline = Timeline(0.0)
    timeline.user_says(Span(1.0, 2.0, "hello"))
    timeline.began_turn(1, "hello", called=2.25)
    turn = timeline.turns[1]
    assert (turn.response, turn.card, turn.overhead, turn.silenced, turn.detection) == (None,) * 5
    assert "- ms" in answer_lines([turn])[1]


def test_the_worst_figure_stands_beside_its_target():
    turn = interrupted(one_turn()).turns[1]
    assert answer_lines([turn])[-1] == "  the library's own share: 125.0 ms at most; target: below 5 ms, missed"
    assert barge_in_lines([turn])[-1] == "  10.0 ms at most; target: below 20 ms, met"
    assert barge_in_lines([])[-1] == "  - ms at most; target: below 20 ms, not known"
    turn.in_hand = turn.called + turn.spent + 0.00390625
    assert answer_lines([turn])[-1] == "  the library's own share: 3.9 ms at most; target: below 5 ms, met"


def test_what_is_heard_said_and_cut_is_logged_with_the_time_since_the_start(caplog):
    caplog.set_level("INFO", logger="docs.examples.voice_agent")
    timeline = interrupted(one_turn())
    timeline.interrupted(timeline.turns[1], 15, 104.063)
    timeline.flushed(1, 104.064, 7)
    timeline.played(1, "It goes on.", 104.08, 104.09)
    assert [" ".join(line.split()) for line in caplog.messages] == [
        'conversation 1.00 s user says "hello"',
        'conversation 2.20 s agent heard "hello"',
        'conversation 3.00 s agent says "Hello."',
        'conversation 4.00 s user says "stop"',
        "conversation 4.06 s agent is talked over in turn 1",
        "conversation 4.06 s agent cuts turn 1: 15 items dropped",
        "conversation 4.06 s agent flushes 70 ms of sound",
        'conversation 4.08 s agent says "It goes on." (stale)',
    ]


def test_what_the_user_had_to_listen_to_is_what_was_said_after_the_barge_in():
    timeline = interrupted(one_turn())
    assert timeline.talked_on == pytest.approx(0.01)
    timeline.played(1, "It goes on.", 104.5, 104.51)
    timeline.played(1, "It goes on.", 105.5, 105.51)
    assert timeline.talked_on == pytest.approx(0.01 + 1.01)
    assert timeline.turns[1].said == [Span(103.0, 104.0725, "Hello."), Span(104.5, 105.51, "It goes on.")]


@pytest.mark.anyio
async def test_the_report_tells_of_each_stage_and_each_turn(hand):
    async def slow(word):
        await hand.sleep(0.5)
        return word

    pipeline = AsyncTaskPipeline(enable_timing=True, clock=hand.clock).add_stage("slow", slow)
    async with pipeline:
        async with pipeline.turn() as turn:
            await turn.put("delivered")
            await anext(pipeline.generate_output_stream())
        async with pipeline.turn() as turn:
            await turn.put("dropped")
            await pipeline.interrupt()
    report = pipeline.get_report()
    names, slow_stage = stage_lines("downlink", report)
    assert names.split()[:3] == ["downlink", "outcomes", "dropped"]
    assert slow_stage.split()[:3] == ["slow", "1", "1"]
    assert [line.split() for line in turn_lines(report)[1:]] == [
        ["turn", "1", "1", "0", "500.0", "ms", "0.0", "ms"],
        ["turn", "2", "0", "1", "-", "ms", "0.0", "ms", "interrupted"],
    ]


# -- what a stage spends ----------------------------------------------------------------


def test_a_message_carries_what_was_spent_on_its_own_path(hand):
    def slow(word):
        try:
            for cost in (1.0, 2.0):
                hand.now += cost
                yield attrs.evolve(word, text=str(cost))
        finally:
            closed.append(word.text)

    closed, lane = [], []
    stage = in_thread(in_thread(slow, hand.clock, lane), hand.clock, [])
    outcomes = stage(Word(Trace(5.0, 10.0), 1, "word"))
    first = next(outcomes)
    hand.now += 100.0  # the pipeline has no room: not the stage's time
    second = next(outcomes)
    assert (first.trace, second.trace) == (Trace(5.0, 11.0), Trace(5.0, 13.0))
    outcomes.close()
    assert closed == ["word"]
    assert lane == [(0.0, 1.0), (101.0, 103.0)]


@pytest.mark.anyio
async def test_so_does_one_of_an_async_stage_and_closing_it_closes_the_stage(hand):
    async def slow(word):
        try:
            for cost in (1.0, 2.0):
                await hand.sleep(cost)
                yield attrs.evolve(word, text=str(cost))
        finally:
            closed.append(word.text)

    closed, lane = [], []
    outcomes = on_loop(slow, hand.clock, lane)(Word(Trace(5.0, 10.0), 1, "word"))
    assert (await anext(outcomes)).trace == Trace(5.0, 11.0)
    hand.now += 100.0
    assert (await anext(outcomes)).trace == Trace(5.0, 13.0)
    await outcomes.aclose()
    assert closed == ["word"]
    assert lane == [(0.0, 1.0), (101.0, 103.0)]


@pytest.mark.anyio
async def test_what_a_cancelled_call_has_spent_is_in_its_lane(hand):
    async def endless(word):
        await hand.sleep(1.0)
        await anyio.sleep_forever()
        yield word

    lane = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        await anext(on_loop(endless, hand.clock, lane)(Word(Trace(0.0), 1, "word")))
    assert lane == [(0.0, 1.0)]


# -- the page --------------------------------------------------------------------------


def test_bars_that_no_screen_tells_apart_are_one():
    lane = [(10.0, 10.5), (10.502, 10.75), (11.0, 11.25), (10.6, 10.7)]
    assert merged(lane, 10.0) == [(0.0, 0.75), (1.0, 1.25)]


def test_the_page_has_both_conversations_and_says_which_target_was_missed(tmp_path):
    good, bad = interrupted(one_turn()), interrupted(one_turn())
    good.turns[1].in_hand = good.turns[1].called + good.turns[1].spent
    bad.played(1, "</script><b>On and on.", 104.5, 105.5)
    bad.lane("voice").append((102.0, 103.0))
    sound = array("h", [0, 16384] * 8000).tobytes()
    write_page(tmp_path / "page.html", [(each, sound, sound, b"RIFF") for each in (good, bad)])
    page = (tmp_path / "page.html").read_text()
    assert page.count("</script>") == 1
    data = json.loads(re.search(r"^const data = (.*);$", page, re.MULTILINE)[1])
    first, second = data["conversations"]
    assert [said["text"] for said in second["turns"][0]["said"]] == ["Hello.", "</script><b>On and on."]
    assert (first["lanes"], second["lanes"]) == ({}, {"voice": [[2.0, 3.0]]})
    assert first["sound"] == "data:audio/wav;base64,UklGRg=="
    assert (first["seconds"], first["turns"][0]["barged_in"]) == (1.0, 4.0625)
    rows = {row["name"]: row["cells"] for row in data["figures"]}
    assert [cell["missed"] for cell in rows["the library's own share"]] == [False, True]
    assert [cell["missed"] for cell in rows["barge-in -> last agent frame ended"]] == [False, True]
    assert rows["stale speech that the user had to listen to"][1]["value"] == "1.0 s"


# -- the picture ------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 7, 100])
def test_the_envelope_shows_every_peak(length):
    samples = [round(16384 * math.sin(at)) for at in range(length)]
    low, high = envelope(array("h", samples).tobytes(), 10)
    assert len(low) == len(high) <= 10
    assert max(high, default=0) == max(samples, default=0) / 32768
    assert min(low, default=0) == min(samples, default=0) / 32768
