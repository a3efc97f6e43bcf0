"""How the items of one stage become outcomes: a worker and its session.

The rule: a session is one worker's work for one turn. It takes an item, calls the stage
function, and puts what comes of it into its outbox; it decides nothing. What is stale,
what an exception means and where results go is the runner's business, on the loop. An
interrupt abandons a session, outbox and all, so nothing the worker still puts there can
be seen by anyone.

The outbox is bounded like a link: a worker starts a call, or resumes a generator, only
when there is room for what comes of it.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import attrs
from anyio import CancelScope, Event

from .._exceptions import StageProtocolError, not_awaited, raisable, unawaited
from .._items import ENDED, EXTRA, FILTERED, Batch, Control, Kind, Timed
from .._links import Link
from .._parking import Need
from .._posting import Waker
from .._stage import PipelineStage
from .._timing import Clock

Take: TypeAlias = Callable[[], Any]
"""Takes the next entry, or raises :py:class:`IndexError` if there is none to be had now."""


@attrs.frozen
class Tools:
    """What the workers of one run share.

    Attributes:
        limit: The bound of each outbox.
        clock: For timing, or ``None`` while that is off.
        waker: Has the loop look at all stages, from any thread.
        notify: Has it look at once, on the loop.
    """

    limit: int
    clock: Clock | None
    waker: Waker
    notify: Callable[[], object]


def not_a_list(stage: PipelineStage, batch: Batch, returned: str) -> StageProtocolError:
    """The error for a batch stage's function that did not answer for each item."""
    return StageProtocolError(
        f"stage {stage.name!r}: process_fn {stage.process_fn!r} was called with a list of "
        f"{len(batch)} item{'s' if len(batch) > 1 else ''}, must return a list of as many results, and returned {returned}"
    )


class Session(ABC):
    """One worker's work for one turn; each kind of worker has its own."""

    def __init__(self, stage: PipelineStage, link: Link, tools: Tools, worker: object) -> None:
        self.stage = stage
        self.link = link
        self.limit = tools.limit
        self.clock = tools.clock
        self.spending = stage.counts.spending_of(worker)
        self.inbox = link.buffer
        self.outbox: deque[Any] = deque()
        # Where entries come from: straight from the link, unless a crew deals them out.
        self.take: Take = self.inbox.popleft
        self.available: Callable[[], object] = self.inbox.__len__
        # Whether a crew sorts the outcomes, and needs to know where those of a call end.
        self.sorted = False
        # Whether the end of input has been taken by somebody else.
        self.over = False
        # The items of the last call, with timing on; their marks tell how far it has come.
        self.called: Timed | Batch | None = None
        # How many items the last call was for, and whether it is running; kept by a crew.
        self.size = 1
        self.calling = False
        # When the running call or resumption began, if the stage has a timeout.
        self.began: float | None = None
        self.on_begin: Callable[[], object] = lambda: None
        # Called with the need once it can be unparked for that, before the last look: whoever
        # deals out entries then need not ask every worker whether it waits.
        self.on_park: Callable[[Need], object] = lambda _: None
        self.stale = False
        # True from before a generator's first value until it is exhausted or closed:
        # such a call can be running although its item has long had an outcome.
        self.generating = False
        # Whether the running call has had an outcome, and whether the one that ended the
        # session by raising had.
        self.yielded_any = False
        self.had_outcome = False
        # Whether the worker was left inside a call that could not be waited for.
        self.left_behind = False
        # Whether a later session is hosted beside this one, because the stage is reentrant.
        self.overtaken = False
        # Whether the last call was written off when its time was up.
        self.late = False
        # Whether the stage's ``on_interrupt`` is due before the first call.
        self.resets = False
        # Set by whoever hosts the session, once it is entered.
        self.scope: CancelScope | None = None

    @abstractmethod
    def unpark(self, need: Need | None = None) -> bool:
        """Have a worker that waits for this look again; ``None`` means for anything.

        Is called on the loop and must not block. Tells whether it did wait.
        """

    @abstractmethod
    async def work(self) -> None:
        """Serve the inbox until the end of input, staleness or failure.

        Must put a failure into the outbox if the stage's ``on_error`` keeps the pipeline
        going, and raise everything else, after setting ``had_outcome``. Must not return
        while a call is running.
        """

    def abandon(self) -> None:
        """Be stale; end the running call if there is a way to, other than cancelling it."""
        self.stale = True
        self.unpark()

    def begin(self) -> None:
        """Note that the stage's function is entered, for its timeout."""
        if self.stage.timeout is not None:
            self.began = time.monotonic()
            self.on_begin()

    def spent(self, start: float, end: float, *, useful: bool) -> None:
        """Book the seconds of one call or resumption."""
        self.spending.seconds += end - start
        if self.stale or not useful:
            self.spending.unproductive += end - start

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
        if value is None:
            value = FILTERED
        elif self.clock is not None:
            # A copy: siblings of one fan-out must not share what they measured.
            value = Timed(value, entry.created_at, [*entry.marks, start, end], entry.turn)
        # In one step: the call may be written off between any two.
        self.outbox.extend((value,) if first else (EXTRA, value))
        self.yielded_any = True

    def data_of(self, entry: Any) -> Any:
        """What the stage's function is called with for an item, or for a batch."""
        if type(entry) is Batch:
            return list(entry) if self.clock is None else [each.data for each in entry]
        return entry if self.clock is None else entry.data

    def returned_batch(self, results: Any, batch: Batch, start: float, end: float) -> None:
        """Put one result for each item of a batch into the outbox."""
        if type(results) is not list or len(results) != len(batch):
            amount = f"a list of {len(results)}" if type(results) is list else repr(results)
            unawaited(results)
            self.failed(not_a_list(self.stage, batch, amount), start, end)
            return
        if self.clock is None:
            self.outbox.extend([FILTERED if value is None else value for value in results])
            return
        self.spent(start, end, useful=True)
        # Each item was computed as long as its batch, but the seconds were spent once.
        self.spending.unproductive += (
            0.0 if self.stale else (end - start) * sum(each is None for each in results) / len(results)
        )
        outcomes: list[Any] = []
        for value, entry in zip(results, batch, strict=True):
            entry.marks += (start, end)
            if value is None:
                outcomes.append(FILTERED)
            else:
                entry.data = value
                outcomes.append(entry)
        self.outbox.extend(outcomes)

    def not_awaited(self, kind: str, *, on_loop: bool = False) -> StageProtocolError:
        """The error for a call that returned what somebody has still to run."""
        return not_awaited(self.stage.process_fn, kind, f"stage {self.stage.name!r}: ", on_loop=on_loop)

    def failed(self, exc: BaseException, start: float, end: float, *, first: bool = True) -> None:
        """Put the failure of a call into the outbox, or raise it if it ends the pipeline.

        Raised, it leaves the worker at once, so that nothing more is called and a full
        outbox does not keep it from being heard. So does the failure of a stale call:
        its outbox is read by nobody.
        """
        if self.called is not None:
            self.spent(start, end, useful=False)
            entries: Sequence[Timed] = self.called if type(self.called) is Batch else (self.called,)
            for entry in entries:
                entry.marks += (start, end)
        if not isinstance(exc, Exception):
            raise exc
        if self.stale or self.stage.on_error == "raise":
            raise raisable(exc)
        failures = [Control(Kind.FAILED, exc) for _ in range(self.size)]
        self.outbox.extend(failures if first else [EXTRA, *failures])

    def ended(self) -> None:
        """Note that the running call has had its last outcome."""
        self.calling = False
        if self.sorted:
            self.outbox.append(ENDED)
        # After the end is there to be seen: until then the call may be written off.
        self.yielded_any = False


class Worker(Protocol):
    """What one worker keeps over all its turns: a state, a process, nothing.

    Attributes:
        ready: Set when calls can be made, or never will be.
        closing: Whether no session follows the present one.
    """

    ready: Event
    closing: bool

    def session(self) -> Session:
        """A new session of this worker. Must not block."""
        ...

    async def __aenter__(self) -> object:
        """Come to life, in the task that will host the sessions."""
        ...

    async def __aexit__(self, *exc_info: object) -> bool | None:
        """Leave nothing behind, in the same task."""
        ...


def no_clock() -> float:
    """Stand in for the clock while timing is off."""
    return 0.0
