"""The type variables of a pipeline that has a type for what comes out, and of a chain.

The rule: variables that have a default are made here and nowhere else, because
``typing.TypeVar`` knows defaults (PEP 696) from Python 3.13 on and ``typing_extensions``
has them before.
"""

from __future__ import annotations

import sys
from typing import Any, Final, Never, Protocol

if sys.version_info >= (3, 13):
    from typing import TypeVar
else:  # pragma: no cover  branches are counted on the newest Python alone
    from typing_extensions import TypeVar

T = TypeVar("T", default=Any)
"""The data that goes into a pipeline: anything, unless an annotation names it."""

U = TypeVar("U", default=Any)
"""What passes through a pipeline untouched; the same."""

ResultT = TypeVar("ResultT", default=T)
"""The data that comes out of a pipeline: like what goes in, unless a chain knows better."""

SentinelT = TypeVar("SentinelT", default=Never)
"""What passes through a pipeline made from a chain: nothing, unless an annotation names it."""

InT = TypeVar("InT")
"""What the first stage of a chain takes."""

OutT = TypeVar("OutT", default=InT)
"""What the last stage of a chain gives: with no stage yet, what goes in."""

NewT = TypeVar("NewT", default=Never)
"""What the next stage of a chain gives; nothing, if it filters every item."""

# Inferring X from "X | None", mypy joins the members of a union: from "int | str" it makes
# "object". It keeps a union that it meets whole; so it is offered a variable of its own for
# results that are never None. Only mypy takes a constant of this name for true; for others
# the variable stands for nothing.
MYPY: Final = False
if MYPY:

    class _Some(Protocol):
        """Any object but ``None``, which for mypy has no methods."""

        def __sizeof__(self) -> int: ...

    SomeT = TypeVar("SomeT", bound=_Some)
else:
    SomeT = TypeVar("SomeT", bound=Never)

StateT = TypeVar("StateT")
"""What a stage's ``setup`` makes for each of its workers."""

ItemT_co = TypeVar("ItemT_co", covariant=True)
"""What is in the list that a batch stage returns."""
