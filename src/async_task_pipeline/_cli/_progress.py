"""The progress bar.

The rule: it only looks. The loop takes a snapshot of the counters ten times a second,
and rich's own thread draws it, so that a slow terminal does not slow the pipeline. It
goes to stderr; rich is an extra, and without it there is no bar and nothing else
missing.
"""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from anyio import sleep

from .._pipeline import AsyncTaskPipeline
from .._statistics import PipelineStatistics
from ._input import Source

if TYPE_CHECKING:
    from rich.console import RenderableType

FRAMES_PER_SECOND = 10
RATE_SECONDS = 3.0
"""Over how long the rate is taken: short enough to show a change, long enough to read."""


class Display:
    """A live display of one pipeline on stderr; a context manager.

    Raises:
        ImportError: If rich is not installed.
    """

    def __init__(self, source: Source) -> None:
        from rich.console import Console  # noqa: PLC0415  an extra
        from rich.live import Live  # noqa: PLC0415
        from rich.spinner import Spinner  # noqa: PLC0415

        self._source = source
        self._console = Console(stderr=True)
        self._spinner = Spinner("dots")
        self._begun = time.monotonic()
        self._seen: deque[tuple[float, int]] = deque([(self._begun, 0)])
        self._now: PipelineStatistics | None = None
        self._capacity = 0
        self._verdict: str | None = None
        # Last: it draws at once.
        self._live = Live(console=self._console, get_renderable=self._draw, refresh_per_second=FRAMES_PER_SECOND)

    def __enter__(self) -> Self:
        """Show it."""
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """Leave the last state on the screen."""
        self.stop()

    def stop(self) -> None:
        """Give the terminal back. Idempotent."""
        if self._live.is_started:
            self._live.stop()
            if not self._console.is_terminal:
                self._console.line()  # whatever is said next begins its own

    def out(self, lines: bytes) -> None:
        """Print lines above the display, on the terminal that it is on."""
        self._console.out(lines.decode(errors="replace").removesuffix("\n"), highlight=False)

    async def watch(self, pipeline: AsyncTaskPipeline[Any, Any]) -> None:
        """Look at the pipeline until cancelled."""
        while True:
            self.look(pipeline)
            await sleep(1 / FRAMES_PER_SECOND)

    def look(self, pipeline: AsyncTaskPipeline[Any, Any]) -> None:
        """Take the counters as they are now."""
        now = time.monotonic()
        self._capacity = pipeline.max_queue_size
        self._now = pipeline.statistics()
        self._seen.append((now, self._now.delivered))
        while len(self._seen) > 2 and now - self._seen[1][0] >= RATE_SECONDS:
            self._seen.popleft()

    def end(self, pipeline: AsyncTaskPipeline[Any, Any], *, done: bool) -> None:
        """Take the counters for the last time, and say how it ended."""
        self._verdict = "done" if done else "failed"
        self.look(pipeline)

    def _rate(self) -> float:
        (begin, before), (end, after) = self._seen[0], self._seen[-1]
        return (after - before) / (end - begin) if end > begin else 0.0

    def _share(self) -> float | None:
        """How much of the input is done with: what was read, less what is still inside."""
        if self._source.size is None or self._now is None:
            return None
        now = self._now
        left = now.inside / max(1, now.accepted + now.fanned_out)
        return min(1.0, self._source.consumed / self._source.size) * (1.0 - min(1.0, left))

    def _draw(self) -> RenderableType:
        from rich.console import Group  # noqa: PLC0415
        from rich.progress_bar import ProgressBar  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        now, share = self._now, self._share()
        cells: list[RenderableType] = [self._spinner if self._verdict is None else Text(self._verdict, "bold")]
        if share is not None:
            cells += [ProgressBar(total=1.0, completed=share, width=24), Text(f"{share:4.0%}")]
        if now is not None:
            for count, what in ((now.accepted, "in"), (now.delivered, "out")):
                cells.append(Text.assemble((f"{count:,}", "bold"), f" {what}"))
            cells.append(Text(f"{self._rate():,.0f}/s"))
        seconds = int(time.monotonic() - self._begun)
        cells.append(Text(f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"))
        head = Table.grid(padding=(0, 2))
        head.add_row(*cells)
        if now is None:
            return head
        # It says itself that it wraps: lines printed above it do not, and rich would
        # draw both alike.
        queues = Text(f"   queued, of {self._capacity} each:", style="dim", no_wrap=False, overflow="fold")
        depths = [(name, flow.queue_depth) for name, flow in now.stages.items()] + [("output", now.output_depth)]
        for name, depth in depths:
            queues.append(f"  {name} ").append(f"{depth}", "yellow" if depth >= self._capacity else "cyan")
        return Group(head, queues)


class AboveDisplay:
    """The output when it is the terminal that shows the display: lines scroll above it."""

    def __init__(self, display: Display) -> None:
        self._display = display

    def open(self) -> None:
        """Do nothing."""

    async def write(self, lines: bytes) -> None:
        """Write whole lines."""
        self._display.out(lines)

    def commit(self) -> None:
        """Do nothing."""

    def discard(self) -> None:
        """Do nothing."""
