"""One stage running: where results, failures, interrupts and cancellation meet.

The rule: everything here runs on the loop's thread and, ``host`` apart, without an
await, so each method is one atomic step to everybody else. The counters are changed
in the same step as the entries they count, which is why they add up at any moment.

An item the stage has accepted is in its link, with its worker, or in the session's
outbox. What the worker holds is known by subtraction and never asked for.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

from anyio import CancelScope, current_effective_deadline, get_cancelled_exc_class

from ._exceptions import raisable
from ._items import EXTRA, FILTERED, TRAVELLING, Control, Kind, divided
from ._links import ENTRIES_PER_STEP, NEVER, Link, drain
from ._log import logger
from ._native import cancelled_natively
from ._parking import Need
from ._sessions import Session
from ._stages import PipelineStage
from ._statistics import DroppedItems, StageFlow
from ._timing import Clock

NewSession = Callable[[PipelineStage, Link], Session]


class Downstream(Protocol):
    """Whatever a stage's results go to: the next stage or the output."""

    def accept(self, items: int, controls: Iterable[Control] = ()) -> None:
        """Take responsibility for entries just put into the link between."""


class StageRunner:
    """Moves one stage's results on, and hosts its worker turn after turn."""

    def __init__(
        self,
        stage: PipelineStage,
        link: Link,
        output: Link,
        downstream: Downstream,
        *,
        new_session: NewSession,
        clock: Clock | None,
        fail: Callable[[BaseException], None],
        wake: Callable[[], None],
    ) -> None:
        self.stage = stage
        self.link = link
        self.output = output
        # Sentinels and the end of input, from acceptance to hand-over: the worker may
        # have one in hand, and an interrupt must find it all the same.
        self.controls: deque[Control] = deque()
        self.session = new_session(stage, link)
        self._new_session = new_session
        self._downstream = downstream
        self._clock = clock
        self._fail = fail
        self._wake = wake
        self._hosted: Session | None = None
        self._stuck: Session | None = None
        self._closed = False
        link.wake_reader = partial(self.session.unpark, Need.ITEM)

    # -- entries coming in and going out ------------------------------------------------

    def accept(self, items: int, controls: Iterable[Control] = ()) -> None:
        """Take responsibility for entries just put into the link."""
        counts = self.stage.counts
        counts.accepted += items
        counts.inside += items
        self.controls.extend(controls)
        self.link.appended()

    def pump(self) -> None:
        """Settle what the worker has put out and pass on what there is room for."""
        session, output = self.session, self.output
        if session.outbox:
            self._move(session.outbox)
            session.unpark(Need.ROOM)
        if not session.outbox:
            output.notify_at = NEVER
        elif output.room > 0:
            self._wake()  # the rest in another step
        else:
            # Hear of room when the link is half empty: at one entry at a time a fast
            # chain would wake the loop for every item. Looked at once more after asking,
            # so that room made in between is seen.
            output.notify_at = output.maxsize // 2
            if len(output.buffer) <= output.notify_at:
                self._wake()

    def _move(self, outbox: deque[Any]) -> None:
        room = min(self.output.room, ENTRIES_PER_STEP)
        batch: list[Any] = []
        controls: list[Control] = []
        while outbox and (room > 0 or not _takes_room(outbox[0])):
            entry = outbox.popleft()
            if type(entry) is Control:
                if entry.kind not in TRAVELLING:
                    returned = self._settle(entry)
                    if returned is None:
                        continue
                    entry = returned
                controls.append(entry)
            batch.append(entry)
            room -= 1
        if batch:
            self._hand_over(batch, controls)

    def _hand_over(self, batch: list[Any], controls: list[Control]) -> None:
        if self._clock is not None:
            # One reading for the batch: it is accepted in one step.
            now = self._clock()
            for entry in batch:
                if type(entry) is not Control:
                    entry.marks.append(now)
        items = len(batch) - len(controls)
        counts = self.stage.counts
        counts.delivered += items
        counts.inside -= items
        lasting = [each for each in controls if each.kind is not Kind.RETURNED] if controls else controls
        for _ in lasting:
            self.controls.popleft()
        self.output.buffer.extend(batch)
        self._downstream.accept(items, lasting)

    def _settle(self, word: Control) -> Control | None:
        """Book a worker's word; return what takes the item's place in the output."""
        counts = self.stage.counts
        if word is FILTERED:
            counts.filtered += 1
            counts.inside -= 1
        elif word is EXTRA:
            counts.fanned_out += 1
            counts.inside += 1
        else:
            counts.failed += 1
            counts.inside -= 1
            self._note(word.value)
            if self.stage.on_error == "return":
                return Control(Kind.RETURNED, word.value)
            logger.warning("stage %r dropped an item: its call failed", self.stage.name, exc_info=word.value)
        return None

    def _note(self, exc: BaseException) -> None:
        note = f"raised in stage {self.stage.name!r} of the pipeline"
        if note not in getattr(exc, "__notes__", ()):  # one object may be raised many times
            exc.add_note(note)

    # -- interrupts ---------------------------------------------------------------------

    def flush(self) -> tuple[DroppedItems, list[Control]]:
        """Drop every item in this stage; return what was dropped and the controls.

        A call that is running becomes stale: its session is abandoned with its boxes
        and cancelled, and a new one takes the next turn once it has ended.
        """
        old, counts = self.session, self.stage.counts
        queued, waiting = divided(drain(old.inbox))
        outcomes = drain(old.outbox)
        for entry in outcomes:
            if type(entry) is Control and entry.kind not in TRAVELLING:
                self._settle(entry)
        finished, done = divided([each for each in outcomes if type(each) is not Control or each.kind in TRAVELLING])
        in_call = counts.inside - queued - finished
        if old.generating and not in_call:
            # Its item has had an outcome already; the rest of the call is one more.
            counts.fanned_out += 1
            counts.inside += 1
            in_call = 1
        counts.dropped += counts.inside
        counts.inside = 0
        controls, self.controls = [*self.controls], deque()
        self.output.notify_at = NEVER
        if in_call or len(controls) != waiting + done:
            self._abandon(old)
            self._stuck = old if in_call else None
        else:
            old.unpark()  # it may have been waiting for room in the outbox
        return DroppedItems(queued, in_call, finished), controls

    def _abandon(self, old: Session) -> None:
        old.stale = True
        old.unpark()
        self.link.buffer = deque()
        self.session = self._new_session(self.stage, self.link)
        self.link.wake_reader = partial(self.session.unpark, Need.ITEM)
        if old.scope is not None:
            old.scope.cancel()

    def clear_link(self) -> int:
        """Drop what waits in the link, sentinels included; return the items dropped."""
        taken = drain(self.link.buffer)
        items = 0
        for entry in taken:
            if type(entry) is not Control:
                items += 1
            elif entry.kind is Kind.SENTINEL:
                self.controls.remove(entry)
            elif entry.kind is Kind.END:
                self.link.buffer.append(entry)  # the end of input cannot be dropped
        self.stage.counts.dropped += items
        self.stage.counts.inside -= items
        self.link.appended()
        return items

    def close(self) -> None:
        """Let the worker go for good; whatever is left was flushed before."""
        self._closed = True
        self.session.stale = True
        self.session.unpark()

    # -- the worker's life --------------------------------------------------------------

    async def host(self) -> None:
        """Run the worker, one session after another, until the end of input."""
        while not self._closed:
            session = self._hosted = self.session
            try:
                with CancelScope() as session.scope:
                    await session.work()
            except get_cancelled_exc_class() as exc:
                self._cancelled(session, exc)
                raise
            except BaseException as exc:
                self._broke(session, exc)
            finally:
                self._hosted = self._stuck = None
            if session is self.session:
                return

    def _cancelled(self, session: Session, exc: BaseException) -> None:
        if session.left_behind and self._held:
            logger.warning(
                "stage %r: its thread was left inside %r, which has not returned",
                self.stage.name,
                repr(self.stage.process_fn),  # a log record must not keep its owner alive
            )
        if current_effective_deadline() != -math.inf and not cancelled_natively() and not session.left_behind:
            # asyncio's CancelledError, raised by the function though nothing cancelled
            # it: let through alone, it would end this task, and so the stage, quietly.
            self._broke(session, exc)

    def _broke(self, session: Session, exc: BaseException) -> None:
        """Act on an exception that left the worker: it ends the pipeline."""
        counts = self.stage.counts
        if session is self.session:
            if session.had_outcome:
                counts.fanned_out += 1  # one more outcome of a call that had some
                counts.failed += 1
            elif self._held:  # if not, what was raised is no item's fault
                counts.inside -= 1
                counts.failed += 1
        elif isinstance(exc, Exception):
            logger.warning("stage %r: an interrupted call failed", self.stage.name, exc_info=exc)
            return
        self._note(exc)
        self._fail(raisable(exc, get_cancelled_exc_class()))

    # -- what can be read at any moment --------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether an interrupted call is still running, so that the next turn waits."""
        return self._hosted is not None and self._hosted is self._stuck

    @property
    def _held(self) -> int:
        """Items, or the rest of one generator, that the worker seems to hold."""
        waiting = max(0, len(self.link.buffer) - len(self.controls))
        held = self.stage.counts.inside - waiting - len(self.session.outbox)
        return max(held, int(self.session.generating))

    def flow(self) -> StageFlow:
        """The stage's counters now."""
        counts = self.stage.counts
        return StageFlow(
            accepted=counts.accepted,
            delivered=counts.delivered,
            fanned_out=counts.fanned_out,
            filtered=counts.filtered,
            failed=counts.failed,
            dropped=counts.dropped,
            inside=counts.inside,
            in_call=self._held,
            queue_depth=len(self.link.buffer),
            peak_queue_depth=self.link.peak,
        )


def _takes_room(entry: Any) -> bool:  # a failure may turn into an entry of the output
    return type(entry) is not Control or entry.kind in TRAVELLING or entry.kind is Kind.FAILED
