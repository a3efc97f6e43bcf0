"""Feeding a whole source into the input, whatever kind of iterable it is.

The rule: the loop iterates only what cannot block it, which is an async iterable or
one of Python's own containers. Any other iterable (a file, a generator, a database
cursor) is read by a thread of its own, ahead of acceptance by at most the pipeline's
``max_queue_size``. The source is closed in the place that iterated it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable, Iterator
from typing import Any

from anyio import CapacityLimiter, Event, create_task_group, get_cancelled_exc_class, to_thread
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled

from .._exceptions import raisable
from .._log import logger
from .._parking import Need, Parking
from .._posting import Waker
from ._entrance import Entrance

_IN_MEMORY = (list, tuple, range, deque, set, frozenset, dict, str, bytes, bytearray)

ITEMS_PER_CHECKPOINT = 64
"""How many items of an async iterable that never waits are fed before others run."""


def checked_source(name: str, source: Any) -> Any:
    """Return the source if it can be iterated, sync or async."""
    if not isinstance(source, (AsyncIterable, Iterable)) and not hasattr(type(source), "__getitem__"):
        raise TypeError(f"{name} must be an iterable or an async iterable, not {source!r}")
    return source


async def feed(entrance: Entrance, waker: Waker, source: Any, ahead: int) -> None:
    """Feed every item of a source, with back-pressure; errors of the source come out."""
    if isinstance(source, AsyncIterable):
        await _feed_async(entrance, source)
    elif isinstance(source, _IN_MEMORY):
        await _feed_container(entrance, source)
    else:
        await _feed_from_thread(entrance, waker, source, ahead)


async def _feed_async(entrance: Entrance, source: AsyncIterable[Any]) -> None:
    iterator = aiter(source)
    fed = 0
    try:
        async for data in iterator:
            await checkpoint_if_cancelled()
            await entrance.put(entrance.item(data))
            fed += 1
            if fed % ITEMS_PER_CHECKPOINT == 0:
                await checkpoint()
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()


async def _feed_container(entrance: Entrance, source: Iterable[Any]) -> None:
    iterator = iter(source)
    missing = object()
    while (data := next(iterator, missing)) is not missing:
        # One item waits for room, and whatever room there is then goes to the next ones.
        await entrance.put(entrance.item(data))
        entrance.put_some(iterator)
        await checkpoint()


class _ThreadFeed:
    """Reads a blocking iterable in a thread, and puts what it read on the loop."""

    def __init__(self, entrance: Entrance, waker: Waker, source: Iterable[Any], ahead: int) -> None:
        self.read: deque[Any] = deque()
        self.error: BaseException | None = None
        self.done = Event()
        self.complete = False
        self._entrance = entrance
        self._waker = waker
        self._source = source
        self._ahead = ahead
        self._parking = Parking()
        self._stopped = False
        self._exhausted = False

    def pump(self) -> bool:
        """Put what was read into the entrance, as far as there is room; whether there was any."""
        put = not self._entrance.is_closed and self._entrance.put_some(_taken(self.read), in_between=True)
        self._parking.unpark()
        if self._exhausted and not self.read:
            self.done.set()
        return put

    def stop(self) -> None:
        """Read no further than the item being read."""
        self._stopped = True
        self._parking.unpark()
        self.done.set()

    def flush(self) -> int:
        """Forget what was read and not accepted; return how many items that was."""
        items = len(self.read)
        self.read.clear()
        self._parking.unpark()
        return items

    def _can_read(self) -> bool:
        return self._stopped or len(self.read) < self._ahead

    def _read_all(self) -> None:
        try:
            self._read_items(iter(self._source))
        except BaseException as exc:
            # Kept, not raised: SystemExit must not leave in a task (see
            # _pipeline._serve_quietly), and a cancellation would look like one of ours.
            self.error = exc

    def _read_items(self, iterator: Iterator[Any]) -> None:
        try:
            while not self._stopped:
                if len(self.read) >= self._ahead:
                    self._parking.park(Need.ROOM, self._can_read)
                    continue
                try:
                    data = next(iterator)
                except StopIteration:
                    self.complete = True
                    return
                self.read.append(data)
                self._waker.wake()
        finally:
            if isinstance(iterator, Generator):
                iterator.close()

    async def serve(self) -> None:
        """Host the thread."""
        try:
            await to_thread.run_sync(self._read_all, limiter=CapacityLimiter(1))
        finally:
            self._stopped = self._exhausted = True
            self._parking.unpark()
            self.pump()


def _taken(entries: deque[Any]) -> Iterator[Any]:
    while entries:
        yield entries.popleft()


async def _feed_from_thread(entrance: Entrance, waker: Waker, source: Iterable[Any], ahead: int) -> None:
    reader = _ThreadFeed(entrance, waker, source, ahead)
    entrance.feeds.append(reader)
    lost = 0
    try:
        async with create_task_group() as tg:
            tg.start_soon(reader.serve)
            try:
                await reader.done.wait()
            finally:
                reader.stop()
    except get_cancelled_exc_class():
        if reader.error is None:  # which must not vanish, as one of an async source does not
            raise
    finally:
        entrance.feeds.remove(reader)
        if lost := reader.flush():
            logger.info("%d items had been read from the source and were not accepted", lost)
    if reader.error is not None:
        raise raisable(reader.error, get_cancelled_exc_class())
    if lost or not reader.complete:
        entrance.check_open()
