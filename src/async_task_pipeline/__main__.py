"""``python -m async_task_pipeline`` is the command ``async-task-pipeline``."""

from __future__ import annotations

import sys

from ._cli import main

if __name__ == "__main__":
    sys.exit(main())
