"""Saying that nobody reads the output: the commonest reason for a pipeline to stand still.

The rule: nothing is looked at unless a producer waits for room, and then once in ``warn_after`` seconds. A
pipeline that is idle, or that flows, sets no timer. It is said once in a run.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from .._log import logger
from ._output import Output
from ._wakeup import Timer


class UnreadOutput:
    """Watches, while a producer waits for room, whether the output is read.

    Args:
        warn_after: Seconds without a read.
        output: What is to be read.
        waits: Whether a producer waits for room.

    Attributes:
        timer: Set while it watches; somebody has to serve it.
    """

    def __init__(self, warn_after: float, output: Output, waits: Callable[[], bool]) -> None:
        self.timer = Timer(self._look)
        self._warn_after = warn_after
        self._output = output
        self._waits = waits
        self._taken: int | None = None  # how much had been read when it began to watch
        self._said = False

    def watch(self) -> None:
        """Begin to watch, unless it does already. On the loop."""
        if self._taken is None and not self._said:
            self._taken = self._output.link.taken
            self.timer.set(time.monotonic() + self._warn_after)

    def _look(self) -> None:
        link, taken, self._taken = self._output.link, self._taken, None
        if not self._waits():
            return
        if link.taken != taken or link.room > 0:
            self.watch()  # it was read, or is not what everything waits for
            return
        self._said = True
        logger.warning(
            "nothing has read the output for %g seconds, and everything behind it waits, a producer too: read it while "
            "you feed, in another task, or let 'async with pipeline.process(source) as results:' or 'await "
            "pipeline.collect(source)' do both",
            self._warn_after,
        )
