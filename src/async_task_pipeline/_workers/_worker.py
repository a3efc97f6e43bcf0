"""What every kind of worker does: one shift after another, and writing what came of a call.

The rule: a worker takes, calls, and writes the outcome into what it has taken; it decides nothing.
What is stale, what a failure means and where results go is the stage runner's business, on the
loop. A kind of worker decides where the call is made (:py:mod:`._thread`, :py:mod:`._task`, ...);
everything it has to write stands here once.

**What threads and the loop rely on.** No lock is taken for an item that is taken or an outcome
that is written. That is right because of the following, all of which CPython promises, with the global
interpreter lock (one bytecode or C call at a time) and on free-threaded builds (each object has a
lock of its own, and attribute writes are published in the order in which they were made):

1. ``deque.append``, ``appendleft``, ``popleft`` and ``extend`` are atomic. An item is taken by one
   worker or drained by the loop, never both: ``inbox.popleft`` decides.
2. What is written before an attribute is seen by whoever sees the attribute: ``data``, ``children``
   and ``timestamps`` before ``outcome``; ``began`` before ``current``; ``outcome`` before
   ``current = None``. So the loop that sees an outcome sees what it publishes.
3. Flag first, look second: a worker that parks sets ``parked`` and then looks at the inbox again; the
   loop fills the inbox and then looks at ``parked``. The two cannot both miss the other. On a
   free-threaded build the ``append`` to ``idle`` between flag and look takes that deque's lock, which
   keeps the processor from reordering them. :py:meth:`.Waker.wake` and its ``woken`` are the same
   pattern the other way round.
4. The same once more: a worker sets ``current`` and then looks whether its inbox is still the stage's;
   an interrupt puts another inbox in its place and then looks at ``current``. So what was taken in that
   instant is either seen by the interrupt, or not called. ``inbox`` is written while ``current`` is
   ``None``, so what is shown with an older one is nothing that a later interrupt has to drop.
5. ``stale`` is written by the loop alone and only from false to true. A generator whose worker reads it
   too early makes a step nobody wants, which is waste and was counted as a call.
6. A float is added to by its worker alone (:py:class:`.Spent`), since adding is two steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from types import GeneratorType
from typing import Any, Generic, Self, TypeVar

from anyio import Event

from .._engine._item import EXPANDED, FAILED, FILTERED, PASSED, Batch, Children, Failed, Item, Taken
from .._engine._shift import Shift
from .._engine._stage_runner import StageRunner
from .._exceptions import StageProtocolError, add_note, not_awaited, raisable, shown
from .._native import NativeCancellations, cancelled_from_outside
from .._stage import PipelineStage

ShiftT = TypeVar("ShiftT", bound=Shift)

MOST_TYPES = 64
"""How many types of results a worker remembers to be plain: more than a stage has, unless it makes
types as it goes, which must not all be kept alive."""


def no_clock() -> float:
    """Stand in for the clock while timing is off."""
    return 0.0


class StageWorker(ABC, Generic[ShiftT]):
    """A worker of one stage.

    Attributes:
        ready: Set when calls can be made, or never will be.
        function: What is called with an item's data.
    """

    def __init__(self, runner: StageRunner) -> None:
        self.runner = runner
        self.stage = runner.stage
        self.shared = runner.shared
        self.ready = Event()
        self.function: Any = runner.stage.process_fn
        self._ordered = runner.stage.ordered
        self.timed = runner.shared.clock is not None
        # Whether the time of a call is wanted: for the report, or by who is asked about failures.
        self.clocked = self.timed or runner.asking is not None
        self.clock = runner.shared.now if self.clocked else no_clock
        # Types that are known to be neither generators nor awaitable.
        self.plain: set[type] = set()
        self.resets = False
        self.shift: ShiftT | None = None

    @classmethod
    def check(cls, stage: PipelineStage) -> None:
        """Raise if the stage asks for what this kind cannot do; called when the stage is added."""

    @classmethod
    def all_of(cls, runner: StageRunner) -> Sequence[StageWorker[Any]]:
        """The workers of a stage, and whatever they share."""
        return [cls(runner) for _ in range(runner.stage.workers)]

    # -- its life -------------------------------------------------------------------------

    @abstractmethod
    def new_shift(self, *, resets: bool) -> ShiftT:
        """A shift that begins now; ``resets`` if the stage's ``on_interrupt`` comes first."""

    @abstractmethod
    async def work(self, shift: ShiftT) -> BaseException | None:
        """Make calls until the shift is over, and return what ended it if that is no call's failure.

        What a call raised is written as its failure, unless it is no :py:exc:`Exception`: that is
        returned or raised while ``shift.current`` tells of which call. Must not return while a call
        is running.
        """

    async def __aenter__(self) -> Self:
        """Come to life, in the task that will work."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Leave nothing behind, in the same task."""

    def cut_short(self) -> None:
        """End the running call, if there is a way to other than cancelling it."""

    async def live(self) -> None:
        """Come to life, make calls until the stage closes, and leave nothing behind."""
        try:
            async with self:
                await self.work_shifts()
        except self.shared.cancelled as exc:
            if cancelled_from_outside():
                raise
            self.runner.end_with(exc)  # made up by what makes the state, or leaves it
        except BaseException as exc:
            if self.only_cancelled(exc):
                raise
            self.runner.end_with(exc)
        finally:
            self.ready.set()  # whoever waits for it: it will never be

    async def work_shifts(self) -> None:
        """One shift after another, until the stage closes or a shift was replaced."""
        while not self.runner.closing:
            resets, self.resets = self.resets, False
            shift = self.new_shift(resets=resets)
            if self.shift is not None and not self.shift.replaced:  # or another thread is still at work with it
                shift.expanded = self.shift.expanded
            await self._work_shift(shift)
            if shift.replaced or self.must_move():
                return

    def must_move(self) -> bool:
        """Whether the next shift has to be worked by another task."""
        return False

    async def _work_shift(self, shift: ShiftT) -> None:
        self.shift = shift
        self.runner.begin_shift(shift)
        exc: BaseException | None = None  # also if the scope was cancelled
        try:
            with shift.scope:
                exc = await self.work(shift)
        except self.shared.cancelled as raised:
            if cancelled_from_outside():
                self.warn_if_left_behind(shift)
                raise
            exc = raised
        except BaseException as raised:
            if self.only_cancelled(raised):
                raise
            exc = raised
        finally:
            self.runner.end_shift(shift)
        if exc is not None:
            self._ended_with(shift, exc)

    def _ended_with(self, shift: Shift, exc: BaseException) -> None:
        taken = shift.current
        if isinstance(exc, self.shared.cancelled):
            # Asked for by the end of the shift; or by nobody, then it is the call's failure.
            if not shift.over and taken is not None:
                now = self.clock()
                self._failed_with(taken, raisable(exc, self.shared.cancelled), now, now)
                self.runner.shared.waker.wake_here(self.runner)
            elif not shift.over:
                self.runner.end_with(exc)
            return
        if taken is not None and not taken.stale:
            self._write_failure(taken, self.runner.failed(taken, taken.data, exc, 0.0, 0.0), 0.0, 0.0)
        self.runner.end_with(exc)
        self.ready.set()

    def only_cancelled(self, exc: BaseException) -> bool:
        """Whether it is a group of nothing but cancellations, as a nursery of trio's raises."""
        return isinstance(exc, BaseExceptionGroup) and exc.split(self.shared.cancelled)[1] is None

    def warn_if_left_behind(self, shift: Shift) -> None:
        """Log it if a thread is still in a call that could not be waited for."""

    def native_cancellations(self) -> NativeCancellations:
        """Those of the current task."""
        return NativeCancellations(self.shared.main_task)

    # -- what came of a call ----------------------------------------------------------------

    def _write(self, item: Item, data: Any, outcome: int) -> None:
        item.data = data
        item.outcome = outcome  # publishes the rest
        if not self._ordered:
            self.runner.published.append(item)

    def spend(self, taken: Taken, start: float, end: float, *, useful: bool) -> None:
        """Add the seconds of one call or step, with timing on."""
        counts = self.stage.counts  # each time: they may have been cleared
        spent = counts.by_worker.get(self)
        if spent is None:
            spent, start = counts.first_of(self, start)
        spent.ended = end  # before the seconds: see StageRunner.calls_since
        seconds = end - start
        spent.seconds += seconds
        if taken.stale or not useful:
            spent.unproductive += seconds

    def interrupted(self, taken: Taken, start: float) -> None:
        """Add what a call has taken that was ended before it had an outcome, with timing on."""
        if self.timed:
            end = self.clock()
            self.spend(taken, start, end, useful=False)
            for item in taken if isinstance(taken, Batch) else (taken,):
                item.timestamps += (start, end)

    def returned(self, item: Item, value: Any, start: float, end: float) -> None:
        """Write what a plain call returned; ``None`` means filtered."""
        if self.timed:
            self.spend(item, start, end, useful=value is not None)
            item.timestamps += (start, end)
        self._write(item, value, FILTERED if value is None else PASSED)

    def yielded(self, item: Item, value: Any, start: float, end: float) -> None:
        """Add one outcome of a generator; ``None`` means filtered."""
        if self.timed:
            self.spend(item, start, end, useful=value is not None)
            if item.children is None:
                self._note_wait(item, start)
        self.add_child(item, item.child(value, FILTERED if value is None else PASSED, start, end))

    def note_expanded(self, shift: Shift, item: Item) -> None:
        """Know that something which the item's call has yielded may still be there."""
        if item.children and not (shift.expanded and shift.expanded[-1] is item):
            shift.expanded.append(item)

    def _note_wait(self, item: Item, start: float) -> None:
        """Add how long the item of a generator had waited: each of its values shows that, and what came before it."""
        spent = self.stage.counts.by_worker[self]
        spent.expanded += 1
        spent.waited += start - item.timestamps[-1]

    def full(self, shift: Shift) -> bool:
        """Whether so much of what this worker's generators have yielded is still there that no more may be.

        Of all of them together, or the window would hold the bound's number for each of its items.
        What it has yielded before leaves before, so the earliest call is never kept waiting by later ones.
        """
        expanded = shift.expanded
        while expanded and (expanded[0].stale or not expanded[0].children):
            expanded.popleft()
        return sum(len(item.children or ()) for item in expanded if not item.stale) >= self.shared.bound

    def add_child(self, item: Item, child: Item) -> None:
        """Add one outcome of a generator."""
        if item.children is None:
            item.children = Children()
        item.children.append(child)
        if not self.stage.ordered:
            self.runner.published.append(item)

    def exhausted(self, item: Item, start: float, end: float) -> None:
        """Write that a generator has ended."""
        if self.timed:
            self.spend(item, start, end, useful=item.children is not None)
        if item.children is None:
            if self.timed:
                self._note_wait(item, start)
                item.timestamps += (start, end)
            self._write(item, None, FILTERED)
        else:
            self._write(item, None, EXPANDED)

    def raised(self, taken: Taken, exc: BaseException, start: float, end: float) -> None:
        """Write that a call has failed."""
        if self.timed:
            self.spend(taken, start, end, useful=False)
        self._failed_with(taken, exc, start, end)

    def _failed_with(self, taken: Taken, exc: BaseException, start: float, end: float) -> None:
        of_each = self.runner.failed(taken, taken.data, exc, start, end)  # before the first has another data
        if self.runner.asking is None:  # or what it means is not known yet
            self._write_failure(taken, of_each, start, end)
        # At once, so that a slow item in front does not hide it.
        self.runner.failures.append((taken, of_each))

    def _write_failure(self, taken: Taken, of_each: list[Failed], start: float, end: float) -> None:
        for item, failed in zip(taken if isinstance(taken, Batch) else (taken,), of_each, strict=True):
            if item.children is not None:
                self.add_child(item, item.child(failed, FAILED, start, end))
                self._write(item, None, EXPANDED)
            else:
                if self.timed:
                    item.timestamps += (start, end)
                self._write(item, failed, FAILED)

    def returned_batch(self, batch: Batch, results: Any, start: float, end: float) -> None:
        """Write the results of a batch, one for each item or any number."""
        per_item = self.stage.batch is None or self.stage.batch.per_item
        if not is_sequence(results) or (per_item and len(results) != len(batch)):
            error = self._not_a_list(batch, results)
            if isinstance(results, GeneratorType):
                # Now, and not when it is collected: one of a process keeps that from the next call.
                try:
                    results.close()
                except Exception as exc:
                    add_note(error, f"and the generator failed when it was closed: {shown(exc)}")
            self.raised(batch, error, start, end)
            return
        values = list(results)
        if self.timed:
            self.spend(batch, start, end, useful=True)
            if not batch.stale and values:
                # Each item was computed as long as its batch, but the seconds were spent once.
                useless = sum(each is None for each in values) / len(values)
                self.stage.counts.by_worker[self].unproductive += (end - start) * useless
            for item in batch:
                item.timestamps += (start, end)
        # What there is no result for was filtered; what there is no item for was fanned out.
        beyond = values[len(batch) :]
        values += [None] * (len(batch) - len(values))
        for item, value in zip(batch[: len(batch) - bool(beyond)], values, strict=False):
            self._write(item, value, FILTERED if value is None else PASSED)
        if beyond:
            last = batch[-1]
            for value in (values[len(batch) - 1], *beyond):
                child = last.child(value, FILTERED if value is None else PASSED, start, end)
                if self.timed:
                    child.timestamps = [*last.timestamps]
                self.add_child(last, child)
            self._write(last, None, EXPANDED)

    def _not_a_list(self, batch: Batch, returned: Any) -> StageProtocolError:
        counted = is_sequence(returned)
        amount = f"a list of {len(returned)}" if counted else shown(returned)
        wanted = "a list of as many results" if self.stage.batch is None or self.stage.batch.per_item else "a list"
        return StageProtocolError(
            f"stage {self.stage.name!r}: process_fn {shown(self.stage.process_fn)} was called with a list of "
            f"{len(batch)} item{'s' if len(batch) > 1 else ''}, must return {wanted}, and returned {amount}"
        )

    def remember_plain(self, kind: type) -> None:
        """Know that results of this type are neither generators nor awaitable."""
        if len(self.plain) >= MOST_TYPES:
            self.plain.clear()
        self.plain.add(kind)

    def not_awaited(self, kind: str, *, on_loop: bool = False) -> StageProtocolError:
        """The error for a call that returned what somebody has still to run."""
        return not_awaited(self.stage.process_fn, kind, f"stage {self.stage.name!r}: ", on_loop=on_loop)


def is_sequence(results: object) -> bool:
    """Whether it has a length and an order; a text is one value, and so is a mapping."""
    if isinstance(results, (list, tuple)):
        return True
    if isinstance(results, (str, bytes, bytearray, Mapping, AbstractSet)):
        return False
    return hasattr(type(results), "__len__") and hasattr(type(results), "__getitem__")
