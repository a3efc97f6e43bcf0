"""What is said of values and exceptions that are anybody's: nothing they do may get in the way.

The rule: a message is short, whatever it is about, and a note that is refused is left out.
"""

from __future__ import annotations

from typing import Any

import pytest

from async_task_pipeline._exceptions import add_note, notes_of, shown


class Unshowable:
    def __repr__(self) -> str:
        raise KeyboardInterrupt


class RefusingError(Exception):
    def add_note(self, note: str) -> None:
        raise LookupError(note)


@pytest.mark.parametrize("value", ["x" * 10**6, list(range(10**6)), 10**4000, {"a": ["b" * 10**5] * 100}, b"y" * 10**6])
def test_what_is_huge_is_cut_short(value: Any) -> None:
    assert len(shown(value)) < 2000


def test_what_cannot_be_shown_is_told_by_its_type() -> None:
    assert shown(Unshowable()) == "<Unshowable, which cannot be shown>"
    assert shown(3) == "3"


def test_a_note_is_added_once_and_never_by_force() -> None:
    exc = ValueError()
    add_note(exc, "once")
    add_note(exc, "once")
    assert notes_of(exc) == ["once"]
    add_note(refusing := RefusingError(), "never")
    assert notes_of(refusing) == []
    exc.__notes__ = "no list"
    add_note(exc, "more")
    assert notes_of(exc) == []
