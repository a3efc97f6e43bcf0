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
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import attrs

from .._counts import StageCounts
from .._exceptions import kind_of, notes_of, raisable, set_note, shown, text_of
from .._failure import Failure
from .._failure_budget import FailureBudget
from .._log import logger
from .._stage import PipelineStage
from .._statistics import DroppedItems, StageFlow
from .._timing._clock import Clock
from .._timing._turns import TurnHistory
from ._asking import Asking
from ._batching import SetAside
from ._interrupt import Interrupt
from ._item import EXPANDED, FAILED, FILTERED, PASSED, RETURNED, SENTINEL, WAITING, Batch, Children, Failed, Item, Taken
from ._link import Link
from ._shift import Shift, Worker
from ._wakeup import Pumped, Timer, Waker
from ._window import AsReady, InOrder, Window, lasting

ITEMS_PER_STEP = 1024
"""The most that a stage passes on at once: a few tenths of a millisecond, so that a very large
bound does not make a pause for everybody else."""


class Downstream(Protocol):
    """What a stage's results go to: the next stage or the output."""

    def arrived(self, items: int) -> None:
        """Take responsibility for a burst just sent into the link, with so many items."""


@attrs.define(eq=False)
class Shared:
    """What the parts of one run share.

    Attributes:
        bound: The pipeline's ``max_queue_size``.
        clock: For timing, or ``None`` while that is off.
        waker: Has the loop pump.
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
            needs no more, because it was fixed when the window accepted.
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
        self.inbox: deque[Taken] = deque()
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
        self._note_published()
        clock = self.shared.clock
        while len(window):
            now = 0.0 if clock is None else clock()  # before anything leaves: an injected clock may raise
            leaving, plain = window.leave(min(outbound.room, ITEMS_PER_STEP))
            if not leaving:
                break
            if clock is not None:
                # Again: a call may have ended since, and its result leaves after that.
                with contextlib.suppress(Exception):
                    now = clock()
            self._pass_on(leaving, now, plain=plain)
            expanded = expanded or not plain
        if expanded:
            self._unpark_full()
        self.accept()

    def _note_published(self) -> None:
        while self.published:
            item = self.published.popleft()
            if not item.stale:
                self.window.finished(item)

    def _pass_on(self, leaving: list[Item], now: float, *, plain: bool) -> None:
        others = 0
        if plain:
            self._budget.succeeded(len(leaving))
        else:
            leaving, others = self._counted(leaving)
        counts = self.stage.counts
        counts.fanned_out += self.window.fanned_out
        self.window.fanned_out = 0
        if leaving:
            if self.shared.clock is not None:
                for item in leaving:
                    if plain or item.outcome == PASSED:
                        item.timestamps.append(now)
            counts.delivered += len(leaving) - others
            self._outbound.send(leaving, others)
            self._downstream.arrived(len(leaving) - others)

    def _counted(self, leaving: list[Item]) -> tuple[list[Item], int]:
        """Count what is no result; return what travels on, and how much of it is no item."""
        counts, budget = self.stage.counts, self._budget
        travelling: list[Item] = []
        others = 0
        for item in leaving:
            outcome = item.outcome
            if outcome == FAILED:
                self._count_failure(item)
                outcome = item.outcome
            elif outcome == FILTERED:
                counts.filtered += 1
            if outcome < SENTINEL and outcome != FAILED:
                budget.succeeded(1)  # one by one: a budget may look at the last few outcomes
            if outcome == PASSED or outcome >= SENTINEL:
                others += outcome != PASSED
                travelling.append(item)
        return travelling, others

    def _count_failure(self, item: Item) -> None:
        failed: Failed = item.data
        exc, stage, meaning = failed.exc, self.stage, failed.meaning
        stage.counts.failed += 1
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
        accepted = False
        while (room := self.capacity - len(window)) > 0:
            burst = link.take(room)
            if not burst:
                break
            accepted = True
            others = 0
            for item in burst:
                if item.outcome == PASSED:
                    item.outcome = WAITING
                else:
                    others += 1
            link.others_taken += others
            window.accept(burst, others)  # before any worker can have written an outcome
            self._offer(burst, others)
        if not accepted:
            if self._aside is not None:
                self._form_batches()
            return
        if was_full and self.upstream is not None:
            self.shared.waker.wake_here(self.upstream)
        if self.stage.timeout is not None and not self._watched:
            self._watched = True
            self._timer.set(time.monotonic() + self.stage.timeout)

    def _offer(self, burst: list[Item], others: int) -> None:
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
        self._unpark_idle()

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
            self._unpark_idle()

    def _unpark_idle(self) -> None:
        """Wake as many idle workers as there are entries to take."""
        most, idle = len(self.inbox), self.idle
        while most > 0 and idle:
            shift = idle.popleft()
            if shift.idle:
                most -= shift.parking.unpark()

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
            if taken is None or taken.stale:
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
        items = taken if isinstance(taken, Batch) else (taken,)
        if all(item.outcome != WAITING for item in items):
            return  # it has just ended
        exc = TimeoutError(f"a call of stage {self.stage.name!r} took longer than {self.stage.timeout} seconds")
        failed_at = 0.0 if self.asking is None else self.shared.now()
        replaced = False
        for item, failed in zip(items, self.failed(taken, given, exc, shift.called_at, failed_at), strict=True):
            if item.outcome != WAITING:
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

    def flush(self, interrupt: Interrupt) -> tuple[DroppedItems, list[Item]]:
        """Drop every item of this stage; return what was dropped, and the rest in order.

        A call that is running becomes an orphan, and its shift is ended.
        """
        waiting = self.link.drain()
        self._take_back()
        held = self.window.clear()
        others = [each for each in (*held, *waiting) if each.outcome >= SENTINEL]
        counts = self.stage.counts
        counts.fanned_out += self.window.fanned_out
        self.window.fanned_out = 0
        queued = [each for each in waiting if each.outcome < SENTINEL]
        in_call: list[Item] = []
        finished: list[Item] = []
        for item in held:
            if item.outcome >= SENTINEL:
                continue
            if item.stale:
                queued.append(item)
            elif item.outcome == WAITING:
                item.stale = True  # before its children are looked at: none is added unseen
                in_call.append(item)
                self._drop_children(item, finished, beyond=1)
            elif item.outcome == EXPANDED:
                self._drop_children(item, finished, beyond=0)
            else:
                self._drop_outcome(item, finished)
        counts.dropped += len(queued) + len(in_call) + len(finished)
        if queued or in_call or finished:
            counts.dropped_at = max(counts.dropped_at, interrupt.began)
        self._end_calls(interrupt, in_call)
        self._unpark_full()
        if self.shared.turns is not None:
            interrupt.items += [*queued, *finished]
        return DroppedItems(len(queued), len(in_call), len(finished)), others

    def _take_back(self) -> None:
        """Take out what no worker has taken, and know it by that it is stale."""
        for taken in drained(self.inbox):
            for item in taken if isinstance(taken, Batch) else (taken,):
                item.stale = True
        if self._aside is not None:
            for item in self._aside.clear():
                item.stale = True

    def _drop_outcome(self, item: Item, finished: list[Item]) -> None:
        if item.outcome == PASSED:
            finished.append(item)
        elif item.outcome == FILTERED:
            self.stage.counts.filtered += 1
        else:
            self._count_failure(item)

    def _drop_children(self, item: Item, finished: list[Item], *, beyond: int) -> None:
        """Drop what a generator has yielded; ``beyond`` is what more would have come of it."""
        children = item.children
        if children is None:
            return
        outcomes = drained(children)
        for child in outcomes:
            self._drop_outcome(child, finished)
        # The first outcome of a call stands for its item, the others were fanned out.
        self.stage.counts.fanned_out += len(outcomes) + beyond - (not children.passed)

    def _end_calls(self, interrupt: Interrupt, in_call: list[Item]) -> None:
        """End the shifts whose call was dropped, and have the interrupt watch all that are stale."""
        ended, unseen = self._shifts_in_call(in_call)
        if self.shared.turns is not None:
            interrupt.items += unseen
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

    def _shifts_in_call(self, in_call: list[Item]) -> tuple[list[Shift], list[Item]]:
        """The shifts that have taken these items, and those of the items that nobody shows yet.

        If there are any, a worker is between taking and showing what it has taken, and every one that
        cannot be said to be idle counts as in a call.
        """
        found: dict[Shift, None] = {}
        seen: set[int] = set()
        for shift in self.shifts:
            taken = shift.current
            if taken is not None and taken.stale and shift not in self.stale_shifts:
                shift.dropped = taken
                found[shift] = None
                seen.update(map(id, taken if isinstance(taken, Batch) else (taken,)))
        unseen = [item for item in in_call if id(item) not in seen]
        if unseen:
            between = [each for each in self.shifts if each.current is None and not each.parking.parked]
            found.update(dict.fromkeys(between))
        return [*found], unseen

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

    def clear_link(self) -> list[Item]:
        """Drop what waits for this stage, sentinels included; return the items."""
        waiting = self.link.drain()
        queued = [each for each in waiting if each.outcome < SENTINEL]
        self._take_back()
        kept: list[Item] = []
        behind = False
        for item in self.window.clear():
            if item.stale:
                queued.append(item)
            elif item.outcome not in (SENTINEL, RETURNED) or not behind:
                kept.append(item)
            behind = behind or item.outcome == WAITING
        self.window.take_back(kept)
        if end := lasting(waiting, sentinels=False):
            self.link.send(end, 1)
        self.stage.counts.dropped += len(queued)
        return queued

    # -- what can be read at any moment ------------------------------------------------------------

    @property
    def occupied(self) -> bool:
        """Whether anything is inside that an entry put behind it would have to wait for."""
        return self.link.level > 0 or len(self.window) > 0

    @property
    def inside(self) -> int:
        """Items in the link and in the window."""
        return self.link.items + self.window.items

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
            queue_depth=self.link.level + self._untaken() + self.window.others,
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
