"""The pipeline of the README's first command.

The rule: it runs on a real file of the repository on every backend, and what it says of
the file is true.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from async_task_pipeline._cli import main

ROOT = Path(__file__).parents[2]
NOVELTY = f"{ROOT / 'docs' / 'examples' / 'novelty.py'}:pipeline"


@pytest.fixture
def judged(place, loop):
    """Run the example over a file; return its fields, a list for each line."""

    def judge(path):
        assert main(["run", NOVELTY, str(path), "--output", "out", *loop]) == 0
        return [line.split("\t", 3) for line in (place / "out").read_text(encoding="utf-8").splitlines()]

    return judge


def test_it_judges_every_line_that_is_not_empty(judged):
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    assert [(int(number), line) for _, number, _, line in judged(ROOT / "LICENSE")] == lines


def test_a_line_that_was_there_before_costs_next_to_nothing(judged, place):
    first = (ROOT / "LICENSE").read_text(encoding="utf-8")
    (place / "twice").write_text(first + first, encoding="utf-8")
    costs = [float(cost) for cost, *_ in judged(place / "twice")]
    half = len(costs) // 2
    assert sum(costs[half:]) < sum(costs[:half]) / 3


def test_the_digest_is_that_of_the_text_up_to_the_line(judged, place):
    (place / "text").write_text(" one\n\ntwo\n", encoding="utf-8")
    digests = [digest for _, _, digest, _ in judged(place / "text")]
    assert digests == [hashlib.sha256(text).hexdigest()[:12] for text in (b"one", b"one\ntwo")]
