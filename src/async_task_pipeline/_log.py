"""The package's logger.

The rule: the library logs through it and never configures it. A
``NullHandler`` keeps Python from printing warnings to stderr in an application that
has set up no logging; nothing else in the process changes on import.
"""

from __future__ import annotations

import logging

logger: logging.Logger = logging.getLogger("async_task_pipeline")
"""The logger of the library; configure it as any other."""

logger.addHandler(logging.NullHandler())
