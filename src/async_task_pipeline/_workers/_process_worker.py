"""Workers that have their calls made elsewhere: in a process, or in another interpreter.

The rule: each is a thread whose function sends a request and waits for what came of it, so all that
a thread does applies here too. A process can be ended, so an interrupt or a timeout ends a running call
at once, and the next gets a fresh process; one is kept on standby for that. A process that ends by
itself has failed the call it was in and nothing else. An interpreter cannot be ended.

Instants measured over there are put between the sending of the request and the arrival of the
reply, half of what the round trip took besides on either side: the way there is queue wait, the way
back transmission.
"""

from __future__ import annotations

import math
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import GeneratorType
from typing import Any

from anyio import CancelScope, Event

from .._engine._loop_thread import LoopThread
from .._engine._stage_runner import StageRunner
from .._exceptions import WorkerDiedError, shown, told
from .._log import logger
from .._stage import PipelineStage
from ._elsewhere import UnheardError, WorkerElsewhere, WorkerGoneError
from ._interpreter import Interpreters
from ._pickling import by_value_is_possible, names_missing_main, packed_for_worker, remedies, why_main_is_not_importable
from ._process import CREDIT, Standby, WorkerProcess
from ._thread import ThreadWorker
from ._worker import StageWorker

HAS_INTERPRETERS: bool = sys.version_info >= (3, 13)
"""Whether this Python has them, and anyio a way to use them."""


class ElsewhereWorker(ThreadWorker):
    """A worker whose calls are made elsewhere, in what outlives its shifts unless it is killed."""

    def __init__(self, runner: StageRunner, start: Callable[[], WorkerElsewhere]) -> None:
        super().__init__(runner)
        self.ready = Event()
        self.function = self._call_there
        self._start = start
        self._there: WorkerElsewhere | None = None

    @classmethod
    def check(cls, stage: PipelineStage) -> None:
        """Raise if a function cannot be sent there."""
        _check_picklable(stage, "process_fn", stage.process_fn)
        _check_picklable(stage, "setup", stage.setup)

    async def __aexit__(self, *exc_info: object) -> None:
        """Leave nothing running."""
        if self._there is None and not self._inside:
            return
        with CancelScope(shield=True):
            try:
                await LoopThread.here().run(self.leave)
            except RuntimeError:
                there, self._there = self._there, None
                if there is not None:  # there was no thread to be had in which it could be asked to leave
                    there.kill()
                    there.ended()
                raise

    def cut_short(self) -> None:
        """Kill what makes the running call, or is in its set-up, which may never end."""
        there = self._there  # the thread may drop it at any moment
        in_call = self.shift is not None and self.shift.current is not None
        if there is not None and (in_call or not there.is_ready()):
            there.kill()

    # -- in the thread ------------------------------------------------------------------------

    def enter(self) -> None:
        """Start what makes the calls, if it is not alive."""
        there = self._there
        if there is not None and not there.is_alive():
            self._there = None
            there.ended()  # waited for, so that nothing of it is left; killed, or for want of calls nobody's fault
        if self._there is None and not self._started():
            self._started(last=True)  # the first may have been on standby, and died while nobody needed it
        self.shared.waker.post(self.ready.set)

    def _started(self, *, last: bool = False) -> bool:
        """Start what makes the calls, and wait until it can.

        False if it ended before, and this is not the last try.
        """
        self._there = there = self._start()
        if self.runner.closing:
            there.kill()  # whoever closes looked before it was there
        try:
            there.wait_ready()
        except WorkerGoneError:
            error = self._died(there, "before it was ready")
            if last and not self._unwanted:
                raise error from None
            return self._unwanted
        return True

    def recover(self) -> None:
        """Replace what has ended, before the time of the next call begins to count."""
        self.shared.waker.wake(self.runner)  # what has failed is not kept waiting
        if not self._unwanted:
            self.enter()

    def leave(self) -> None:
        """Make it leave its state and end."""
        there, self._there = self._there, None
        if there is not None:
            there.leave()

    @property
    def _unwanted(self) -> bool:
        """Whether nobody wants what a call still brings, so that its end is no failure."""
        return self.runner.closing or (self.shift is not None and self.shift.over)

    def _died(self, there: WorkerElsewhere, when: str) -> WorkerDiedError:
        if self._there is there:
            self._there = None
        return WorkerDiedError(f"stage {self.stage.name!r}: the worker {there.ended()} {when}")

    def _call_there(self, data: Any, *, more: int = 2) -> Any:
        """Make a call; again, so many times, if it was not begun: who was there and who was on standby may be dying."""
        there = self._there
        if there is None or not there.is_alive():
            there = self._replaced()
        if there is None:
            return self._nothing(data)
        try:
            result = there.call(data)
        except WorkerGoneError as exc:
            if self._unwanted:
                return self._nothing(data)
            if isinstance(exc, UnheardError) and more:
                return self._call_there(data, more=more - 1)
            raise self._died(there, "in a call") from None
        if type(result) is not GeneratorType:
            return result
        values = self._values(there, result)
        next(values)
        return values

    def _nothing(self, data: Any) -> Any:
        """What stands for the result of a call that nobody wants; for that of a batch as long as that has to be."""
        return None if self.stage.batch is None else [None] * len(data)

    def _replaced(self) -> WorkerElsewhere | None:
        """Somebody else, for one that ended between two calls; none if nobody wants the next one."""
        shift = self.shift
        if shift is None or self._unwanted:
            return None
        shift.began = math.inf  # what comes before the call is not of its time
        self.enter()
        if self.stage.timeout is not None:
            shift.began = time.monotonic()
        return self._there

    def _values(self, there: WorkerElsewhere, generator: Any) -> Iterator[Any]:
        try:
            yield  # it has begun, so that to close it closes the other, at once and on any Python
            yield from generator
        except WorkerGoneError:
            if not self._unwanted:
                raise self._died(there, "in a call") from None
        finally:
            generator.close()

    def measured(self, start: float, end: float) -> tuple[float, float]:
        """From when to when the function ran, over there."""
        there = self._there
        if there is None or self.clock is not time.perf_counter:  # of another clock than what was measured
            return start, end
        way = (end - start - there.last_computation) / 2
        counts = self.stage.counts
        spent = counts.by_worker.get(self) or counts.first_of(self, start)[0]
        spent.crossing += 2 * way
        return start + way, end - way


class ProcessWorker(ElsewhereWorker):
    """A worker that is a process."""

    @classmethod
    def all_of(cls, runner: StageRunner) -> Sequence[StageWorker[Any]]:
        """The workers of a stage, and what keeps a process on standby for them."""
        stage = runner.stage
        credit = min(CREDIT, runner.shared.bound)
        standby = Standby(partial(WorkerProcess, stage.process_fn, stage.setup, credit=credit, stage=stage.name))
        keeper = _StandbyKeeper(runner, standby)
        runner.services.append(keeper.serve)
        return [cls(runner, keeper.take) for _ in range(stage.workers)]


class _StandbyKeeper:
    """Has a process started whenever the one on standby was taken."""

    def __init__(self, runner: StageRunner, standby: Standby) -> None:
        self._runner = runner
        self._standby = standby
        self._wanted = Event()

    def take(self) -> WorkerProcess:
        """One that is ready, or starting; in a worker's thread."""
        taken = self._standby.take()
        self._runner.shared.waker.post(self._want)
        return taken

    def _want(self) -> None:
        self._wanted.set()

    async def serve(self) -> None:
        """Fill the standby until cancelled, and leave none."""
        try:
            while True:
                await self._wanted.wait()
                self._wanted = Event()
                try:
                    await LoopThread.here().run(self._standby.fill)
                except Exception as exc:
                    # Whatever it is. Whoever needs one will try again, and tell the pipeline if that fails too.
                    logger.warning(
                        "stage %r: no process could be started ahead of need", self._runner.stage.name, exc_info=exc
                    )
        finally:
            with CancelScope(shield=True):
                try:
                    await LoopThread.here().run(self._standby.close)
                except RuntimeError:
                    self._standby.kill()  # if there was no thread to be had in which it could be asked to leave
                    raise


class InterpreterWorker(ElsewhereWorker):
    """A worker that is an interpreter of its own in this process."""

    @classmethod
    def check(cls, stage: PipelineStage) -> None:
        """Raise if there are none in this Python, or a function cannot be sent there."""
        if not HAS_INTERPRETERS:
            raise ValueError(
                f"executor of stage {stage.name!r} is 'interpreter', which needs Python 3.13 or later, "
                f"not {platform.python_version()}"
            )
        super().check(stage)

    @classmethod
    def all_of(cls, runner: StageRunner) -> Sequence[StageWorker[Any]]:
        """The workers of a stage, and what hosts their interpreters."""
        stage = runner.stage
        interpreters = Interpreters(stage.name, runner.shared.waker.post)
        runner.services.append(interpreters.serve)
        start = partial(interpreters.start, stage.process_fn, stage.setup)
        return [cls(runner, start) for _ in range(stage.workers)]


def _check_picklable(stage: PipelineStage, argument: str, function: Any) -> None:
    sent = f"{argument} of stage {stage.name!r} cannot be sent to another {stage.kind}: {shown(function)}"
    try:
        made = packed_for_worker(function)
    except Exception as exc:
        raise TypeError(f"{sent} ({told(exc)}); {remedies()}") from exc
    if names_missing_main(made) and not by_value_is_possible():
        raise TypeError(f"{sent} (it is of the main module, which {why_main_is_not_importable()}); {remedies()}")
