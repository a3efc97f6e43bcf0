"""Every guarantee that the oracle knows, on a few hundred chains and schedules with fixed seeds.

The rule: what ``python tests/model`` plays with any seeds is played here with the same few each time,
on every backend, with threads that take turns as Python has it, and far more often.
"""

from __future__ import annotations

import pytest

from tests.model.case import Case
from tests.support.switching import switching_every

pytestmark = pytest.mark.anyio

ROWS = 3
CASES = 10
"""In a row of cases; there is one row for each backend, interval and number of the row."""


@pytest.fixture(params=[0.005, 1e-5], ids=["5ms", "10us"])
def switch_interval(request):
    """How often threads take turns."""
    with switching_every(request.param):
        yield


@pytest.mark.usefixtures("switch_interval")
@pytest.mark.parametrize("row", range(ROWS))
async def test_the_guarantees_hold_whatever_the_chain_and_the_schedule(row, anyio_backend):
    for seed in range(row * CASES, (row + 1) * CASES):
        case = Case(seed, native=anyio_backend[0] == "asyncio")
        try:
            await case.play()
        except BaseException as exc:
            exc.add_note(repr(case))
            raise
