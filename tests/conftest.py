"""What every test shares: the three backends, and the demand that no worker outlives a test.

The rule: nothing else is global. A test that needs more says so in its own file.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

import async_task_pipeline

_PACKAGE = str(Path(async_task_pipeline.__file__).parent)
_PATIENCE = 30.0


@pytest.fixture(
    params=[
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(
            ("asyncio", {"use_uvloop": True}),
            id="asyncio+uvloop",
            marks=pytest.mark.skipif(importlib.util.find_spec("uvloop") is None, reason="uvloop is not installed"),
        ),
        pytest.param(("trio", {}), id="trio"),
    ]
)
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """Run every test marked ``anyio`` on each backend."""
    return request.param


@pytest.fixture(autouse=True)
def no_thread_left_behind() -> Iterator[None]:
    """Fail a test after which a worker thread is still inside the library or a stage.

    Idle threads of anyio and trio are theirs, and may stay. A test that leaves a stage
    function stuck on purpose releases it at its end: the thread gets a moment to leave.
    """
    before = {thread.ident for thread in threading.enumerate()}
    yield
    limit = time.monotonic() + _PATIENCE
    left = _at_work(before)
    while left and time.monotonic() < limit:
        # Polled, because trio's threads do not end with their work: there is nothing to join.
        time.sleep(0.001)
        left = _at_work(before)
    if left:
        stacks = "\n".join("".join(traceback.format_stack(frame)) for frame in left)
        pytest.fail(f"{len(left)} worker thread(s) still at work after the test:\n{stacks}", pytrace=False)


def _at_work(before: set[int | None]) -> list[FrameType]:
    """The frames of threads that came with the test and have the library on their stack."""
    here = threading.get_ident()
    return [
        frame
        for ident, frame in sys._current_frames().items()
        if ident != here and ident not in before and _in_package(frame)
    ]


def _in_package(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith(_PACKAGE):
            return True
        frame = frame.f_back
    return False
