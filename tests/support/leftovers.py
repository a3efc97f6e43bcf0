"""What a pipeline could leave behind: tasks of the loop, and threads inside the library.

The rule: idle threads of anyio and trio are theirs, and no leftover.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import FrameType

import anyio

import async_task_pipeline

PACKAGE = str(Path(async_task_pipeline.__file__).parent)


def tasks() -> set[int]:
    """The tasks of the loop, system tasks included."""
    return {task.id for task in anyio.get_running_tasks()}


def threads_at_work(known: set[int | None] | None = None) -> list[FrameType]:
    """Where other threads than this and the known ones are inside the library or a stage."""
    here = {threading.get_ident()} | (known or set())
    return [frame for ident, frame in sys._current_frames().items() if ident not in here and _in_package(frame)]


def _in_package(frame: FrameType | None) -> bool:
    names = []
    while frame is not None:
        if frame.f_code.co_filename.startswith(PACKAGE):
            names.append(frame.f_code.co_name)
        frame = frame.f_back
    # A thread at its end is not at work, and trio's end when they have been idle for a while: see _AtEnd in
    # _loop_thread.py, which calls something there.
    return bool(names) and "__del__" not in names
