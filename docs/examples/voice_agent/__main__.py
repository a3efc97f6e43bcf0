"""``python docs/examples/voice_agent``: hear an agent being interrupted.

The rule: run as a directory or with ``-m``, the modules are one package.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    if not __package__:  # run as a directory: Python then knows of no package
        sys.path[0] = str(HERE.parent)
    sys.exit(importlib.import_module(f"{__package__ or HERE.name}.command").main())
