"""G15, what differs: the rows of ``docs/migration.md`` that no other test has.

The rule: each is what a program of 0.1.10 would see, and no more than the page says.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from async_task_pipeline import AsyncTaskPipeline
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.anyio

BUSY = """
import asyncio, threading
from async_task_pipeline import AsyncTaskPipeline

called, release = threading.Event(), threading.Event()

def stage(value):
    called.set()
    release.wait()
    print("the call has ended")

async def main():
    pipeline = AsyncTaskPipeline()
    pipeline.add_stage("stage", stage)
    await pipeline.start()
    await pipeline.process_input_data(1, 0.0)
    while not called.is_set():
        await asyncio.sleep(0)

def after_the_main_thread():
    threading.main_thread().join()
    release.set()

asyncio.run(main())
print("the program is over")
threading.Thread(target=after_the_main_thread, daemon=True).start()
"""


async def test_our_tasks_are_among_those_of_the_loop(anyio_backend_name: str) -> None:
    if anyio_backend_name != "asyncio":
        pytest.skip("trio has no list of all tasks")
    before = asyncio.all_tasks()
    pipeline = AsyncTaskPipeline().add_stage("same", lambda value: value)
    await pipeline.start()
    assert asyncio.all_tasks() - before != set()
    await pipeline.stop()
    assert asyncio.all_tasks() - before == set()


def test_a_busy_stage_keeps_the_process_until_its_call_has_ended() -> None:
    done = subprocess.run([sys.executable, "-c", BUSY], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout.splitlines() == ["the program is over", "the call has ended"]
