"""A random chain of stages.

The rule: everything about a chain is drawn from its seed, and what comes of an item in a stage from
the seed, the stage and the item, so that it is the same in every thread, process and interpreter, and at
every try. How long a call takes is short, but drawn too.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import anyio
from anyio import CancelScope

from async_task_pipeline import AsyncTaskPipeline

LONGEST_CALL = 0.003
POISON = "poison"
"""The producer of items on which any stage raises what no ``on_error`` keeps from ending the run."""
TIMEOUT = 0.01
"""Seconds; a stage that is drawn to exceed it takes twice as long."""


class FatalError(BaseException):
    """Ends the run."""


class Functions:
    """The functions that a stage may have, wherever it calls them."""

    def __init__(self, seed, index):
        self.seed, self.index = seed, index

    def lots(self, piece):
        return random.Random(f"{self.seed} {self.index} {piece.path}")

    @contextmanager
    def call(self, *pieces):
        if any(piece.path[0] == POISON for piece in pieces):
            raise FatalError
        yield

    def work(self, lots):
        if lots.random() < 0.03:
            time.sleep(lots.random() * LONGEST_CALL)

    def plain(self, piece):
        with self.call(piece):
            self.work(self.lots(piece))
            return piece

    def filtering(self, piece):
        with self.call(piece):
            return None if self.lots(piece).random() < 0.3 else piece

    def failing(self, piece):
        with self.call(piece):
            if self.lots(piece).random() < 0.15:
                raise ValueError(piece)
            return piece

    def slow(self, piece):
        with self.call(piece):
            if self.lots(piece).random() < 0.02:
                time.sleep(2 * TIMEOUT)
            return piece

    def generator(self, piece):
        lots = self.lots(piece)
        with self.call(piece):
            many = lots.randrange(4)
            for number in range(many):
                self.work(lots)
                yield piece.child(number) if lots.random() < 0.9 else None
            if lots.random() < 0.1:
                raise KeyError(piece.child(many))

    def batch(self, pieces):
        with self.call(*pieces):
            lots = self.lots(pieces[0])
            self.work(lots)
            if lots.random() < 0.05:
                raise ValueError("a whole batch")
            return [piece if lots.random() < 0.9 else None for piece in pieces]

    def any_number(self, pieces):
        with self.call(*pieces):
            return [pieces[0].child(number) for number in range(self.lots(pieces[0]).randrange(4))]

    def dying(self, piece):
        """Only for a process."""
        with self.call(piece):
            if self.lots(piece).random() < 0.02:
                os.kill(os.getpid(), signal.SIGKILL)
            return piece


class FunctionsHere(Functions):
    """Those that a thread or a task calls: each notes its calls with the oracle, and may interrupt."""

    def __init__(self, case, index):
        super().__init__(case.seed, index)
        self.case = case

    @contextmanager
    def call(self, *pieces):
        with self.case.oracle.call(self.index, *pieces), super().call(*pieces):
            yield

    def work(self, lots):
        super().work(lots)
        if lots.random() < 0.005:
            self.case.interrupt_in_thread()

    async def work_on_loop(self, lots):
        if lots.random() < 0.3:
            await anyio.sleep(lots.random() * LONGEST_CALL)
        if lots.random() < 0.02:
            with CancelScope(shield=True):  # an interrupt has to wait for it
                await anyio.sleep(lots.random() * LONGEST_CALL)
        if lots.random() < 0.005:
            await self.case.interrupt_on_loop()

    async def task(self, piece):
        with self.call(piece):
            await self.work_on_loop(self.lots(piece))
            return piece

    async def generator_in_task(self, piece):
        lots = self.lots(piece)
        with self.call(piece):
            for number in range(lots.randrange(4)):
                await self.work_on_loop(lots)
                yield piece.child(number)

    async def batch_in_task(self, pieces):
        with self.call(*pieces):
            await self.work_on_loop(self.lots(pieces[0]))
            return pieces


ON_LOOP = ("task", "generator_in_task", "batch_in_task")
BATCHES = ("batch", "batch_in_task", "any_number")
KINDS = ("plain", "filtering", "failing", "slow", "generator", *ON_LOOP, "batch", "any_number")
ELSEWHERE = ["process"] + ["interpreter"] * (sys.version_info >= (3, 13))
"""Where the calls of a few stages are made: each start takes as long as many calls."""


def options_of(lots, kind, executors):
    """The options of a stage with a function of this kind."""
    options = {}
    if lots.random() < 0.5:
        options["workers"] = lots.randint(2, 4)
    if lots.random() < 0.4:
        options["ordered"] = False
    if kind == "slow" or lots.random() < 0.1:
        options["timeout"] = TIMEOUT
    if kind not in ON_LOOP and lots.random() < 0.15:
        options["executor"] = ThreadPoolExecutor(lots.randint(1, 4))
        executors.append(options["executor"])
    elif kind not in ON_LOOP and lots.random() < 0.05:
        options["executor"] = lots.choice(ELSEWHERE)
    at_interrupt = lots.random()
    if at_interrupt < 0.15:
        options["interruptible"] = False
    elif at_interrupt < 0.25 and options.get("executor") not in ELSEWHERE:
        options["reentrant"] = True
    elif at_interrupt < 0.35 and "executor" not in options:
        options["on_interrupt"] = int
    return options


def add_stages(pipeline, lots, case):
    """Add a few random stages; return the executors they were given, which are the caller's to shut down."""
    executors = []
    for index in range(lots.randint(1, 5)):
        kind = lots.choice(KINDS)
        options = options_of(lots, kind, executors)
        functions = FunctionsHere(case, index)
        if options.get("executor") in ELSEWHERE:
            functions = Functions(case.seed, index)
            if kind == "failing" and options["executor"] == "process":
                kind = "dying"
        function = getattr(functions, kind)
        if kind in BATCHES:
            size = {"max_size": lots.randint(1, 4), "max_wait": lots.choice([0, 0.001, 0.005])}
            per_item = kind != "any_number"
            pipeline.add_batch_stage(f"{index} {kind}", function, **size, per_item=per_item, **options)
        else:
            pipeline.add_stage(f"{index} {kind}", function, **options)
    return executors


def asked(failure):
    """What a failure means, after a while if it is drawn so."""
    lots = random.Random(repr(failure.exception))
    if lots.random() < 0.3:
        time.sleep(lots.random() * LONGEST_CALL)
    return lots.choice(["drop", "return"])


async def asked_on_loop(failure):
    """The same, on the loop."""
    lots = random.Random(repr(failure.exception))
    if lots.random() < 0.3:
        await anyio.sleep(lots.random() * LONGEST_CALL)
    return lots.choice(["drop", "return"])


def new_pipeline(lots):
    """A pipeline without stages, and with random options."""
    return AsyncTaskPipeline(
        max_queue_size=lots.choice([1, 1, 2, 3, 8]),
        overflow=lots.choice(["wait", "wait", "drop_oldest", "drop_newest"]),
        enable_timing=lots.random() < 0.5,
        on_error=lots.choice(["drop", "return", asked, asked_on_loop]),
    )
