"""Feeding a whole source into the input, whatever kind of iterable it is.

The rule: the loop iterates only what cannot block it, which is an async iterable or one of
Python's own containers. Any other iterable (a file, a generator, a database cursor) is read by a
thread of its own, which puts each item as any producer in a thread does, unless the user says that it
is bound to the loop's thread. An item is created when it is read, and so is it decided there whether it
is a sentinel. A source is closed in the place that iterated it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
)
from functools import partial
from typing import Any, TypeAlias

import attrs
from anyio import CancelScope, CapacityLimiter, Event, create_task_group, get_cancelled_exc_class
from anyio.lowlevel import checkpoint

from .._arguments import flag
from .._exceptions import PipelineStateError, closing_error, raisable, shown
from .._log import logger
from ._input import Input
from ._item import SENTINEL, Item
from ._loop_thread import LoopThread

Put: TypeAlias = Callable[[Any], Awaitable[None]]

IsSentinel: TypeAlias = Callable[[Any], object]
"""What a user tells sentinels by."""

_IN_MEMORY = (list, tuple, range, deque, set, frozenset, dict)


@attrs.frozen(eq=False, repr=False)
class Here:
    """An iterable that is to be iterated in the loop's thread."""

    iterable: Iterable[Any]


def checked_source(name: str, source: Any, *, in_thread: bool) -> Any:
    """Return what to feed if the source can be iterated, sync or async."""
    if isinstance(source, (str, bytes, bytearray)):
        of = "characters" if isinstance(source, str) else "bytes"
        raise TypeError(
            f"{name} must be an iterable of items, not {shown(source)}, whose items are its {of}: for a single item "
            "put it in a list, for the lines of a file open it"
        )
    if not isinstance(source, (AsyncIterable, Iterable)) and not hasattr(type(source), "__getitem__"):
        raise TypeError(f"{name} must be an iterable or an async iterable, not {shown(source)}")
    if flag("in_thread", in_thread) or isinstance(source, (AsyncIterable, *_IN_MEMORY)):
        return source
    return Here(source)


def checked_sentinels(sentinels: Any) -> IsSentinel | None:
    """Return what tells sentinels, if it can be called."""
    if sentinels is not None and not callable(sentinels):
        raise TypeError(f"sentinels must be callable or None, not {shown(sentinels)}")
    told: IsSentinel | None = sentinels
    return told


async def feed(
    input_: Input, source: Any, put: Put | None = None, sentinels: IsSentinel | None = None
) -> PipelineStateError | None:
    """Feed every item of a source, with back-pressure; errors of the source come out.

    A source may raise what a put raises, so what the puts of a closed input raise is returned.

    Args:
        input_: Where they go.
        source: Where they come from.
        put: How a subclass puts what comes from a source, if it has a way of its own.
        sentinels: Tells which of them are sentinels, if any may be.

    Returns:
        What refused an item, if the input was closed before the source was exhausted.
    """
    read = input_.read if sentinels is None else partial(_read, input_, sentinels)
    put_one: Put = put or (lambda data: input_.put(read(data)))
    if not isinstance(source, (AsyncIterable, Here)) and put is None:
        if not isinstance(source, _IN_MEMORY):
            return await _feed_from_thread(input_, source, read)
        if sentinels is None:  # as many at once as there is room for, since all are items
            return await _feed_container(input_, source)
    if isinstance(source, Here):
        source = _read_here(source.iterable)
    elif not isinstance(source, AsyncIterable):
        source = _read_in_steps(source)
    return await _feed_async(input_, source, put_one)


def _read(input_: Input, sentinels: IsSentinel, data: Any) -> Item:
    return Item(data, SENTINEL) if sentinels(data) else input_.read(data)


async def _read_here(source: Iterable[Any]) -> AsyncGenerator[Any, None]:
    iterator = iter(source)
    try:
        for data in iterator:
            yield data
            await checkpoint()  # what is bound to the thread may be slow
    finally:
        if isinstance(iterator, Generator):
            iterator.close()


async def _read_in_steps(source: Iterable[Any]) -> AsyncGenerator[Any, None]:
    """Read an iterable item by item, one that may block in a thread."""
    if isinstance(source, _IN_MEMORY):
        for data in source:
            yield data
        return
    missing, limiter, here = object(), CapacityLimiter(1), LoopThread.here()
    iterator = await here.run(iter, source, limiter=limiter)
    try:
        while (data := await here.run(next, iterator, missing, limiter=limiter)) is not missing:
            yield data
    finally:
        if isinstance(iterator, Generator):
            with CancelScope(shield=True):
                await here.run(iterator.close, limiter=limiter)


async def _feed_async(input_: Input, source: AsyncIterable[Any], put: Put) -> PipelineStateError | None:
    iterator = aiter(source)
    refusal = None
    try:
        async for data in iterator:
            try:
                await put(data)
            except PipelineStateError as exc:
                if not input_.is_closed:
                    raise
                refusal = exc
                break
    except BaseException:
        await _close(iterator)
        raise
    await _close(iterator)
    return refusal


async def _close(iterator: AsyncIterator[Any]) -> None:
    close: Callable[[], Awaitable[object]] | None = getattr(iterator, "aclose", None)
    if not callable(close):
        return
    try:
        await close()
    except BaseException as exc:
        if (error := closing_error(exc)) is not None:
            raise error from None


async def _feed_container(input_: Input, source: Iterable[Any]) -> PipelineStateError | None:
    iterator = iter(source)
    missing = object()
    while (data := next(iterator, missing)) is not missing:
        try:
            # One item waits for room, and whatever room there is then goes to the next ones.
            await input_.put(input_.read(data))
            input_.put_some(iterator)
        except PipelineStateError as exc:
            return exc
        await checkpoint()
    return None


class _Reader:
    """Reads a blocking iterable in a thread, which puts what it has read."""

    def __init__(self, input_: Input, source: Iterable[Any], read: Callable[[Any], Item]) -> None:
        self.error: BaseException | None = None
        # What a put raised, which ended the reading before the source was exhausted.
        self.refused: PipelineStateError | None = None
        self.done = Event()
        self._input = input_
        self._source = source
        self._read = read
        self._stopped = False

    def stop(self) -> None:
        """Read no further than the item being read."""
        self._stopped = True
        self._input.refuse_source(self)

    def _read_all(self) -> None:
        try:
            self._read_items(iter(self._source))
        except BaseException as exc:
            # Kept, not raised: SystemExit must not leave in a task, and a cancellation would look
            # like one of ours.
            self.error = exc

    def _read_items(self, iterator: Iterator[Any]) -> None:
        try:
            for data in iterator:
                if not self._put(data):
                    logger.info("1 item had been read from the source and was not accepted")
                    return
                if self._stopped:
                    return
        finally:
            if isinstance(iterator, Generator):
                iterator.close()

    def _put(self, data: Any) -> bool:
        """Put one item; whether it was accepted."""
        if self._stopped:
            return False
        item = self._read(data)
        try:
            self._input.put_from_thread(item, source=self)
        except PipelineStateError as exc:
            self.refused = exc
            return False
        return True

    async def serve(self) -> None:
        """Host the thread."""
        try:
            await LoopThread.here().run(self._read_all)
        except Exception as exc:  # there is no thread to be had
            self.error = exc
        finally:
            self.done.set()


async def _feed_from_thread(
    input_: Input, source: Iterable[Any], read: Callable[[Any], Item]
) -> PipelineStateError | None:
    reader = _Reader(input_, source, read)
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
    if reader.error is not None:
        raise raisable(reader.error, get_cancelled_exc_class())
    return reader.refused
