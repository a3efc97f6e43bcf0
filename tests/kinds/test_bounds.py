"""The bound on what is inside is the same for every kind of stage.

The rule: nobody reads, and the formula is the documentation's (``tests/support/bound.py``).
"""

from __future__ import annotations

import pytest

from tests.kinds.kinds import ALL, some
from tests.support.bound import fill, most_inside

pytestmark = pytest.mark.anyio


@some(ALL)
@pytest.mark.parametrize("options", [{}, {"workers": 2}, {"timeout": 1000}, {"max_size": 3, "max_wait": 0}], ids=str)
async def test_an_idle_consumer_has_what_the_formula_says(kind, options):
    expected = most_inside(4, options)
    name = "answers" if "max_size" in options else "outcome"
    async with kind.pipeline(kind.function(name), size=4, **options) as pipeline:
        assert await fill(pipeline, expected) == expected
