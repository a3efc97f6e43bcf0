"""One stage running: its inbound link, its window, and the workers that make its calls.

The rule: everything here runs on the loop's thread and without an await, so each method is one
atomic step to everybody else. An item is counted in the step in which it moves, by what it then
is: workers write outcomes at any moment, so each item is looked at once.

Whenever a stage has passed something on, the stage behind it accepts in the same step, and tells
this one if that made room; and so back, until nothing moves. One visit to each stage would not do:
a full link could be left before an idle stage, with nobody to wake the loop again.
"""

from __future__ import annotations

import contextlib
import contextvars
import math
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from itertools import chain
from typing import Any, Protocol

import attrs

from .._counts import StageCounts
from .._exceptions import kind_of, notes_of, raisable, set_note, shown, text_of
from .._failure import Failure
from .._failure_budget import FailureBudget
from .._log import logger
from .._stage import PipelineStage
from .._statistics import StageFlow
from .._timing._clock import Clock
from .._timing._turns import TurnHistory
from ._asking import Asking
from ._batching import SetAside
from ._counting import Container, Counting, Dropped, TakenOut
from ._interrupt import Interrupt
from ._item import (
    EXPANDED,
    FAILED,
    FILTERED,
    PASSED,
    RETURNED,
    SENTINEL,
    WAITING,
    Batch,
    Children,
    Failed,
    Inbox,
    Item,
    Taken,
)
from ._link import Link
from ._shift import Shift, TaskParking, Worker
from ._wakeup import ITEMS_PER_STEP, Pumped, Timer, Waker
from ._window import AsReady, InOrder, Window, lasting


class Downstream(Protocol):
    """What a stage's results go to: the next stage or the output."""

    def arrived(self, items: int) -> None:
        """Take responsibility for a burst just sent into the link, with so many items."""


@attrs.define(eq=False, repr=False)
class Shared:
    """What the parts of one run share.

    Attributes:
        bound: The pipeline's ``max_queue_size``.
        clock: For timing, or ``None`` while that is off.
        waker: Has the loop pump.
        counting: What was dropped and is not counted yet.
        fail: Ends the run with an exception.
        beside: Has a worker begin its next shift beside the one it is in.
        turns: Where turns are remembered, if they are.
        context: The context variables of where the pipeline was started.
        cancelled: The backend's class of cancellations.
        main_task: The task that runs the pipeline, if it is one of asyncio's.
        show_items: Whether an item may be shown where its failure is told.
        now: The pipeline's clock, for failures; also while timing is off.
    """

    bound: int
    clock: Clock | None
    waker: Waker
    counting: Counting
    fail: Callable[[BaseException], None]
    beside: Callable[[Worker], None]
    turns: TurnHistory | None
    context: contextvars.Context
    cancelled: type[BaseException]
    main_task: Any
    show_items: bool
    now: Clock


class StageRunner:
    """Accepts into the window, passes on from it, and drops what is stale.

    Attributes:
        inbox: What no worker has taken yet. Workers take with ``popleft``, which is atomic; order
            needs no more, because it was fixed when the window accepted. An interrupt puts another one
            in its place: what a worker takes from the old one is not called.
        idle: Shifts that have parked for want of something to take, by themselves. Some may have
            gone on since: unparking those does nothing.
        published: Items of an unordered stage that have something to pass on; appended by workers.
        failures: What a call was for, and what has become of each of its items; appended by workers as
            soon as it has failed, so that a slow item in front does not hide a failure that ends the pipeline.
        asking: What asks the stage's function what a failure means, if ``on_error`` is one.
        closing: Whether no shift follows.
    """

    def __init__(
        self, stage: PipelineStage, link: Link, outbound: Link, downstream: Downstream, shared: Shared
    ) -> None:
        self.stage = stage
        self.link = link
        self.shared = shared
        self.upstream: Pumped | None = None
        self.window: Window = InOrder() if stage.ordered else AsReady()
        self.inbox: Inbox = deque()
        self.idle: deque[Shift] = deque()
        self.published: deque[Item] = deque()
        self.failures: deque[tuple[Taken, list[Failed]]] = deque()
        self.shifts: dict[Shift, None] = {}
        self.stale_shifts: dict[Shift, list[Interrupt]] = {}
        self.workers: list[Worker] = []
        self.woken: bool = False
        self.closing: bool = False
        self._outbound = outbound
        self._downstream = downstream
        self._budget = FailureBudget(stage)
        # How the note on an exception begins.
        self._raised_here = f"raised in stage {stage.name!r} of the pipeline"
        self._aside = None if stage.batch is None else SetAside(stage.batch)
        size = 1 if stage.batch is None else stage.batch.max_size
        # So that each worker can be in a call, and as many more wait or have ended as the bound allows.
        self.capacity: int = shared.bound - 1 + stage.workers * size
        self._timer = Timer(self._ring)
        # Whether the timer is set for calls that may take too long.
        self._watched = False
        self.services: list[Callable[[], Coroutine[Any, Any, None]]] = (
            [self._timer.serve] if stage.timeout is not None or stage.batch is not None else []
        )
        self.asking: Asking | None = None
        if callable(stage.on_error):
            self.asking = Asking(stage, shared.cancelled, self._answered)
            self.services.append(self.asking.serve)

    # -- items coming in and going out ----------------------------------------------------

    def pump(self) -> None:
        """Pass on what has an outcome, and accept, until there is no room or nothing to move."""
        window, outbound, expanded = self.window, self._outbound, False
        if self.failures:
            self._hear_failures()
        if self.published:
            window.finished(self.published, ITEMS_PER_STEP)
            if self.published:
                self.shared.waker.wake_here(self)
        clock = self.shared.clock
        left = 0
        while len(window) and left < ITEMS_PER_STEP:
            now = 0.0 if clock is None else clock()  # before anything leaves: an injected clock may raise
            leaving, plain = window.leave(outbound.room, ITEMS_PER_STEP)
            if not leaving:
                break
            if clock is not None:
                # Again: a call may have ended since, and its result leaves after that.
                with contextlib.suppress(Exception):
                    now = clock()
            left += len(leaving)
            self._pass_on(leaving, now, plain=plain)
            expanded = expanded or not plain
        if left >= ITEMS_PER_STEP:
            self.shared.waker.wake_here(self)
        if expanded:
            self._unpark_full()
        self.accept()

    def _pass_on(self, leaving: list[Item], now: float, *, plain: bool) -> None:
        others: list[Item] = []
        if plain:
            self._budget.succeeded(len(leaving))
        else:
            leaving, others = self._counted(leaving)
        counts = self.stage.counts
        counts.fanned_out += self.window.fanned_out
        self.window.fanned_out = 0
        if leaving:
            if self.shared.clock is not None:
                for item in leaving if plain else [each for each in leaving if each.outcome == PASSED]:
                    item.timestamps.append(now)
            results = len(leaving) - len(others)
            counts.delivered += results
            self._outbound.send(leaving, others)
            self._downstream.arrived(results)

    def _counted(self, leaving: list[Item]) -> tuple[list[Item], list[Item]]:
        """Count what is no result; return what travels on, and what of it is no item."""
        counts, budget = self.stage.counts, self._budget
        travelling: list[Item] = []
        others: list[Item] = []
        for item in leaving:
            outcome = item.outcome
            if outcome == FAILED:
                self._count_failure(item, counts)
                outcome = item.outcome
            elif outcome == FILTERED:
                counts.filtered += 1
            if outcome < SENTINEL and outcome != FAILED:
                budget.succeeded(1)  # one by one: a budget may look at the last few outcomes
            if outcome == PASSED or outcome >= SENTINEL:
                travelling.append(item)
                if outcome != PASSED:
                    others.append(item)
        return travelling, others

    def _count_failure(self, item: Item, counts: StageCounts) -> None:
        failed: Failed = item.data
        exc, stage, meaning = failed.exc, self.stage, failed.meaning
        counts.failed += 1
        if (error := self._budget.overdrawn(exc)) is not None:
            self.shared.fail(error)
        if meaning == "return":
            item.data, item.outcome = exc, RETURNED
        elif meaning == "drop":
            logger.warning("stage %r dropped %s: %s: %s", stage.name, failed.shown, kind_of(exc), text_of(exc))
            logger.debug("stage %r: where that was raised", stage.name, exc_info=exc)

    def arrived(self, items: int) -> None:
        """Take responsibility for a burst just sent into the link, with so many items."""
        self.stage.counts.accepted += items
        self.accept()

    def accept(self) -> None:
        """Take in what the window has room for, and tell workers."""
        window, link = self.window, self.link
        was_full = link.room <= 0
        accepted = 0
        while link.level and (room := self.capacity - len(window)) > 0 and accepted < ITEMS_PER_STEP:
            burst = link.take(min(room, ITEMS_PER_STEP))
            if not burst:
                break
            accepted += len(burst)
            others = link.others_of(burst)
            for item in [each for each in burst if each.outcome == PASSED] if others else burst:
                item.accepted_by = self
                item.outcome = WAITING
            window.accept(burst, others)  # before any worker can have written an outcome
            self._offer(burst, others)
        if accepted >= ITEMS_PER_STEP:
            self.shared.waker.wake_here(self)
        if not accepted:
            if self._aside is not None:
                self._form_batches()
            return
        if was_full and self.upstream is not None:
            self.shared.waker.wake_here(self.upstream)
        if self.stage.timeout is not None and not self._watched:
            self._watched = True
            self._timer.set(time.monotonic() + self.stage.timeout)

    def _offer(self, burst: list[Item], others: list[Item]) -> None:
        """Put what workers can take into the inbox."""
        if others:
            # With nothing before it, a sentinel may leave at once.
            self.shared.waker.wake_here(self)
        if self._aside is not None:
            now = time.monotonic()
            for item in burst:
                if item.outcome == WAITING:
                    self._aside.add(item, now)
                else:
                    while self._aside.items:
                        self.inbox.append(self._aside.batch())
            self._form_batches()
        elif others:
            self.inbox.extend([item for item in burst if item.outcome == WAITING])
        else:
            self.inbox.extend(burst)
        self.unpark_idle()

    def _form_batches(self) -> None:
        """Make batches of what was set aside, if they are full, or due with a worker free to take them."""
        aside, before = self._aside, len(self.inbox)
        if aside is None:
            return
        while aside.full:
            self.inbox.append(aside.batch())
        if aside.items and not self.inbox:
            if time.monotonic() < aside.due_at:
                self._timer.set(aside.due_at)
            elif sum(shift.current is not None for shift in self.shifts) < self.stage.workers:
                self.inbox.append(aside.batch())
        if len(self.inbox) > before:
            self.unpark_idle()

    def unpark_idle(self) -> None:
        """Wake idle workers for the entries that are there to take.

        As many as there are entries; but of tasks one, while no call waits. That one wakes the next if it
        leaves entries. Calls of async functions often end without a wait, and then the first task takes all.
        """
        unserved, idle = len(self.inbox), self.idle
        while unserved > 0 and idle:
            shift = idle.popleft()
            if shift.idle and shift.parking.unpark():
                unserved -= 1
                if isinstance(shift.parking, TaskParking) and not self._calls_wait:
                    return

    @property
    def _calls_wait(self) -> bool:
        """Whether the call of a task has not ended, though something else runs on the loop."""
        return any(shift.current is not None for shift in self.shifts)

    def _unpark_full(self) -> None:
        """Wake the workers that wait for room for what their generators yield."""
        for shift in self.shifts:
            if shift.full:
                shift.parking.unpark()

    def _ring(self) -> None:
        """Look at what is due: a batch, or calls that have taken too long."""
        if self.stage.timeout is not None:
            self._look_for_overdue(self.stage.timeout)
        self.shared.waker.wake_here(self)

    # -- failures ---------------------------------------------------------------------------

    def _hear_failures(self) -> None:
        while self.failures:
            taken, of_each = self.failures.popleft()
            exc = of_each[0].exc
            if taken.stale:
                logger.warning("stage %r: an interrupted call failed", self.stage.name, exc_info=exc)
            elif self.asking is not None:
                for item, failed in zip(taken if isinstance(taken, Batch) else (taken,), of_each, strict=True):
                    self.asking.ask(item, failed)
            elif self.stage.on_error == "raise":
                self.end_with(exc)

    def _answered(self, item: Item, error: BaseException | None) -> None:
        """Pass on what has an outcome now, or end the run."""
        if not self.stage.ordered:
            self.published.append(item)
        if error is not None:
            self.shared.fail(raisable(error, self.shared.cancelled))  # noted already
        self.shared.waker.wake_here(self)

    def end_with(self, exc: BaseException) -> None:
        """End the run with an exception of this stage's."""
        if not any(note.startswith(self._raised_here) for note in notes_of(exc)):
            set_note(exc, self._raised_here, "")
        self.shared.fail(raisable(exc, self.shared.cancelled))

    def failed(self, taken: Taken, given: Any, exc: BaseException, start: float, end: float) -> list[Failed]:
        """Note on an exception which stage has raised it and for which item; what that makes of each item.

        In the thread that made the call, as a rule: what shows an item may be the user's own code.

        Args:
            taken: What the call was made for.
            given: What it was made with.
            exc: What it has raised.
            start: When it began; in seconds of the pipeline's clock, if a function is asked.
            end: When it had failed, the same.
        """
        stage, shows = self.stage, self.shared.show_items
        meaning = "raise" if callable(stage.on_error) else stage.on_error  # until the function has answered

        def of_one(data: Any) -> Failed:
            failure = None if self.asking is None else Failure(stage.name, data, exc, start, end)
            return Failed(exc, f"item {shown(data)}" if shows else "an item", meaning, failure)

        if isinstance(taken, Batch):
            many = f"{len(given)} item{'' if len(given) == 1 else 's'}"
            set_note(exc, self._raised_here, f", for a batch of {many}: {shown(given)}" if shows else "")
            return [of_one(data) for data in given]
        failed = of_one(given)
        set_note(exc, self._raised_here, f", for {failed.shown}" if shows else "")
        return [failed]

    def _look_for_overdue(self, timeout: float) -> None:
        now = time.monotonic()
        earliest = now + timeout
        for shift in [*self.shifts]:
            taken, began, given = shift.current, shift.began, shift.given
            if taken is None or taken.stale or shift.inbox is not self.inbox:
                continue
            if began + timeout <= now:
                self._replace_overdue(shift, taken, given)
            else:
                earliest = min(earliest, began + timeout)
        self._watched = len(self.window) > 0
        if self._watched:
            self._timer.set(earliest)

    def _replace_overdue(self, shift: Shift, taken: Taken, given: Any) -> None:
        """Fail a call that takes longer than it may; its worker stays busy until it ends."""
        if all(item.outcome != WAITING for item in self._still_here(taken)):
            return  # it has just ended
        items = taken if isinstance(taken, Batch) else (taken,)
        exc = TimeoutError(f"a call of stage {self.stage.name!r} took longer than {self.stage.timeout} seconds")
        failed_at = 0.0 if self.asking is None else self.shared.now()
        replaced = False
        for item, failed in zip(items, self.failed(taken, given, exc, shift.called_at, failed_at), strict=True):
            if item.accepted_by is not self or item.outcome != WAITING:
                continue  # it has just ended
            item.stale = replaced = True
            new = self._failed_in_place_of(item, failed)
            self.window.replace(item, new)
            if self.asking is not None:
                self.asking.ask(new, failed)
        if not replaced:
            return
        self.stale_shifts[shift] = []
        shift.end()
        if self.stage.on_error == "raise":
            self.end_with(exc)

    def _failed_in_place_of(self, item: Item, failed: Failed) -> Item:
        """What stands for an overdue item: failed, or, if a function is asked, without an outcome yet."""
        asks = self.asking is not None
        if item.children is None:
            return item.replacement(None, WAITING) if asks else item.replacement(failed, FAILED)
        new = item.replacement(None, WAITING if asks else EXPANDED)
        new.children = Children(drained(item.children))
        new.children.passed = item.children.passed
        if not asks:
            new.children.append(item.child(failed, FAILED, 0.0, 0.0))
        return new

    # -- interrupts ---------------------------------------------------------------------------

    def flush(self, interrupt: Interrupt) -> list[Item]:
        """Drop every item of this stage, to be counted afterwards; return the rest in order.

        A call that is running becomes an orphan, and its shift is ended.
        """
        counts, counting = self.stage.counts, self.shared.counting
        dropped = Dropped(counts, interrupt.dropped[self.stage.name], interrupt.note, self._count_failure, counting)
        waiting = self.link.take_out()
        dropped.queued(waiting.items)
        counting.free(waiting.entries, interrupt.note)
        inbox, self.inbox = self.inbox, deque()  # before it is looked who has taken from it
        entries, held = len(self.window), self.window.take_out()
        counts.fanned_out += self.window.fanned_out
        self.window.fanned_out = 0
        ended, begun = self._drop_calls(inbox, dropped)
        in_call = dropped.tally.in_call
        uncounted = held.items - (in_call - begun)
        if waiting.items or entries > len(held.others):
            counts.dropped_at = max(counts.dropped_at, interrupt.began)
        # As a rule nothing has an outcome, and none has to be looked at to be counted.
        if self._aside is None and entries == len(held.others) + in_call + len(inbox):
            dropped.queued(uncounted)
            counting.free(held.entries, dropped.note_waiting)
        else:
            counts.uncounted += uncounted
            counting.count(dropped.count(held.entries))
            counting.free(held.entries)
        aside = [] if self._aside is None else self._aside.take_out()
        counting.free([*held.rest, inbox, *aside])
        counting.then(self._unpark_full)  # whose values are gone when they are counted
        self._end_calls(interrupt, ended)
        return [*held.others, *waiting.others]

    def _drop_calls(self, inbox: Inbox, dropped: Dropped) -> tuple[list[Shift], int]:
        """Drop what is in calls; return their shifts, and of how many an outcome has left before.

        A worker that has taken something and shows it too late to be found here does not call it, and
        so it was still waiting.
        """
        ended: list[Shift] = []
        begun = 0
        for shift in self.shifts:
            taken = shift.current
            if taken is None or shift.inbox is not inbox:
                continue
            called, before = self._drop_called(self._still_here(taken), dropped)
            begun += before
            if called:
                shift.dropped = called if isinstance(taken, Batch) else taken
                ended.append(shift)
        if self.asking is not None:
            self._hear_failures()  # after the look: a call that was not seen has told of its failure
            asked, before = self._drop_called(self.asking.items, dropped)
            begun += before
            if dropped.note is not None:
                dropped.note(asked)
        return ended, begun

    def _still_here(self, taken: Taken) -> list[Item]:
        """What a worker has taken and no other stage has accepted.

        A worker shows an item until after its outcome is written. By then the item may have been passed on
        and wait again, in the next stage.
        """
        return [item for item in (taken if isinstance(taken, Batch) else (taken,)) if item.accepted_by is self]

    def _drop_called(self, items: Iterable[Item], dropped: Dropped) -> tuple[Batch, int]:
        """Drop those that have no outcome yet; return them, and of how many an outcome has left before."""
        called = Batch(item for item in items if item.outcome == WAITING and not item.stale)
        begun = 0
        for item in called:
            item.stale = True  # before its children are looked at: none is added unseen
            children = item.children
            if children is not None:
                item.children = Children()
                self.shared.counting.count(dropped.count_children(children))
                begun += children.passed
            dropped.in_call(begun=children is not None and children.passed)
        return called, begun

    def _end_calls(self, interrupt: Interrupt, ended: list[Shift]) -> None:
        """End the shifts whose call was dropped, and have the interrupt watch all that are stale."""
        for shift in ended:
            self.stale_shifts[shift] = []
        for shift, watchers in self.stale_shifts.items():
            own = shift in ended
            interrupt.watch(shift, self.stage.name, own=own)
            # Each call has one interrupt that made it stale, and any number that found it so: those
            # would all stay as long as a stuck call, and have nothing to wait for.
            if own or interrupt.waits:
                watchers.append(interrupt)
        for shift in ended:
            if self.stage.reentrant and not shift.over:
                shift.replaced = True
                self.shared.beside(shift.worker)
            shift.end()
        if self.stage.on_interrupt is not None:
            for worker in self.workers:
                worker.resets = True
            for shift in [*self.shifts]:
                shift.end()  # an idle one, too: the next begins with what resets it

    def forget(self, interrupt: Interrupt) -> None:
        """End an interrupt's wait for calls that others made stale."""
        for shift, watchers in self.stale_shifts.items():
            if interrupt in watchers and not interrupt.owns(shift):
                watchers.remove(interrupt)

    async def serve(self, service: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a service of this stage until it is cancelled; an error in it ends the run by the stage's name."""
        try:
            await service()
        except self.shared.cancelled:
            raise
        except BaseException as exc:
            rest = exc.split(self.shared.cancelled)[1] if isinstance(exc, BaseExceptionGroup) else exc
            if rest is None:
                raise
            self.end_with(rest)

    # -- shifts -------------------------------------------------------------------------------

    def begin_shift(self, shift: Shift) -> None:
        """Know a shift that begins now."""
        self.shifts[shift] = None
        if self._aside is not None:
            self.shared.waker.wake_here(self)  # a batch may have been due with no worker free to take it

    def end_shift(self, shift: Shift) -> bool:
        """Know it no more, and tell the interrupts that wait for its call; whether that was stale."""
        del self.shifts[shift]
        for _ in range(len(self.idle)):  # one by one: threads append to it meanwhile
            if not (parked := self.idle.popleft()).over:
                self.idle.append(parked)
        watchers = self.stale_shifts.pop(shift, None)
        if watchers is None:
            return False
        dropped, turns = shift.dropped, self.shared.turns
        if turns is not None and dropped is not None:
            if isinstance(dropped, Batch):
                turns.drop(dropped)
            else:
                turns.drop_call(dropped, [*dropped.children] if dropped.children else [])
        for interrupt in watchers:
            interrupt.ended(shift)
        return True

    def close(self) -> None:
        """End all shifts and begin no other; whatever is left was flushed before."""
        self.closing = True
        for shift in [*self.shifts]:
            shift.end()

    def abandon(self) -> None:
        """The same where the loop never runs again, from any thread."""
        self.closing = True
        for shift in [*self.shifts]:
            shift.abandon()

    # -- taking out what waits ------------------------------------------------------------------

    def drop_oldest(self) -> Item | None:
        """Drop the item that has waited longest, and return it; ``None`` if none waits."""
        item = self._pop_oldest()
        if item is None:
            item = self.link.pop_item()
        else:
            item.stale = True
            self.window.remove(item)
            self.shared.waker.wake_here(self)  # a sentinel may have stood behind it
            self.accept()
        if item is not None:
            self.stage.counts.dropped += 1
            self.stage.counts.displaced += 1
        return item

    def _pop_oldest(self) -> Item | None:
        try:
            taken = self.inbox.popleft()
        except IndexError:
            return None if self._aside is None else self._aside.pop_oldest()
        if not isinstance(taken, Batch):
            return taken
        item = taken.pop(0)
        if taken:
            self.inbox.appendleft(taken)
        return item

    def clear_link(self) -> TakenOut:
        """Drop what waits for this stage, sentinels included; return what was dropped."""
        waiting = self.link.take_out()
        if end := lasting(waiting.others, sentinels=False):
            self.link.send(end, end)
        aside: list[Container] = [] if self._aside is None else self._aside.take_out()
        untaken = drained(self.inbox)
        queued: list[Item] = [*aside[0]] if aside else []
        for taken in untaken:
            if isinstance(taken, Batch):
                queued += taken
            else:
                queued.append(taken)
        for item in queued:
            item.stale = True  # by which it is known in the window
        kept: list[Item] = []
        behind = False
        held = self.window.take_out()
        for item in chain.from_iterable(held.entries):
            if not item.stale and (item.outcome not in (SENTINEL, RETURNED) or not behind):
                kept.append(item)
            behind = behind or item.outcome == WAITING
        self.window.take_back(kept)
        self.stage.counts.dropped += len(queued) + waiting.items
        return TakenOut(
            [queued, *waiting.entries], len(queued) + waiting.items, [], [*held.entries, *held.rest, untaken]
        )

    # -- what can be read at any moment ------------------------------------------------------------

    @property
    def occupied(self) -> bool:
        """Whether anything is inside that an entry put behind it would have to wait for."""
        return self.link.level > 0 or len(self.window) > 0

    @property
    def inside(self) -> int:
        """Items in the link and in the window, and those that were there and are not counted yet."""
        return self.link.items + self.window.items + self.stage.counts.uncounted

    def calls_since(self) -> list[float]:
        """When each call, or step of a generator, that is running now began; with timing on.

        A worker shows its item before it reads the clock, and counts the seconds of a call before it
        shows none. So a call counts as running if nothing of its worker's has ended since it began.
        """
        counts, found = self.stage.counts, list[float]()
        for shift in [*self.shifts]:
            spent = counts.by_worker.get(shift.worker)
            ended = shift.called_at == -math.inf or (spent is not None and spent.ended > shift.called_at)
            if shift.current is not None and not shift.full and not ended:
                found.append(max(shift.called_at, counts.since))
        return found

    def flow(self) -> StageFlow:
        """The stage's counters now."""
        counts: StageCounts = self.stage.counts
        calls = [shift.current for shift in [*self.shifts]]
        return StageFlow(
            accepted=counts.accepted,
            delivered=counts.delivered,
            fanned_out=counts.fanned_out,
            filtered=counts.filtered,
            failed=counts.failed,
            dropped=counts.dropped + counts.refused,
            inside=self.inside,
            in_call=sum(
                0 if each is None or each.stale else len(each) if isinstance(each, Batch) else 1 for each in calls
            ),
            queue_depth=self.link.level + self._untaken() + len(self.window.others),
            peak_queue_depth=self.link.peak,
        )

    def _untaken(self) -> int:
        """Items of the window that no worker has taken."""
        if self._aside is None:
            return len(self.inbox)
        untaken = len(self._aside.items)
        # By number, because an iterator fails when a worker takes between two of its steps.
        for number in range(len(self.inbox)):
            with contextlib.suppress(IndexError):
                taken = self.inbox[number]
                untaken += len(taken) if isinstance(taken, Batch) else 1
        return untaken


def drained(entries: deque[Any]) -> list[Any]:
    """Everything, taken out; safe while a worker takes from it or adds to it."""
    taken: list[Any] = []
    try:
        while True:
            taken.append(entries.popleft())
    except IndexError:
        return taken
