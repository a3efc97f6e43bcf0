"""Checks of single arguments, for whatever a user may call.

The rule: nothing is guessed. A value of another type is refused, and the message names
the argument, what it must be and what it is.
"""

from __future__ import annotations

import math

from ._exceptions import shown


def whole_number(name: str, value: int, *, at_least: int) -> int:
    """An int argument with a lower bound."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {shown(value)}")
    if value < at_least:
        raise ValueError(f"{name} must be at least {at_least}, not {shown(value)}")
    return value


def flag(name: str, value: bool) -> bool:
    """A bool, and nothing that merely counts as one: ``"no"`` would count as true."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be a bool, not {shown(value)}")
    return value


def seconds(name: str, value: float, *, zero: bool = True) -> float:
    """A finite duration; 0 only if that means something."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {shown(value)}")
    if not finite(value) or value < 0 or (not zero and value == 0):
        bound = "0 or more" if zero else "more than 0"
        raise ValueError(f"{name} must be a finite number of seconds, {bound}, not {shown(value)}")
    return float(value)


def finite(value: float) -> bool:
    """Whether it is a finite number that a float can represent."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
