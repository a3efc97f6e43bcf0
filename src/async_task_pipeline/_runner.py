"""One stage running: where results, failures and interrupts meet.

The rule: everything here runs on the loop's thread and without an await, so each method
is one atomic step to everybody else. The counters are changed in the same step as the
entries they count, which is why they add up at any moment.

An item the stage has accepted is in its link, with a worker, or has come out of its
call. What the workers hold is known by subtraction and never asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from ._failure_budget import FailureBudget
from ._interruption import Interruption
from ._items import EXTRA, FILTERED, TRAVELLING, Control, Kind, divided
from ._links import ENTRIES_PER_STEP, NEVER, Link
from ._log import logger
from ._stage import PipelineStage
from ._stage_calls import StageCalls
from ._statistics import DroppedItems, StageFlow
from ._timing import Clock
from ._turn_history import TurnHistory
from ._workers._seat import Seat
from ._workers._staff import NOTHING, NewSeat, Staff


class Downstream(Protocol):
    """Whatever a stage's results go to: the next stage or the output."""

    def accept(self, items: int, controls: Iterable[Control] = ()) -> None:
        """Take responsibility for entries just put into the link between."""


class StageRunner(StageCalls):
    """Moves one stage's results on, and drops them when they are stale."""

    def __init__(
        self,
        stage: PipelineStage,
        link: Link,
        output: Link,
        downstream: Downstream,
        *,
        staff: Callable[[NewSeat], Staff],
        clock: Clock | None,
        fail: Callable[[BaseException], None],
        wake: Callable[[], None],
        post: Callable[[Callable[[], object]], object],
        spawn: Callable[[Seat], None],
        turns: TurnHistory | None,
    ) -> None:
        super().__init__(stage, staff=staff, fail=fail, wake=wake, post=post, spawn=spawn, turns=turns)
        self.link = link
        self.output = output
        # Sentinels and the end of input, from acceptance to hand-over: the worker may
        # have one in hand, and an interrupt must find it all the same.
        self.controls: deque[Control] = deque()
        # Whether a stage before it returns exceptions. Those are not counted while inside, so
        # an interrupt has to reckon with one in the worker's hand.
        self.meets_exceptions = False
        self._budget = FailureBudget(stage)
        self._downstream = downstream
        self._clock = clock

    # -- entries coming in and going out ------------------------------------------------

    def accept(self, items: int, controls: Iterable[Control] = ()) -> None:
        """Take responsibility for entries just put into the link."""
        counts = self.stage.counts
        counts.accepted += items
        counts.inside += items
        self.controls.extend(controls)
        self.link.appended()

    def pump(self) -> None:
        """Settle what the workers have put out and pass on what there is room for."""
        staff, output = self.staff, self.output
        collected = staff.collect()
        while staff.outbox:
            self._move(staff.outbox)
            staff.made_room()
            # What did not fit into the outbox before may be ready for long, and nobody
            # would say so again.
            collected = collected and not staff.outbox and staff.collect()
            if not collected:
                break
        if not staff.outbox:
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
            else:
                self._budget.succeeded(len(taken))
            batch += taken
            room -= len(taken)
        if batch:
            self._hand_over(batch, controls)

    def _settled(self, entries: list[Any], controls: list[Control]) -> list[Any]:
        """Book the words of a worker among the entries; return what travels on."""
        travelling: list[Any] = []
        delivered = 0
        for entry in entries:
            if type(entry) is Control:
                # A budget may look at the last few outcomes, so their order matters.
                self._budget.succeeded(delivered)
                delivered = 0
                control = entry if entry.kind in TRAVELLING else self._settle(entry)
                if control is None:
                    continue
                controls.append(control)
                travelling.append(control)
            else:
                delivered += 1
                travelling.append(entry)
        self._budget.succeeded(delivered)
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
            self._budget.succeeded(1)
        elif word is EXTRA:
            counts.fanned_out += 1
            counts.inside += 1
        else:
            counts.failed += 1
            counts.inside -= 1
            self.note(word.value)
            if (error := self._budget.overdrawn(word.value)) is not None:
                self._fail(error)
            if self.stage.on_error == "return":
                return Control(Kind.RETURNED, word.value)
            if self.stage.on_error == "drop":
                logger.warning("stage %r dropped an item: its call failed", self.stage.name, exc_info=word.value)
        return None

    # -- interrupts ---------------------------------------------------------------------

    def flush(self, interruption: Interruption) -> tuple[DroppedItems, list[Control]]:
        """Drop every item in this stage; return what was dropped and the controls.

        A call that is running becomes stale: its session is abandoned with its outbox
        and cancelled, and a new one takes the next turn once it has ended, or at once if
        the stage is reentrant.
        """
        staff, counts = self.staff, self.stage.counts
        waiting, outcomes = staff.drain()
        queued, waiting_controls = divided(waiting)
        for entry in outcomes:
            if type(entry) is Control and entry.kind not in TRAVELLING:
                self._settle(entry)
        finished, done = divided([each for each in outcomes if type(each) is not Control or each.kind in TRAVELLING])
        in_call = counts.inside - queued - finished
        # Their items have had an outcome already; the rest of each call is one more.
        beyond = staff.calls_beyond(in_call)
        counts.fanned_out += beyond
        in_call += beyond
        counts.dropped += counts.inside + beyond
        counts.inside = 0
        interruption.entries += [each for each in (*waiting, *outcomes) if type(each) is not Control]
        controls, self.controls = [*self.controls], deque()
        self.output.notify_at = NEVER
        in_hand = bool(in_call) or len(controls) != waiting_controls + done or self.meets_exceptions
        self.stale_calls.watched_by(interruption, own=staff.renew(in_call, in_hand=in_hand))
        return DroppedItems(queued, in_call, finished), controls

    def drop_oldest(self) -> list[Any]:
        """Drop the item that has waited longest in the link; return it, or nothing."""
        entry = self.staff.drop_oldest()
        if entry is NOTHING:
            return []
        self.stage.counts.dropped += 1
        self.stage.counts.overflowed += 1
        self.stage.counts.inside -= 1
        return [entry]

    def refuse(self) -> None:
        """Count an item that found no room: accepted, and dropped at once."""
        self.stage.counts.accepted += 1
        self.stage.counts.dropped += 1
        self.stage.counts.overflowed += 1

    def clear_link(self) -> list[Any]:
        """Drop what waits in the link, sentinels included; return the items dropped."""
        items: list[Any] = []
        for entry in self.staff.take_waiting():
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
    def occupied(self) -> bool:
        """Whether anything is inside that an entry put behind it would have to wait for."""
        return bool(self.stage.counts.inside or self.controls or self.staff.held(0))

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
            in_call=self.staff.held(len(self.controls)),
            queue_depth=len(self.link.buffer),
            peak_queue_depth=self.link.peak,
        )


def _takes_room(entry: Any) -> bool:  # a failure may turn into an entry of the output
    return type(entry) is not Control or entry.kind in TRAVELLING or entry.kind is Kind.FAILED
