"""G3, the formula of the bound.

The rule: the formula is the documentation's own. While nobody reads, what is inside comes to what it says
and never to more, whatever the stages and their options, and again after an interrupt.
"""

from __future__ import annotations

import threading

import pytest

from async_task_pipeline import AsyncTaskPipeline
from tests.support import bound
from tests.support.bound import fill, most_inside, most_yielded, stated, valued
from tests.support.functions import same as thread
from tests.support.functions import same_on_loop as task
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


CHAINS = {
    "one thread": [(thread, {})],
    "two of both": [(thread, {}), (task, {})],
    "five": [(task, {}), (thread, {}), (task, {}), (thread, {}), (task, {})],
    "workers": [(thread, {"workers": 3}), (task, {"workers": 2})],
    "as ready": [(task, {"workers": 2, "ordered": False}), (thread, {"workers": 4, "ordered": False})],
    "timeout": [(thread, {"timeout": 1000}), (task, {"timeout": 1000, "workers": 2})],
    "batches": [(thread, {"max_size": 4, "max_wait": 0}), (thread, {})],
    "batches of several": [(task, {"max_size": 5, "max_wait": 0, "workers": 2, "timeout": 1000})],
    "batches as ready": [(thread, {"max_size": 3, "max_wait": 0, "workers": 2, "ordered": False})],
    "protected": [(thread, {"interruptible": False}), (task, {"interruptible": False, "workers": 2})],
    "reentrant": [(thread, {"reentrant": True, "workers": 2})],
}


def chain(stages, *args, **options):
    pipeline = AsyncTaskPipeline(*args, **options)
    for number, (function, how) in enumerate(stages):
        add = pipeline.add_batch_stage if "max_size" in how else pipeline.add_stage
        add(str(number), function, **how)
    return pipeline


@pytest.mark.parametrize("size", [1, 3, 20])
@pytest.mark.parametrize("name", CHAINS)
async def test_an_idle_consumer_has_what_the_formula_says(name, size):
    expected = most_inside(size, *(how for _, how in CHAINS[name]))
    async with chain(CHAINS[name], size) as pipeline:
        assert await fill(pipeline, expected) == expected
        await pipeline.interrupt()
        assert await fill(pipeline, expected) == expected
        assert [link.peak for link in pipeline.queues] == [size] * len(pipeline.queues)


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
@pytest.mark.parametrize("name", ["two of both", "batches"])
async def test_what_is_lost_makes_no_room_for_more(name, overflow):
    expected = most_inside(3, *(how for _, how in CHAINS[name]))
    async with chain(CHAINS[name], 3, overflow=overflow) as pipeline:
        assert await fill(pipeline, expected) == expected
        assert pipeline.statistics().overflowed > 0


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("kind", ["thread", "task"])
async def test_generators_have_yielded_what_the_formula_says(kind, workers):
    size, yielded, lock = 4, 0, threading.Lock()

    def values(_):
        nonlocal yielded
        while True:
            with lock:
                yielded += 1
            yield yielded

    async def values_on_loop(data):
        for value in values(data):
            yield value

    stage = values if kind == "thread" else values_on_loop
    expected = size + most_yielded(size, workers)  # in the output, and not passed on
    async with AsyncTaskPipeline(size).add_stage("values", stage, workers=workers) as pipeline:
        most = most_inside(size, {"workers": workers})
        # The first has an outcome in the output, and is an item there and no more in the window.
        assert await fill(pipeline, most - 1) == most - 1
        await until(lambda: yielded >= expected)
        assert await fill(pipeline, most - 1) == most - 1
        assert yielded == expected


@pytest.mark.parametrize("page", ["docs/guarantees.md", "docs/design.md"])
def test_all_pages_state_the_same(page):
    names = {"max_queue_size": 7, "stages": 3, "workers": 5, "max_size": 11}
    formulas = (bound.LINKS, bound.WINDOW, bound.BATCH_WINDOW, bound.VALUES)
    assert [valued(each, **names) for each in stated(page)] == [valued(each, **names) for each in formulas]


def test_the_readme_states_a_part_of_it():
    text = (bound.ROOT / "README.md").read_text("utf-8")
    assert f"`{bound.LINKS}`" in text
    assert f"`{bound.WINDOW}`" in text
