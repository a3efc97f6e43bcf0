"""G9, items: what is said of the item of a failure is short, never in the way, and can be left out.

The rule: an item is anybody's object, and its ``repr`` anybody's code. That each kind of stage says it, and
which item of a generator or batch it is, is in ``tests/kinds/test_shown_items.py``.
"""

from __future__ import annotations

import attrs
import pytest

from async_task_pipeline import AsyncTaskPipeline
from tests.support.waiting import drain

pytestmark = pytest.mark.anyio

STAGE = "raised in stage 'fails' of the pipeline"


def fails(data):
    raise LookupError("no")


async def fails_on_loop(data):
    raise LookupError("no")


STAGES = pytest.mark.parametrize("stage", [fails, fails_on_loop])


class Unshowable:
    def __repr__(self):
        raise KeyboardInterrupt


@attrs.frozen
class Frame:
    sound: bytes


@STAGES
@pytest.mark.parametrize(
    ("item", "shown"),
    [
        (None, "item None"),
        (Unshowable(), "item <Unshowable, which cannot be shown>"),
        (b"\x00" * 10**6, "item b'"),
        (bytearray(10**6), "item bytearray(b'"),
        ("x" * 10**6, "item 'xxx"),
        (Frame(bytes(10**5)), "item Frame(sound=b'"),
        ([[0] * 1000] * 1000, "item [[0, 0, 0"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_it_is_shown_cut_short(stage, item, shown):
    pipeline = AsyncTaskPipeline(return_exceptions=True).add_stage("fails", stage)
    (failure,) = await drain(pipeline, [item])
    (note,) = failure.__notes__
    assert note.startswith(f"{STAGE}, for {shown}")
    assert len(note) < 1200


@STAGES
@pytest.mark.parametrize("on_error", ["return", "drop", "raise"])
async def test_it_is_not_shown_where_nobody_may_see_it(stage, on_error, caplog):
    caplog.set_level("DEBUG", "async_task_pipeline")
    pipeline = AsyncTaskPipeline(on_error=on_error, show_items=False)
    pipeline.add_stage("fails", stage).add_batch_stage("never", list, max_size=1, max_wait=0)
    if on_error == "raise":
        with pytest.raises(LookupError) as caught:
            await drain(pipeline, ["secret"])
        assert caught.value.__notes__ == [STAGE]
    else:
        assert [each.__notes__ for each in await drain(pipeline, ["secret"])] == [[STAGE]][: on_error == "return"]
    assert "secret" not in caplog.text
    assert ("stage 'fails' dropped an item: LookupError: no" in caplog.text) == (on_error == "drop")


async def test_a_batch_is_not_shown_either(caplog):
    pipeline = AsyncTaskPipeline(on_error="return", show_items=False)
    pipeline.add_batch_stage("fails", fails, max_size=2, max_wait=60)
    first, second = await drain(pipeline, ["secret", "secret"])
    assert first is second
    assert first.__notes__ == [STAGE]
    with pytest.raises(TypeError, match="show_items must be a bool, not 'no'"):
        AsyncTaskPipeline(show_items="no")


async def test_one_object_that_is_raised_for_all_items_does_not_grow():
    """It tells of the last one, beside the notes that are not the pipeline's."""
    the_one = LookupError("always the same object")
    the_one.add_note("mine")

    def raises(data):
        raise the_one

    pipeline = AsyncTaskPipeline(return_exceptions=True).add_stage("fails", raises)
    assert await drain(pipeline, range(50)) == [the_one] * 50
    assert the_one.__notes__ == ["mine", f"{STAGE}, for item 49"]
