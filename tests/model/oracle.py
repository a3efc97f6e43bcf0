"""What a case may show, whatever its chain and its schedule: the guarantees, as rules for a reader.

The rule: everything here is decided in the step in which it is known, on the loop, from what a user
can see. What it demands:

- **Nothing stale** (G11). What was in a stage, or put, before an interrupt is entered is not read after it.
  An item is known to be in a stage from the moment its function is called with it, so that much is
  known of every item that a thread or a task is called with. That an item was put before the interrupt is known of those that a task puts,
  and of those of a turn. Of what a thread or a source puts without a turn it is not: between reading
  the number of the turn and the put an interrupt may come.
- **Sentinels** (G12): each is read once, none that ``clear`` has dropped, and all of them unless queues were
  cleared or the pipeline was stopped; in the order in which they were accepted.
- **Order** (G1): if every stage keeps it, what one producer put comes out as it put it, and what came of an
  item in its place. Whatever the stages, nothing is read twice, and no item is read on the other side of
  a sentinel that its producer put.
- **Conservation** (G2): the law, at each step; as many items were delivered as were read, and accepted as
  puts have returned, unless counters were set back or a source was read. Of a put that raised, nothing is
  read.
- **Calls** (G14): no stage makes more at once than it has workers.

What it allows: a stage with ``interruptible=False`` keeps its items, so only what had been called
behind the last of these is stale, and a marker may overtake sentinels that wait for such a stage; a
marker of an interrupt from a later stage may overtake sentinels before that stage; the order of two
producers is not known, only that of each; a failure that tells no item (a timeout, a batch) has no
place; a reentrant stage makes any number of calls; how many a process makes at once is not looked at.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from async_task_pipeline import WorkerDiedError
from tests.support.law import assert_law

SHORTEST = 2
"""Elements of the path of an item that was put: its producer and its number."""


@attrs.frozen
class Piece:
    """An item: where it comes from, and in which turn it was put, if that is known.

    Attributes:
        path: Its producer and its number there; what comes of it adds a number of its own.
        turn: How many times everything had been dropped before it was put.
    """

    path: tuple
    turn: int | None = None

    def child(self, number):
        return Piece((*self.path, number), self.turn)

    @property
    def origins(self):
        """The paths of the item and of those that it comes from."""
        return [self.path[:length] for length in range(SHORTEST, len(self.path) + 1)]


@attrs.frozen(eq=False)
class Sentinel:
    """A sentinel.

    Attributes:
        number: As it was made.
        first: Of the marker of an interrupt, the first stage interrupted.
        behind: The path of the item that its producer put last, if that puts items too.
    """

    number: int
    first: int | None = None
    behind: tuple | None = None


@attrs.frozen
class Older:
    """What is stale once an interrupt has been made: the turns before this one, and these paths."""

    turn: int
    paths: set


def keeps_order(stage):
    """Whether no item overtakes another; a single worker's do if a function is asked about failures."""
    return stage.ordered or (stage.workers == 1 and not callable(stage.on_error))


FAILURES = (ValueError, KeyError, TimeoutError, WorkerDiedError)
"""What the functions of a chain raise, and what a call has failed with that took too long, or whose process died."""


class Oracle:
    """What is known of one pipeline, and what was read of it."""

    def __init__(self, pipeline):
        self.pipeline = pipeline
        self.turn = 0
        self.oldest = 0
        self.stale = set()
        self.faults = []
        self._lock = threading.Lock()
        self._called = [set() for _ in pipeline.stages]
        self._in_call = [0 for _ in pipeline.stages]
        self._returned = 0
        self.countable = True
        self.delivered = 0
        self.begin_life()

    def begin_life(self):
        """Forget what belongs to one run; nothing of it is read in the next."""
        self.accepted, self.seen = [], []
        self.gone = set()
        self.lost = False
        self._last, self._furthest, self._fences = {}, {}, {}
        self._paths, self._refused = set(), set()
        self.oldest = self.turn = self.turn + 1

    # -- in the stages, in any thread ----------------------------------------------------------

    @contextmanager
    def call(self, index, *pieces) -> Iterator[None]:
        """Note a call of a stage."""
        stage = self.pipeline.stages[index]
        with self._lock:
            self._called[index].update(piece.path for piece in pieces)
            self._in_call[index] += 1
            if self._in_call[index] > stage.workers and not stage.reentrant:
                self.faults.append(f"{self._in_call[index]} calls of {stage!r} at once")
        try:
            yield
        finally:
            with self._lock:
                self._in_call[index] -= 1

    @contextmanager
    def put(self, piece) -> Iterator[None]:
        """Note whether a put returns or raises, in the step, or in the thread, in which it does."""
        try:
            yield
        except BaseException:
            self._refused.add(piece.path)
            raise
        with self._lock:
            self._returned += 1

    # -- what is dropped -----------------------------------------------------------------------

    @property
    def protected(self):
        return [index for index, stage in enumerate(self.pipeline.stages) if not stage.interruptible]

    def before_interrupt(self, first):
        """What an interrupt that is made from now on makes stale."""
        behind = max([first, *(index + 1 for index in self.protected)])
        with self._lock:
            if first == 0:
                self.turn += 1
            paths = set().union(*self._called[behind:])
            return Older(self.turn if behind == 0 else 0, paths)

    def interrupted(self, older):
        with self._lock:
            self.oldest = max(self.oldest, older.turn)
            self.stale |= older.paths

    def cleared(self):
        """Everything is dropped, sentinels and what is protected too, and counters are set back."""
        with self._lock:
            self.oldest = self.turn = self.turn + 1
            self.stale |= set().union(*self._called)
        self.gone |= {*self.accepted} - {*self.seen}
        self.delivered = 0
        self.countable = False

    # -- sentinels -----------------------------------------------------------------------------

    def new_sentinel(self, first=None, behind=None):
        return Sentinel(len(self.accepted), first, behind)

    def accept(self, sentinel):
        """Note one in the step in which it was accepted."""
        self.accepted.append(sentinel)

    # -- what is read --------------------------------------------------------------------------

    def read(self, result):
        """Judge what was read, in the step in which it was."""
        if isinstance(result, Sentinel):
            self._read_sentinel(result)
            return
        piece = result
        if isinstance(result, Exception):
            assert type(result) in FAILURES, f"no stage raises {result!r}"
            piece = result.args[0] if result.args else None
        else:
            self.delivered += 1
        if isinstance(piece, Piece):
            self._check_fresh(piece)
            self._check_place(piece)

    def _check_fresh(self, piece):
        if piece.turn is not None:
            assert piece.turn >= self.oldest, f"stale: {piece} of a turn before {self.oldest}"
        for path in piece.origins:
            assert path not in self.stale, f"stale: {piece}, of which {path} had been called"
            assert path not in self._refused, f"{piece} came, but the put of {path} raised"

    def _check_place(self, piece):
        assert piece.path not in self._paths, f"{piece} came twice"
        self._paths.add(piece.path)
        producer = piece.path[0]
        if all(map(keeps_order, self.pipeline.stages)):
            before = self._last.get(producer, ())
            assert before < piece.path, f"{piece} came after {before}"
        self._last[producer] = piece.path
        self._furthest[producer] = max(piece.path, self._furthest.get(producer, ()))
        fence = self._fences.get(producer)
        if fence is not None:
            assert piece.path[: len(fence)] > fence, f"{piece} came after a sentinel put after {fence}"

    def _read_sentinel(self, sentinel):
        assert sentinel in self.accepted, f"{sentinel} was never accepted"
        assert sentinel not in self.gone, f"{sentinel} was cleared"
        assert sentinel not in self.seen, f"{sentinel} came twice"
        self.seen.append(sentinel)
        self._read_fence(sentinel)

    def _read_fence(self, sentinel):
        """What a producer put before a sentinel has to be read by now, and nothing that it put after it."""
        if sentinel.behind is None:
            return
        producer = sentinel.behind[0]
        furthest = self._furthest.get(producer, ())
        assert furthest[: len(sentinel.behind)] <= sentinel.behind, f"{furthest} came before {sentinel}"
        self._fences[producer] = sentinel.behind

    # -- at a step, and at the end ---------------------------------------------------------------

    def check(self):
        """At a step on the loop."""
        assert not self.faults, self.faults
        assert_law(self.pipeline)
        assert self.pipeline.statistics().delivered == self.delivered

    def check_end(self, *, stopped):
        """When a run is over and everything has been read."""
        self.check()
        now = self.pipeline.statistics()
        assert (now.inside, now.output_depth) == (0, 0), now
        assert not self.countable or now.accepted == self._returned, f"{self._returned} puts returned: {now}"
        if not stopped and not self.lost:
            missing = [each for each in self.accepted if each not in self.seen and each not in self.gone]
            assert not missing, f"lost sentinels: {missing}"
        self._check_order()

    def _check_order(self):
        positions = {sentinel: place for place, sentinel in enumerate(self.accepted)}
        for at, sentinel in enumerate(self.seen):
            later = [each for each in self.seen[at + 1 :] if positions[each] < positions[sentinel]]
            if sentinel.first is not None and (sentinel.first > 0 or self.protected):
                later = [each for each in later if each.first is not None]
            assert not later, f"{sentinel} overtook {later}"
