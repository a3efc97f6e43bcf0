"""G9: A failure says of which stage and item it is, wherever the call was made.

The rule: the note on the exception shows what the call was made with, cut short: the item, or of a batch
its items; for a generator the item that it was called with. That of any other call is noted in
``test_outcomes``, and of an overdue one in ``test_timeouts``.
"""

from __future__ import annotations

from functools import partial

import pytest

from tests.support.waiting import drain

pytestmark = pytest.mark.anyio

STAGE = "raised in stage 'stage' of the pipeline"


def notes(results) -> list[str]:
    return [each.__notes__[-1] for each in results if isinstance(each, BaseException)]


async def test_the_item_of_a_generator(kind):
    pipeline = kind.pipeline(kind.function("each_in"), on_error="return", show_items=True)
    assert notes(await drain(pipeline, [[1], [2, "fails", 3]])) == [f"{STAGE}, for item [2, 'fails', 3]"]


async def test_the_items_of_a_batch_and_of_each_its_own_in_the_log(kind, gate, caplog):
    function = partial(kind.function("batch"), gate.address)
    options = {"max_size": 3, "max_wait": 60.0, "show_items": True}
    pipeline = kind.pipeline(function, on_error="return", **options)
    assert notes(await drain(pipeline, ["fails", 1, 2, 3])) == [f"{STAGE}, for a batch of 3 items: ['fails', 1, 2]"] * 3
    assert await drain(kind.pipeline(function, on_error="drop", **options), ["fails", 1, 2]) == []
    assert [each.getMessage() for each in caplog.records if each.levelname == "WARNING"] == [
        f"stage 'stage' dropped item {item}: MineError: ['fails', 1, 2]" for item in ("'fails'", 1, 2)
    ]
