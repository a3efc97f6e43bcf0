"""Checks of single arguments, for whatever a user may call.

The rule: nothing is guessed. A value of another type is refused, and the message names
the argument, what it must be and what it is. A number is what Python takes for one
(``__index__``, ``__float__``), numpy's as well as its own; what is kept is Python's own.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Collection
from typing import Any

from ._exceptions import shown

MOST_KEPT = sys.maxsize
"""How many entries Python can number, and so a deque keep."""


def whole_number(name: str, value: Any, *, at_least: int, at_most: float = math.inf) -> int:
    """An int argument with bounds."""
    number = plain_number(value)
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"{name} must be an int, not {shown(value)}")
    if number < at_least:
        raise ValueError(f"{name} must be at least {at_least}, not {shown(value)}")
    if number > at_most:
        raise ValueError(f"{name} must be at most {at_most}, not {shown(value)}")
    return number


def flag(name: str, value: Any) -> bool:
    """A bool or what equals one, and nothing that merely counts as one: ``"no"`` would count as true."""
    try:
        return (False, True).index(value) == 1
    except ValueError:  # what many numbers in one are compared to, too
        raise TypeError(f"{name} must be a bool, not {shown(value)}") from None


def one_of(name: str, value: Any, choices: Collection[str]) -> None:
    """An argument that is a word, or one of a few names."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {choices}, not {shown(value)}")


def seconds(name: str, value: Any, *, zero: bool = True) -> float:
    """A finite duration; 0 only if that means something."""
    number = plain_number(value)
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {shown(value)}")
    if not finite(number) or number < 0 or (not zero and number == 0):
        bound = "0 or more" if zero else "more than 0"
        raise ValueError(f"{name} must be a finite number of seconds, {bound}, not {shown(value)}")
    return float(number)


def plain_number(value: Any) -> Any:
    """A number as an int or a float of Python's own; whatever is no number, as it is."""
    if isinstance(value, (int, float)):
        return value
    for convert in (operator.index, float):
        if hasattr(type(value), f"__{convert.__name__}__"):
            try:
                return convert(value)
            except (TypeError, ValueError):  # an array has both, and more than one number
                continue
    return value


def finite(value: float) -> bool:
    """Whether it is a finite number that a float can represent."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
