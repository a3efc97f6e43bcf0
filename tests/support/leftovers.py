"""What a pipeline could leave behind: tasks of the loop, and threads inside the library.

The rule: idle threads of anyio and trio are theirs, and no leftover.
"""

from __future__ import annotations

import sys
import threading
import traceback
from pathlib import Path
from types import FrameType

import anyio

import async_task_pipeline

PACKAGE = str(Path(async_task_pipeline.__file__).parent)
LOOP_THREAD = str(Path(PACKAGE, "_engine", "_loop_thread.py"))


def tasks() -> set[int]:
    """The tasks of the loop, system tasks included."""
    return {task.id for task in anyio.get_running_tasks()}


def threads_at_work(known: set[int | None] | None = None) -> list[str]:
    """The stacks of other threads than this and the known ones that are inside the library or a stage."""
    here = {threading.get_ident()} | (known or set())
    frames = [frame for ident, frame in sys._current_frames().items() if ident not in here]
    return ["".join(traceback.format_stack(frame)) for frame in frames if _in_package(frame)]


def _in_package(frame: FrameType | None) -> bool:
    inside = False
    while frame is not None:
        if frame.f_code.co_filename == LOOP_THREAD and frame.f_code.co_name != "_enter":
            # It hears of the end of a thread, or ends what has waited for that: trio's threads end when they have
            # been idle for a while, and a thread that ends has another begin beside it, both whenever they like.
            return False
        inside = inside or frame.f_code.co_filename.startswith(PACKAGE)
        frame = frame.f_back
    return inside
