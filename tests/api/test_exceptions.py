"""What is said of values and exceptions that are anybody's: nothing they do may get in the way.

The rule: a message is short, whatever it is about, and a note that is refused is left out.
"""

from __future__ import annotations

from typing import Any

import pytest

from async_task_pipeline._exceptions import add_note, notes_of, shown, text_of


class Unshowable:
    def __repr__(self) -> str:
        raise KeyboardInterrupt


class RefusingError(Exception):
    def add_note(self, note: str) -> None:
        raise LookupError(note)


@pytest.mark.parametrize(
    "value",
    [
        [[[["x" * 200] * 9] * 9] * 9] * 9,
        "x" * 10**6,
        list(range(10**6)),
        10**4000,
        {"a": ["b" * 10**5] * 100},
        b"y" * 10**6,
    ],
)
def test_what_is_huge_is_cut_short(value: Any) -> None:
    assert len(shown(value)) < 2000


def test_what_cannot_be_shown_is_told_by_its_type() -> None:
    assert shown(Unshowable()) == "<Unshowable, which cannot be shown>"
    assert shown(3) == "3"


class MetaOfAnybodys(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise LookupError


class NamelessError(Exception, metaclass=MetaOfAnybodys):
    @property
    def __notes__(self) -> list[str]:  # type: ignore[override]
        raise LookupError

    def __str__(self) -> str:
        raise SystemExit

    __repr__ = __str__


def test_nor_does_a_class_get_in_the_way() -> None:
    exc = NamelessError()
    assert shown(exc) == "<NamelessError, which cannot be shown>"
    assert text_of(exc) == "which cannot be shown"
    add_note(exc, "note")
    assert notes_of(exc) == []


def test_the_text_of_an_exception_is_one_line_and_short() -> None:
    assert text_of(ValueError(" one\ntwo ")) == "one two"
    text = text_of(ValueError("begin" + "x" * 10**6 + "end"))
    assert len(text) == 1000
    assert (text[:5], text[-3:]) == ("begin", "end")


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
