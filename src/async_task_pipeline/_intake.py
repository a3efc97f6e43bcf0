"""Putting items, sentinels and whole streams into a pipeline.

The rule: what is wrong with an argument is said here, before anything is accepted;
whether and when there is room is the entrance's business.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterable, Iterable
from typing import Any, TypeVar

from anyio import get_cancelled_exc_class
from anyio.lowlevel import checkpoint_if_cancelled

from ._arguments import finite
from ._assembly import Assembly
from ._exceptions import raisable
from ._input._source import checked_source, feed
from ._items import Control, Kind
from ._native import cancelled_from_outside
from ._run import Run
from ._turns import Turn

T = TypeVar("T")
U = TypeVar("U")


class Intake(Assembly[T, U]):
    """The input side of a pipeline."""

    async def process_input_stream(
        self, input_stream: AsyncIterable[T] | Iterable[T], *, close_input: bool = True
    ) -> None:
        """Feed every item of a stream, with back-pressure.

        Args:
            input_stream: An async iterable, or an iterable (see ``process``).
            close_input: Whether this stream is (part of) the whole input: when the last
                stream running with it is exhausted, the input closes and the output ends
                after the last result. Pass ``False`` to feed more afterwards.

        Raises:
            TypeError: If ``input_stream`` cannot be iterated.
            PipelineStateError: If the pipeline is not running, or stops meanwhile.
            Exception: What the stream raised. With ``close_input`` the output raises it too,
                after the results of everything fed before. A generator is closed.
        """
        checked_source("input_stream", input_stream)
        # Before the state is looked at: what cancelled the caller may have stopped the
        # pipeline, and of the two the cancellation is what the caller has to hear. It
        # lets nobody else run, or a later call could be accepted before this one.
        await checkpoint_if_cancelled()
        await self._feed(self._on_the_loop("process_input_stream"), input_stream, close_input=close_input)

    async def _feed(self, run: Run, source: Any, *, close_input: bool) -> None:
        run.entrance.check_open()
        run.streams += close_input
        try:
            await feed(run.entrance, run.waker, source, self.max_queue_size)
        except BaseException as exc:
            run.streams -= close_input
            error = exc
            if isinstance(exc, get_cancelled_exc_class()) and not cancelled_from_outside():
                error = raisable(exc, get_cancelled_exc_class())
            if close_input and isinstance(error, Exception):
                run.entrance.end(error)
            if error is exc:
                raise
            raise error from exc
        run.streams -= close_input
        if close_input and not run.streams:
            run.entrance.end()

    async def process_input_data(self, data: T, created_at: float | None = None) -> None:
        """Put one item, waiting for room.

        Checks for cancellation first, and lets other tasks run only if it has to wait. If
        it raises, the item was not accepted; if it returns, it was (an interrupt may have
        dropped it since, and counted it).

        Args:
            data: The item; any object, ``None`` included.
            created_at: When it was created, in seconds of the pipeline's clock; ``None``
                means when it is accepted.

        Raises:
            TypeError: If ``created_at`` is not a number.
            ValueError: If ``created_at`` is not finite or lies in the future.
            PipelineStateError: If the pipeline is not running, its input is closed, this is
                another thread, or (:py:exc:`PipelineStoppedError`) it stopped while this waited.
        """
        await checkpoint_if_cancelled()
        run = self._on_the_loop("process_input_data")
        await run.entrance.put(run.entrance.item(data, self._created(created_at)))

    async def process_input_sentinel(self, sentinel: U) -> None:
        """Put a sentinel, waiting for room; it passes every stage in order with the items.

        Raises:
            PipelineStateError: As ``process_input_data``.
        """
        await checkpoint_if_cancelled()
        await self._on_the_loop("process_input_sentinel").entrance.put(Control(Kind.SENTINEL, sentinel))

    def put_input_data(self, data: T, created_at: float | None = None) -> None:
        """Put one item from code that is not async.

        In another thread it blocks until there is room, or the pipeline stops. In the
        loop's own thread it never blocks.

        Raises:
            anyio.WouldBlock: In the loop's thread, if there is no room.
            TypeError: As ``process_input_data``.
            ValueError: As ``process_input_data``.
            PipelineStateError: As ``process_input_data``.
        """
        run = self._running()
        self._put_sync(run, run.entrance.item(data, self._created(created_at)))

    def put_input_sentinel(self, sentinel: U) -> None:
        """Put a sentinel from code that is not async; see ``put_input_data``."""
        self._put_sync(self._running(), Control(Kind.SENTINEL, sentinel))

    def turn(self) -> Turn[T, U]:
        """A new turn, as ``async with pipeline.turn() as turn: await turn.put(x)``.

        An interrupt (of the first stage) cancels the block quietly, as
        :py:func:`anyio.move_on_after` would, and refuses whatever is put for the turn from
        then on, wherever it comes from. What is put without a turn meanwhile belongs
        to the turn begun last.

        Raises:
            PipelineStateError: If the pipeline is not running, or, when the turn is entered,
                its input is closed.
        """
        return Turn(self._on_the_loop("turn").entrance, self._created)

    def _put_sync(self, run: Run, entry: Any) -> None:
        if threading.get_ident() == run.thread:
            run.entrance.put_nowait(entry)
        else:
            run.entrance.put_from_thread(entry)

    def _created(self, created_at: float | None) -> float | None:
        if created_at is None:
            return None
        if isinstance(created_at, bool) or not isinstance(created_at, (int, float)):
            raise TypeError(f"created_at must be a number of seconds or None, not {created_at!r}")
        now = self._clock()
        if not finite(created_at) or created_at > now:
            raise ValueError(
                f"created_at={created_at!r} must be a past instant of the pipeline's clock, which says {now!r}; "
                "time.time() is another clock than time.perf_counter()"
            )
        return float(created_at)

    def close_input(self) -> None:
        """Let nothing more in; the output ends after the last result.

        Producers that wait for room get a :py:exc:`PipelineStateError`. Does nothing if
        the input is closed already.

        Raises:
            PipelineStateError: If the pipeline is not running, or this is another thread.
        """
        self._on_the_loop("close_input").entrance.end()
