"""Where items enter: the one place that accepts, or makes a producer wait.

The rule: a put that returns was accepted, a put that raises was not, and both are known in the
same step. While there is room, a put is accepted where it is made, in a thread too: "room? then
append" happens under a short lock, which the step of an interrupt shares, so an item is either of
the turn that was interrupted or of the next, and its put knows which. No producer makes a round
trip to the loop for it.

Who finds no room waits in one queue, in order. A waiting thread is accepted by the loop; a task is
woken when it is first and there is room, and then puts its item itself, in the tick in which it
runs: cancelled natively in that very tick, it raises and has put nothing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from queue import SimpleQueue
from typing import Any, Literal, TypeAlias

import attrs
from anyio import Event, WouldBlock
from anyio.lowlevel import checkpoint_if_cancelled

from .._arguments import finite, plain_number
from .._exceptions import PipelineStateError, shown, stopped
from .._log import logger
from .._timing._clock import Clock
from ._item import END, PASSED, Item, TimedItem
from ._stage_runner import Shared, StageRunner
from ._turn import Turn
from ._wakeup import ITEMS_PER_STEP

Overflow = Literal["wait", "drop_oldest", "drop_newest"]
"""What a full input means to a producer: wait, or lose an item, the oldest that waits or the one
just put."""

Answer: TypeAlias = SimpleQueue[BaseException | None]
"""Where a thread that waits gets ``None`` or what to raise."""


@attrs.define(eq=False, repr=False)
class Producer:
    """A put that waits for room.

    Attributes:
        item: What is put; belongs to the producer until it is accepted.
        answer: What a task waits for, or a thread.
        turn: The turn that it is put for, if any.
        source: Who reads the source it comes from, if it comes from one.
        dropped_in: The number of the turn with which an interrupt dropped a task's item.
    """

    item: Item
    answer: Event | Answer
    turn: Turn[Any, Any] | None = None
    source: object = None
    dropped_in: int | None = None

    def refuse(self, error: BaseException | None) -> None:
        """Wake the put: a task's looks why, a thread's raises this, or returns for ``None``."""
        if isinstance(self.answer, Event):
            self.answer.set()
        else:
            self.answer.put(error)


class Input:
    """The input of one run.

    Attributes:
        lock: Taken while anything is accepted, by whoever does it. What it guards: ``sent`` and
            ``others`` of the first link, ``accepted`` and ``refused`` of the first stage, the
            queue of producers, the turns, and whether the input is closed. Reentrant, because an
            interrupt has it for its whole step.
    """

    def __init__(
        self,
        first: StageRunner,
        shared: Shared,
        *,
        numbers: Iterator[int],
        overflow: Overflow,
        on_wait: Callable[[], object] | None,
    ) -> None:
        self.lock = threading.RLock()
        self.woken = False
        self._first = first
        self._link = first.link
        self._shared = shared
        self._overflow = overflow
        self._on_wait = on_wait
        self._numbers = numbers
        # Accepted, and not in the link's stream yet, which is the loop's.
        self._arrivals: list[Item] = []
        self._line: deque[Producer] = deque()
        self._closed: Callable[[], PipelineStateError] | None = None
        self._turns: dict[Turn[Any, Any], None] = {}
        # The turn to which whatever is put without one belongs; 0 if none has begun.
        self._number = 0
        # For the loop to note in the report: turns that threads have begun, and what had no room.
        self._begun: list[tuple[int, float]] = []
        self._refused: list[Item] = []
        # How many times everything was dropped, for puts that let others run before they are accepted.
        self._flushes = 0
        # Whether a created_at that cannot be right has been met.
        self._doubted = False

    # -- putting ------------------------------------------------------------------------------

    @property
    def has_waiting(self) -> bool:
        """Whether a producer waits for room."""
        return bool(self._line)

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is accepted."""
        return self._closed is not None

    def check_here(self) -> None:
        """Raise if the caller is in another thread, or on another loop."""
        self._shared.waker.check_here("a put that waits in a task")

    def check_elsewhere(self) -> None:
        """Raise if the caller is in the loop's thread."""
        if threading.get_ident() == self._shared.waker.thread:
            raise PipelineStateError("a put that blocks belongs in another thread than the event loop's")

    def check_open(self) -> None:
        """Raise what closed the input, if it is closed."""
        if self._closed is not None:
            raise self._closed()

    def refusal(self) -> PipelineStateError | None:
        """What a put would raise now, if the input is closed."""
        return None if self._closed is None else self._closed()

    def item(self, data: Any, created_at: float | None = None, turn: Turn[Any, Any] | None = None) -> Item:
        """The item for some data; its timestamps begin when it is accepted."""
        if created_at is not None:
            created_at = self._created(created_at)
        if self._shared.clock is None:
            return Item(data)
        return TimedItem(data, PASSED, created_at, [], 0 if turn is None else turn.number)

    def read(self, data: Any) -> Item:
        """The item for some data just read from a source; the wait for room is part of its latency."""
        clock = self._shared.clock
        return Item(data) if clock is None else TimedItem(data, PASSED, clock(), [])

    def _created(self, created_at: Any) -> float | None:
        """An instant as a number of seconds; unknown, if nobody asks or it cannot be right."""
        number = plain_number(created_at)
        if not isinstance(number, (int, float)):
            raise TypeError(f"created_at must be a number of seconds or None, not {shown(created_at)}")
        if self._shared.clock is None:
            return None
        now = self._shared.clock()
        if finite(number) and number <= now:
            return float(number)
        if not self._doubted:
            self._doubted = True
            logger.warning(
                "created_at=%s counts as unknown: it must be a past instant of the pipeline's clock, which says %r; "
                "time.time() is another clock than time.perf_counter(). Others of this run are not logged",
                shown(created_at),
                now,
            )
        return None

    def put_nowait(self, item: Item) -> None:
        """Accept an item on the loop, or raise :py:exc:`anyio.WouldBlock` if there is no room."""
        if not self._put_here(item, None):
            raise WouldBlock

    async def put(self, item: Item, turn: Turn[Any, Any] | None = None) -> None:
        """Accept an item as soon as there is room and every earlier producer has gone."""
        waker = self._shared.waker
        # Who never waits has to let others run: in line, so that nobody is accepted before it; and
        # before it is accepted, for native cancellation.
        if self._overflow != "wait":  # where it might be dropped, nobody waits in line
            if waker.keeps_loop and await self._dropped_meanwhile(item, turn):
                return
            if self._put_here(item, turn):
                return
        elif not waker.keeps_loop and self._put_here(item, turn):
            return
        producer = Producer(item, let_in := Event(), turn)
        with self.lock:
            if turn is not None:
                turn.check()
            self.check_open()
            self._line.append(producer)
        waker.wake_here(self)
        try:
            await let_in.wait()
        except BaseException:
            self._leave(let_in)
            raise
        if producer.dropped_in is not None:
            self._count_dropped(1, producer.dropped_in)
            return
        if self._closed is not None or (turn is not None and turn.over):
            await checkpoint_if_cancelled()  # the more telling of two reasons
        with self.lock:
            if turn is not None:
                turn.check()
            self.check_open()
            self._line.popleft()
            self._accept(item)
        self._shared.waker.pump_now(self)

    async def _dropped_meanwhile(self, item: Item, turn: Turn[Any, Any] | None) -> bool:
        """Yield to other tasks; true if one of them made an interrupt, which dropped the item with its turn."""
        flushes, number = self._flushes, self._number
        await self._shared.waker.let_others_run()
        if flushes == self._flushes or item.outcome != PASSED or turn is not None or self._closed is not None:
            return False  # of a turn that is over, or a closed input, the put is going to raise
        self._count_dropped(1, number)
        return True

    def put_from_thread(self, item: Item, turn: Turn[Any, Any] | None = None, *, source: object = None) -> None:
        """Accept an item from another thread, blocking it until there is room."""
        waker = self._shared.waker
        self.check_elsewhere()
        answer: Answer | None = None
        with self.lock:
            if waker.gone():
                raise stopped(None)
            if not self._put_now(item, turn):
                answer = SimpleQueue()
                self._line.append(Producer(item, answer, turn, source))
        # Also for one that waits: what a full input drops is dropped on the loop, which also tells who
        # forgets to read. Room that is made wakes the input by itself.
        waker.wake(self)
        if answer is not None:
            self._block(answer)

    def _block(self, answer: Answer) -> None:
        """Wait in a thread until its put is let in, or raise what it is refused with."""
        waker = self._shared.waker
        if waker.gone():
            self._leave(answer)
            raise stopped(None)
        waker.loop_thread.awaited()
        try:
            error = answer.get()
        except BaseException:  # KeyboardInterrupt, in the main thread
            self._leave(answer)
            raise
        if error is not None:
            raise error

    def put_some(self, items: Iterator[Any]) -> int:
        """Accept as many of the next items as there is room for, on the loop; return how many."""
        with self.lock:
            self.check_open()
            room = 0 if self._line else self._link.room
            data_of_next = islice(items, max(0, min(room, ITEMS_PER_STEP)))
            clock = self._shared.clock
            if clock is None:
                new = [Item(data) for data in data_of_next]
            else:
                now = clock()  # once for all: they are accepted in one step
                new = [TimedItem(data, PASSED, None, [now]) for data in data_of_next]
                for item in new:
                    item.turn = self._number or self._number_at(now)
            self._first.stage.counts.accepted += len(new)
            self._link.sent += len(new)
            self._arrivals += new
        if new:
            self._shared.waker.pump_now(self)
        return len(new)

    def _put_here(self, item: Item, turn: Turn[Any, Any] | None) -> bool:
        """Accept an item on the loop's thread, or drop one; false if it has to wait."""
        with self.lock:
            if not self._put_or_displace(item, turn):
                return False
        if self._first.idle:
            self._shared.waker.pump_now(self)
        else:
            self._shared.waker.wake_here(self)  # while workers are busy: with what else comes
        return True

    def _put_or_displace(self, item: Item, turn: Turn[Any, Any] | None) -> bool:
        """Accept an item on the loop, or drop what a full input means to; false if it has to wait."""
        if self._arrivals and self._link.room <= 0:
            self._push()  # the stage may have room for what only waits to be brought there
        if self._put_now(item, turn):
            return True
        if self._overflow == "wait":
            return False
        if self._overflow == "drop_oldest" and not self._line and self._displace() and self._put_now(item, turn):
            return True
        if item.outcome != PASSED:
            return False  # sentinels are never dropped
        self._refuse(item)
        return True

    def _put_now(self, item: Item, turn: Turn[Any, Any] | None) -> bool:
        """Accept an item if there is room and nobody waits; the lock is held."""
        if turn is not None:
            turn.check()
        if self._closed is not None:  # as check_open() has it: a call less for every put
            raise self._closed()
        if self._line or self._link.room <= 0:
            return False
        self._accept(item)
        return True

    def _refuse(self, item: Item) -> None:
        """Accept an item and drop it at once; the lock is held."""
        if self._shared.clock is not None:
            self._stamp(item, self._shared.clock)
        counts = self._first.stage.counts
        counts.accepted += 1
        counts.refused += 1
        self._refused.append(item)

    def _accept(self, item: Item) -> None:
        """Take responsibility for an item; under the lock."""
        if item.outcome == PASSED:
            if self._shared.clock is not None:
                self._stamp(item, self._shared.clock)  # first: an injected clock may raise
            self._first.stage.counts.accepted += 1
        else:
            self._link.others.append(item)
        self._link.sent += 1
        self._arrivals.append(item)

    def _stamp(self, item: Item, clock: Clock) -> None:
        """Note in an item that it is accepted now, and in which turn."""
        now = clock()
        number = self._number_at(now)
        item.timestamps.append(now)
        item.turn = item.turn or number

    def _number_at(self, now: float) -> int:
        """The number of the turn that has begun, or begins with what is accepted now."""
        if not self._number:
            self._number = next(self._numbers)
            self._begun.append((self._number, now))
        return self._number

    def _displace(self) -> bool:
        """Drop the item that has waited longest, on the loop; false if none waits."""
        self._push()
        dropped = self._first.drop_oldest()
        if dropped is None:
            return False
        if self._shared.turns is not None:
            self._shared.turns.drop([dropped], cut_short=False)
        return True

    # -- letting in ---------------------------------------------------------------------------

    def pump(self) -> None:
        """Bring into the link what was accepted, and let in whoever waits, while there is room."""
        self._push()
        while self._line and self._let_in():
            self._push()
        if self._line and self._on_wait is not None:
            self._on_wait()

    def _push(self) -> None:
        with self.lock:
            arrivals, self._arrivals = self._arrivals, []
            begun, self._begun = self._begun, []
            refused, self._refused = self._refused, []
        if self._shared.turns is not None:
            for number, at in begun:
                self._shared.turns.begin(number, at)
            self._shared.turns.drop(refused, cut_short=False)
        if arrivals:
            self._link.push(arrivals)
            self._first.accept()

    def _let_in(self) -> bool:
        """Accept what waiting threads put, up to the first task, which is woken; whether any was."""
        accepted = False
        with self.lock:
            full = self._overflow != "wait" and self._link.room <= 0
            if full and (self._overflow == "drop_newest" or not self._displace()):
                self._refuse_line()
            while self._line and self._link.room > 0:
                head = self._line[0]
                if isinstance(head.answer, Event):
                    # Only the first: on trio, tasks woken together run in any order.
                    head.answer.set()
                    break
                self._line.popleft()
                error: BaseException | None = None
                try:
                    self._accept(head.item)
                except BaseException as exc:  # an injected clock's; the loop is no place for it
                    error = exc
                head.answer.put(error)
                accepted = True
        return accepted

    def _refuse_line(self) -> None:
        """Drop what threads wait with that may be dropped; they have waited for the loop to find no room."""
        line, self._line = self._line, deque()
        for producer in line:
            if isinstance(producer.answer, Event) or producer.item.outcome != PASSED:
                self._line.append(producer)
            else:
                self._refuse(producer.item)
                producer.refuse(None)

    def _leave(self, answer: Event | Answer) -> None:
        """Give up waiting for an answer; it may have come meanwhile, and the next producer is let in."""
        with self.lock:
            self._line = deque(each for each in self._line if each.answer is not answer)
        self._shared.waker.wake(self)

    def refuse_source(self, source: object) -> None:
        """End the wait of the producer that reads a source."""
        with self.lock:
            line, self._line = self._line, deque()
            for producer in line:
                if producer.source is None or producer.source is not source:
                    self._line.append(producer)
                else:
                    producer.refuse(stopped(None))

    # -- turns, interrupts, the end -----------------------------------------------------------

    def begin(self, turn: Turn[Any, Any]) -> int:
        """Make it the current turn, to which plain puts belong too; return its number."""
        with self.lock:
            self.check_open()
            self._turns[turn] = None
            self._number = next(self._numbers)
            if self._shared.turns is not None:
                now = 0.0 if self._shared.clock is None else self._shared.clock()
                self._shared.turns.begin(self._number, now)
            return self._number

    def leave(self, turn: Turn[Any, Any]) -> None:
        """Know the turn no longer, and refuse those who still wait with something of it."""
        with self.lock:
            self._turns.pop(turn, None)
            self._refuse_outlived()
        self._shared.waker.pump_now(self)

    def _refuse_outlived(self) -> None:
        line, self._line = self._line, deque()
        for producer in line:
            if producer.turn is not None and producer.turn.over:
                producer.refuse(producer.turn.error())
            else:
                self._line.append(producer)

    def flush(self) -> int:
        """Bring everything accepted into the link; end the turns; drop what producers wait with.

        Their puts return: the item was accepted, and dropped like all of its turn. Puts bound to a
        turn raise. Waiting sentinels go on waiting; they have not been accepted yet. Under the lock.

        Returns how many items of threads were dropped so. That of a task is counted when its put does
        return, because cancelled natively in the same tick it raises instead, and then the item
        was never accepted.
        """
        self._flushes += 1
        for turn in self._turns:
            turn.interrupt()
            if self._shared.turns is not None:
                self._shared.turns.cut_short(turn.number)
        self.push()
        self._refuse_outlived()
        number, self._number = self._number, 0
        line, self._line = self._line, deque()
        dropped = 0
        for producer in line:
            if producer.item.outcome != PASSED:
                self._line.append(producer)
            elif isinstance(producer.answer, Event):
                producer.dropped_in = number
                producer.answer.set()
            else:
                dropped += 1
                producer.answer.put(None)
        self._count_dropped(dropped, number)
        return dropped

    def push(self) -> None:
        """Bring into the link what was accepted; under the lock."""
        arrivals, self._arrivals = self._arrivals, []
        if arrivals:
            self._link.push(arrivals)

    def _count_dropped(self, items: int, number: int) -> None:
        """Count items that were accepted and dropped in one step."""
        counts = self._first.stage.counts
        with self.lock:
            counts.accepted += items
        counts.dropped += items
        if items and self._shared.turns is not None:
            self._shared.turns.drop_waiting(number, items)

    def close(self, reason: Callable[[], PipelineStateError]) -> None:
        """Accept nothing more; wake whoever waits with an error from ``reason``."""
        with self.lock:
            if self._closed is None:
                self._closed = reason
            line, self._line = self._line, deque()
        for producer in line:
            producer.refuse(reason())

    def abandon(self) -> None:
        """Accept nothing more, and wake the threads that wait; a task has gone with its loop."""
        with self.lock:
            self._line = deque(each for each in self._line if not isinstance(each.answer, Event))
        self.close(partial(stopped, None))

    def end(self, error: BaseException | None = None) -> None:
        """Put the end of input behind everything accepted, bound or no bound. On the loop."""
        if self._closed is not None:
            return
        with self.lock:
            self.close(lambda: PipelineStateError("the input of this pipeline has been closed"))
            self._accept(Item(error, END))
        self._shared.waker.pump_now(self)
