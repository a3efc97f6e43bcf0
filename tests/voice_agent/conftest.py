"""What the tests of the voice agent share: time that stands still until it is told to move.

The rule: no test here sleeps or hears anything, but those in ``test_run.py``.
"""

from __future__ import annotations

import pytest


class Hand:
    """A clock that only sleeping moves, by exactly the time slept."""

    def __init__(self):
        self.now = 0.0
        self.slept = []

    def clock(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(round(seconds, 9))
        self.now += seconds


@pytest.fixture
def hand():
    """A clock in the hand of the test."""
    return Hand()
