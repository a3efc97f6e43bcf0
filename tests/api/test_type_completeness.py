"""The baseline of type completeness can only shrink."""

from __future__ import annotations

from tests.check_type_completeness import complaints


def test_a_new_incomplete_name_is_a_complaint():
    assert complaints({"a.x": ["no return type"]}, []) == ["a.x is not fully typed: no return type"]


def test_a_name_that_is_typed_by_now_must_leave_the_baseline():
    assert complaints({}, ["a.x"]) == ["a.x is fully typed: remove it from the baseline"]


def test_what_the_baseline_names_is_let_through():
    assert complaints({"a.x": []}, ["a.x"]) == []
