"""How the items of one stage become outcomes: a worker and its session.

The rule: a session is one worker's work for one turn. It reads its inbox, calls the
stage function for one item at a time, and puts what comes of it into its outbox; it
decides nothing. What is stale, what an exception means and where results go is the
runner's business, on the loop. An interrupt abandons a session, boxes and all, so
nothing the worker still puts into them can be seen by anyone.

The outbox is bounded like a link: a worker starts a call, or resumes a generator, only
when there is room for what comes of it.
"""

from __future__ import annotations

from collections import deque
from types import CoroutineType
from typing import Any, Protocol

from anyio import CancelScope

from ._exceptions import StageProtocolError, raisable
from ._items import EXTRA, FILTERED, Control, Kind, Timed
from ._links import Link
from ._parking import Need
from ._stages import PipelineStage, StageCounts
from ._timing import Clock


class Session(Protocol):
    """One worker's work for one turn."""

    counts: StageCounts
    inbox: deque[Any]
    outbox: deque[Any]
    called: Timed | None
    stale: bool
    generating: bool
    had_outcome: bool
    left_behind: bool
    overtaken: bool
    resets: bool
    scope: CancelScope | None

    def unpark(self, need: Need | None = None) -> None:
        """Have a worker that waits for this look again; ``None`` means for anything.

        Is called on the loop and must not block.
        """

    async def work(self) -> None:
        """Serve the inbox until the end of input, staleness or failure.

        Must put a failure into the outbox if the stage's ``on_error`` keeps the pipeline
        going, and raise everything else, after setting ``had_outcome``. Must not return
        while a call is running.
        """


def returned_awaitable(stage: PipelineStage, result: Any) -> StageProtocolError:
    """The error for a plain function that returned something only the loop can run."""
    if isinstance(result, CoroutineType):
        result.close()  # or Python warns that it was never awaited
    return StageProtocolError(
        f"stage {stage.name!r}: process_fn {stage.process_fn!r} returned a {type(result).__name__}; "
        "declare it 'async def' so that it runs on the event loop"
    )


class Outcomes:
    """The part of a session that thread and task workers share: putting outcomes."""

    def __init__(self, stage: PipelineStage, link: Link, limit: int, clock: Clock | None) -> None:
        self.stage = stage
        self.link = link
        self.limit = limit
        self.clock = clock
        self.counts = stage.counts
        self.inbox = link.buffer
        self.outbox: deque[Any] = deque()
        # The item of the last call, with timing on; its marks tell how far the call has come.
        self.called: Timed | None = None
        self.stale = False
        # True from before a generator's first value until it is exhausted or closed:
        # such a call can be running although its item has long had an outcome.
        self.generating = False
        # Whether the call that ended the session by raising had an outcome before.
        self.had_outcome = False
        # Whether the worker was left inside a call that could not be waited for.
        self.left_behind = False
        # Whether a later session is hosted beside this one, because the stage is reentrant.
        self.overtaken = False
        # Whether the stage's ``on_interrupt`` is due before the first call.
        self.resets = False
        # Set by whoever hosts the session, once it is entered.
        self.scope: CancelScope | None = None

    def spent(self, start: float, end: float, *, useful: bool) -> None:
        """Book the seconds of one call or resumption."""
        self.counts.seconds += end - start
        if self.stale or not useful:
            self.counts.unproductive_seconds += end - start

    def returned(self, value: Any, entry: Any, start: float, end: float) -> None:
        """Put what a plain call returned into the outbox; ``None`` means filtered."""
        if self.clock is None:
            self.outbox.append(FILTERED if value is None else value)
            return
        self.spent(start, end, useful=value is not None)
        entry.marks += (start, end)
        if value is None:
            self.outbox.append(FILTERED)
        else:
            entry.data = value
            self.outbox.append(entry)

    def yielded(self, value: Any, entry: Any, start: float, end: float, *, first: bool) -> None:
        """Put one outcome of a generator into the outbox; ``None`` means filtered."""
        if self.clock is not None:
            self.spent(start, end, useful=value is not None)
        if not first:
            self.outbox.append(EXTRA)
        if value is None:
            self.outbox.append(FILTERED)
        elif self.clock is None:
            self.outbox.append(value)
        else:
            # A copy: siblings of one fan-out must not share what they measured.
            self.outbox.append(Timed(value, entry.created_at, [*entry.marks, start, end], entry.turn))

    def failed(self, exc: BaseException, start: float, end: float, *, first: bool = True) -> None:
        """Put the failure of a call into the outbox, or raise it if it ends the pipeline.

        Raised, it leaves the worker at once, so that nothing more is called and a full
        outbox does not keep it from being heard. So does the failure of a stale call:
        its outbox is read by nobody.
        """
        if self.called is not None:
            self.spent(start, end, useful=False)
            self.called.marks += (start, end)
        if not isinstance(exc, Exception):
            raise exc
        if self.stale or self.stage.on_error == "raise":
            raise raisable(exc)
        if not first:
            self.outbox.append(EXTRA)
        self.outbox.append(Control(Kind.FAILED, exc))


def no_clock() -> float:
    """Stand in for the clock while timing is off."""
    return 0.0
