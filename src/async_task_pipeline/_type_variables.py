"""The type variables of a pipeline that has a type for what comes out.

The rule: variables that have a default are made here and nowhere else, because
``typing.TypeVar`` knows defaults (PEP 696) from Python 3.13 on and ``typing_extensions``
has them before.
"""

from __future__ import annotations

import sys

if sys.version_info >= (3, 13):
    from typing import TypeVar
else:
    from typing_extensions import TypeVar

T = TypeVar("T")
"""The data that goes into a pipeline."""

U = TypeVar("U")
"""What passes through a pipeline untouched."""

ResultT = TypeVar("ResultT", default=T)
"""The data that comes out of a pipeline: like what goes in, unless said otherwise."""
