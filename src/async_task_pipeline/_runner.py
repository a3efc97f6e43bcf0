"""One stage running: where results, failures and interrupts meet.

The rule: everything here runs on the loop's thread and without an await, so each method is one atomic step to everybody else. The counters are changed
in the same step as the entries they count, which is why they add up at any moment.

An item the stage has accepted is in its link, with its worker, or in the session's
outbox. What the worker holds is known by subtraction and never asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

from ._hosting import SessionHost
from ._interruption import Interruption
from ._items import EXTRA, FILTERED, TRAVELLING, Control, Kind, divided
from ._links import ENTRIES_PER_STEP, NEVER, Link, drain
from ._log import logger
from ._parking import Need
from ._sessions import Session
from ._stages import PipelineStage
from ._statistics import DroppedItems, StageFlow
from ._timing import Clock
from ._turn_history import TurnHistory

NewSession = Callable[[PipelineStage, Link], Session]


class Downstream(Protocol):
    """Whatever a stage's results go to: the next stage or the output."""

    def accept(self, items: int, controls: Iterable[Control] = ()) -> None:
        """Take responsibility for entries just put into the link between."""


class StageRunner(SessionHost):
    """Moves one stage's results on, and drops them when they are stale."""

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
        spawn: Callable[[StageRunner], None],
        turns: TurnHistory | None,
    ) -> None:
        super().__init__(stage, new_session(stage, link), fail, turns)
        self.link = link
        self.output = output
        # Sentinels and the end of input, from acceptance to hand-over: the worker may
        # have one in hand, and an interrupt must find it all the same.
        self.controls: deque[Control] = deque()
        # Whether a stage before it returns exceptions. Those are not counted while inside, so
        # an interrupt has to reckon with one in the worker's hand.
        self.meets_exceptions = False
        self._new_session = new_session
        self._downstream = downstream
        self._clock = clock
        self._wake = wake
        self._spawn = spawn
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
            taken = [outbox.popleft() for _ in range(max(1, min(len(outbox), room)))]
            if Control in map(type, taken):
                taken = self._settled(taken, controls)
            batch += taken
            room -= len(taken)
        if batch:
            self._hand_over(batch, controls)

    def _settled(self, entries: list[Any], controls: list[Control]) -> list[Any]:
        """Book the words of a worker among the entries; return what travels on."""
        travelling: list[Any] = []
        for entry in entries:
            if type(entry) is Control:
                control = entry if entry.kind in TRAVELLING else self._settle(entry)
                if control is None:
                    continue
                controls.append(control)
                travelling.append(control)
            else:
                travelling.append(entry)
        return travelling

    def _hand_over(self, batch: list[Any], controls: list[Control]) -> None:
        if self._clock is not None:
            # One reading for the batch: it is accepted in one step.
            now = self._clock()
            for entry in batch if not controls else [each for each in batch if type(each) is not Control]:
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
            self.note(word.value)
            if self.stage.on_error == "return":
                return Control(Kind.RETURNED, word.value)
            logger.warning("stage %r dropped an item: its call failed", self.stage.name, exc_info=word.value)
        return None

    # -- interrupts ---------------------------------------------------------------------

    def flush(self, interruption: Interruption) -> tuple[DroppedItems, list[Control]]:
        """Drop every item in this stage; return what was dropped and the controls.

        A call that is running becomes stale: its session is abandoned with its boxes
        and cancelled, and a new one takes the next turn once it has ended, or at once if
        the stage is reentrant.
        """
        old, counts = self.session, self.stage.counts
        inbox, outcomes = drain(old.inbox), drain(old.outbox)
        queued, waiting = divided(inbox)
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
        interruption.entries += [each for each in (*inbox, *outcomes) if type(each) is not Control]
        controls, self.controls = [*self.controls], deque()
        self.output.notify_at = NEVER
        in_hand = bool(in_call) or len(controls) != waiting + done
        if in_hand or self.meets_exceptions or self.stage.on_interrupt is not None:
            self._abandon(old, beside=self.stage.reentrant and bool(in_call))
        else:
            old.unpark()  # it may have been waiting for room in the outbox
        self.watched_by(interruption, own=old if in_call else None)
        return DroppedItems(queued, in_call, finished), controls

    def _abandon(self, old: Session, *, beside: bool) -> None:
        old.stale = True
        old.unpark()
        self.link.buffer = deque()
        self.session = self._new_session(self.stage, self.link)
        self.session.resets = self.stage.on_interrupt is not None
        self.link.wake_reader = partial(self.session.unpark, Need.ITEM)
        if old.scope is not None:  # if it is None, the host will begin with the new one
            old.scope.cancel()
            if beside:
                old.overtaken = True
                self._spawn(self)

    def clear_link(self) -> list[Any]:
        """Drop what waits in the link, sentinels included; return the items dropped."""
        items: list[Any] = []
        for entry in drain(self.link.buffer):
            if type(entry) is not Control:
                items.append(entry)
            elif entry.kind is Kind.SENTINEL:
                self.controls.remove(entry)
            elif entry.kind is Kind.END:
                self.link.buffer.append(entry)  # the end of input cannot be dropped
        self.stage.counts.dropped += len(items)
        self.stage.counts.inside -= len(items)
        self.link.appended()
        return items

    # -- what can be read at any moment --------------------------------------------------

    @property
    def held(self) -> int:
        """Items, or the rest of one generator, that the worker seems to hold."""
        waiting = max(0, len(self.link.buffer) - len(self.controls))
        held = self.stage.counts.inside - waiting - len(self.session.outbox)
        return max(held, int(self.session.generating))

    @property
    def occupied(self) -> bool:
        """Whether anything is inside that an entry put behind it would have to wait for."""
        return bool(self.stage.counts.inside or self.controls or self.session.generating)

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
            in_call=self.held,
            queue_depth=len(self.link.buffer),
            peak_queue_depth=self.link.peak,
        )


def _takes_room(entry: Any) -> bool:  # a failure may turn into an entry of the output
    return type(entry) is not Control or entry.kind in TRAVELLING or entry.kind is Kind.FAILED
