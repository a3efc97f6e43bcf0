"""One case: a random chain, and a random life of it, drawn from a seed.

The rule: the schedule is drawn, the judgement is the oracle's. A case is one pipeline that lives once,
twice or thrice; in each life producers of every kind put as fast as they may, one consumer reads, and
beside them somebody interrupts, clears and looks, and now and then a stage does. Then the input is closed,
at once or when all has come to rest, or the pipeline is stopped, or a stage raises what ends it; and
everything has to come to its end before the deadline, with nothing left of it.

Who does what is drawn; when, is up to the threads. So a seed that has failed may pass the next time:
run it again often, at a short switch interval.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random

import anyio
from anyio import CancelScope, create_task_group, fail_after, move_on_after, to_thread
from anyio.lowlevel import checkpoint

from async_task_pipeline import PipelineStateError, TurnOverError, logger
from tests.model.chain import POISON, FatalError, add_stages, new_pipeline
from tests.model.oracle import FAILURES, Oracle, Piece
from tests.support.leftovers import tasks, threads_at_work

DEADLINE = 30
"""Seconds until a case hangs; the longest takes less than one."""
PAUSE = 0.003
BACKENDS = (("asyncio", {"use_uvloop": False}), ("asyncio", {"use_uvloop": True}), ("trio", {}))


def backend_of(seed):
    """The backend of a seed, so that a row of them runs on each."""
    return BACKENDS[seed % len(BACKENDS)]


class Told(logging.Handler):
    """Keeps the failures in the log that no stage raises: those of calls that nobody waits for any more, too."""

    def __init__(self):
        super().__init__()
        self.strange = []

    def emit(self, record):
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, Exception) and type(error) not in FAILURES:
            self.strange.append(error)


class Case:
    """One seed, played on the backend that runs."""

    def __init__(self, seed, *, native):
        self.seed, self.native = seed, native
        lots = self.lots("chain")
        self.pipeline = new_pipeline(lots)
        self.executors = add_stages(self.pipeline, lots, self)
        self.oracle = Oracle(self.pipeline)
        self.over = False
        self.producers = 0
        self.state = "new"

    def lots(self, who):
        """A row of lots of one's own, which does not depend on what others draw."""
        return random.Random(f"{self.seed} {who}")

    def __repr__(self):
        pipeline = self.pipeline
        stages = ", ".join(
            f"{each.name}(workers={each.workers}, ordered={each.ordered}, interruptible={each.interruptible}, "
            f"reentrant={each.reentrant}, timeout={each.timeout}, kind={each.kind}, batch={each.batch})"
            for each in pipeline.stages
        )
        first = f"bound={pipeline.max_queue_size}, overflow={pipeline.overflow}, timing={pipeline.enable_timing}"
        return f"seed {self.seed}, {self.state}: {first}, on_error={pipeline.on_error}, {stages}"

    # -- cutting a put or a read short ---------------------------------------------------------

    async def perhaps_cut(self, lots, step):
        """Take a step; now and then it is cancelled, by a scope or natively."""
        lot = lots.random()
        if lot < 0.05:
            with move_on_after(lots.random() * PAUSE / 2):
                return await step()
        elif lot < 0.1 and self.native:
            return await self._cut_natively(lots, step)
        else:
            return await step()
        return True

    async def _cut_natively(self, lots, step):
        task = asyncio.ensure_future(step())
        try:
            for _ in range(lots.randrange(6)):
                await checkpoint()
        finally:
            task.cancel()
        await asyncio.wait([task])
        return True if task.cancelled() else task.result()

    # -- producers -----------------------------------------------------------------------------

    async def put_items(self, who, life):
        """Items, without a turn, by a task."""
        lots = self.lots(f"{who} {life}")
        number = 0

        async def put():
            piece = Piece(((who, life), number), self.oracle.turn)
            with self.oracle.put(piece):
                await self.pipeline.process_input_data(piece)

        while not self.over:
            number += 1
            await self.perhaps_cut(lots, put)
            await self.pause(lots)

    async def put_sentinels(self, who, life):
        lots = self.lots(f"{who} {life}")

        async def put():
            sentinel = self.oracle.new_sentinel()
            await self.pipeline.process_input_sentinel(sentinel)
            self.oracle.accept(sentinel)

        while not self.over:
            await self.perhaps_cut(lots, put)
            await anyio.sleep(lots.random() * PAUSE)

    async def put_turns(self, who, life):
        """Turns, in which a task puts items and sentinels, and a thread beside it."""
        lots = self.lots(f"{who} {life}")
        begun = 0

        async def put(turn, piece):
            try:
                with self.oracle.put(piece):
                    await turn.put(piece)
            except TurnOverError:
                assert turn.interrupted  # met in a task of its own, which the turn's scope does not cancel

        while not self.over:
            begun += 1
            async with self.pipeline.turn() as turn, create_task_group() as tg:
                number = self.oracle.turn
                if lots.random() < 0.5:
                    tg.start_soon(to_thread.run_sync, self.put_turn_in_thread, turn, number, (who, life, begun))
                many = lots.randrange(20)
                for each in range(many):
                    piece = Piece(((who, life), begun, each), number)
                    await self.perhaps_cut(lots, lambda turn=turn, piece=piece: put(turn, piece))
                    await self.pause(lots)
                if lots.random() < 0.3:
                    sentinel = self.oracle.new_sentinel(behind=((who, life), begun, many))
                    await turn.put_sentinel(sentinel)
                    self.oracle.accept(sentinel)
            with contextlib.suppress(TurnOverError):
                await turn.put(None)
                raise AssertionError("a turn took an item after its end")
            await self.pause(lots)

    def put_turn_in_thread(self, turn, number, who):
        with contextlib.suppress(TurnOverError, PipelineStateError):
            for each in range(self.lots(who).randrange(30)):
                piece = Piece((("thread", who), each), number)
                with self.oracle.put(piece):
                    turn.put_from_thread(piece)

    async def put_in_thread(self, who, life):
        """Items, without a turn, by a thread: of which turn they are is not known."""

        def put():
            number = 0
            while not self.over:
                number += 1
                piece = Piece(((who, life), number))
                with self.oracle.put(piece):
                    self.pipeline.put_input_data(piece)

        await to_thread.run_sync(put)

    async def put_streams(self, who, life):
        """Sources, read on the loop or in a thread."""
        lots = self.lots(f"{who} {life}")
        number = 0
        self.oracle.countable = False

        def source():
            nonlocal number
            for _ in range(lots.randrange(15)):
                number += 1
                yield Piece(((who, life), number))

        async def on_loop():
            for each in source():
                yield each

        while not self.over:
            stream = lots.choice([source, on_loop, lambda: list(source())])()
            with move_on_after(lots.choice([PAUSE, 1])):
                await self.pipeline.process_input_stream(stream)
            await checkpoint()

    async def pause(self, lots):
        lot = lots.random()
        if lot < 0.05:
            await anyio.sleep(lots.random() * PAUSE)
        elif lot < 0.3:
            await checkpoint()

    # -- the consumer --------------------------------------------------------------------------

    async def consume(self, life):
        lots = self.lots(f"consumer {life}")
        output = self.pipeline.generate_output_stream()

        async def read():
            try:
                self.oracle.read(await anext(output))
            except StopAsyncIteration:
                return False
            return True

        while await self.perhaps_cut(lots, read):
            if lots.random() < 0.05:
                await anyio.sleep(lots.random() * PAUSE)
            if lots.random() < 0.02:
                output = self.pipeline.generate_output_stream()

    # -- who interrupts ------------------------------------------------------------------------

    async def interrupt(self, lots):
        """Interrupt from a random stage, with or without marker and grace."""
        stages = self.pipeline.stages
        first = lots.randrange(len(stages)) if lots.random() < 0.3 else 0
        options = {"from_stage": stages[first].name} if first or lots.random() < 0.1 else {}
        if lots.random() < 0.1:
            await to_thread.run_sync(self.interrupt_in_thread, first)
            return
        if lots.random() < 0.3:
            options["sentinel"] = self.oracle.new_sentinel(first)
            self.oracle.accept(options["sentinel"])
        if lots.random() < 0.1:
            options["grace"] = lots.random() * PAUSE
        await self.interrupt_on_loop(first, **options)

    async def interrupt_on_loop(self, first=0, **options):
        # In one step with the interrupt: nobody else runs on the loop in between.
        older = self.oracle.before_interrupt(first)
        if self.pipeline.running:  # or it has no effect, as may be while a stage of a run that stops is in a call
            self.oracle.interrupted(older)
        await self.pipeline.interrupt(**options)

    def interrupt_in_thread(self, first=0):
        older = self.oracle.before_interrupt(first)
        receipt = self.pipeline.interrupt_from_thread(from_stage=self.pipeline.stages[first].name)
        if receipt.dropped:  # or it came too late, and had no effect
            self.oracle.interrupted(older)

    def clear(self):
        self.oracle.cleared()
        self.pipeline.clear()

    def clear_a_queue(self, lots):
        """Drop what waits somewhere, sentinels too."""
        self.oracle.lost = True
        clears = [self.pipeline.clear_input_queue, self.pipeline.clear_output_queue]
        lots.choice([*clears, *(stage.clear_input_queue for stage in self.pipeline.stages)])()

    async def disturb(self, life):
        lots = self.lots(f"disturbance {life}")
        loses = lots.random() < 0.5  # in the others, every sentinel has to come
        for _ in range(lots.randint(3, 20)):
            await anyio.sleep(lots.random() * PAUSE)
            lot = lots.random()
            if lot < 0.7:
                await self.interrupt(lots)
            elif lot < 0.77 and loses:
                self.clear()
            elif lot < 0.85 and loses:
                self.clear_a_queue(lots)
            else:
                self.pipeline.get_report()
            self.oracle.check()

    # -- lives ---------------------------------------------------------------------------------

    async def play(self):
        """Play the case to its end."""
        before = tasks()
        lots = self.lots("lives")
        told = Told()
        logger.addHandler(told)
        try:
            with fail_after(DEADLINE):
                for life in range(lots.choice([1, 1, 2, 3])):
                    await self.live(lots, life)
        finally:
            logger.removeHandler(told)
            for executor in self.executors:
                executor.shutdown()
        assert told.strange == [], f"failures that no stage raises: {told.strange}"
        left = threads_at_work()
        assert not left, "\n".join(left)
        assert tasks() == before

    async def live(self, lots, life):
        way = lots.choice([self.in_a_scope, self.in_a_task, self.started])
        end = lots.choice([*[self.close] * 2, *[self.come_to_rest] * 3, *[self.stop] * 2, self.fail])
        self.state = f"life {life}, {way.__name__}, {end.__name__}"
        self.over = False
        self.oracle.begin_life()
        failed = False
        try:
            await way(lots, life, end)
        except* FatalError:
            failed = True
        assert failed == (end == self.fail)
        self.oracle.check_end(stopped=end in (self.stop, self.fail))

    async def in_a_scope(self, lots, life, end):
        async with self.pipeline:
            await self.run(lots, life, end)

    async def in_a_task(self, lots, life, end):
        async with create_task_group() as tg:
            await tg.start(self.pipeline.run)
            await self.run(lots, life, end)

    async def started(self, lots, life, end):
        await self.pipeline.start()
        try:
            await self.run(lots, life, end)
        finally:
            with CancelScope(shield=True):
                await self.pipeline.stop()

    async def run(self, lots, life, end):
        kinds = [self.put_items, self.put_sentinels, self.put_turns, self.put_in_thread, self.put_streams]
        chosen = [kind for kind in kinds if lots.random() < 0.5] or [self.put_items]
        async with create_task_group() as tg:
            tg.start_soon(self.consume, life)
            for kind in chosen:
                tg.start_soon(self.until_closed, kind, life)
            try:
                await self.disturb(life)
                self.over = True
                self.state += ", ending"
                await end(life)
            finally:
                self.over = True
                if self.pipeline.running:
                    self.pipeline.close_input()

    # -- how it ends ---------------------------------------------------------------------------

    async def close(self, life):
        self.pipeline.close_input()

    async def come_to_rest(self, life):
        """Let every put return and everything come out, with nothing to set it going but what is there."""
        with fail_after(DEADLINE / 2):
            while self.producers or self.pipeline.statistics().inside:
                await anyio.sleep(PAUSE)
        self.pipeline.close_input()

    async def stop(self, life):
        await self.pipeline.stop()

    async def fail(self, life):
        """Put what no stage bears, until it has reached one: an overflow may drop it."""
        number = 0
        with contextlib.suppress(PipelineStateError):
            while self.pipeline.running:
                number += 1
                piece = Piece((POISON, life, number))
                with self.oracle.put(piece):
                    await self.pipeline.process_input_data(piece)
                await anyio.sleep(PAUSE)

    async def until_closed(self, put, life):
        """Put until the run is over, which refuses what is put then."""
        self.producers += 1
        try:
            await put(put.__name__, life)
        except* PipelineStateError:
            if not self.over:
                raise
        finally:
            self.producers -= 1
