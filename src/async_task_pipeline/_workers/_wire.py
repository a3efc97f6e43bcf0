"""What crosses between this process and a worker elsewhere, and in what form.

The rule: a message is a word, the seconds that the function ran for it, and what it is about,
pickled by itself. So what cannot be pickled, or not be unpickled, is the failure of one call
and leaves the conversation whole. Both ends import this, so it imports little.
"""

from __future__ import annotations

import enum
import select
import struct
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait

from .._exceptions import RemoteCallError, add_note, notes_of, shown, told
from ._pickling import Payload, packed, packed_for_pipeline, unpacked

_HEADER = struct.Struct("<Bd")
MOST_TEXT = 20_000
"""Characters that cross of a traceback, and of each text of a log record."""

_NOT_ITSELF = "raised in the worker, and cannot be brought back itself"


class Word(enum.IntEnum):
    """What a message is about."""

    # To the worker.
    CALL = enum.auto()
    MORE = enum.auto()
    CLOSE = enum.auto()
    LEAVE = enum.auto()
    # From it: of its state, and of a call.
    READY = enum.auto()
    LEFT = enum.auto()
    RETURNED = enum.auto()
    RAISED = enum.auto()
    AWAITABLE = enum.auto()
    YIELDED = enum.auto()
    EXHAUSTED = enum.auto()
    GENERATOR_RAISED = enum.auto()
    CLOSED = enum.auto()
    LOGGED = enum.auto()


def message(word: Word, payload: Payload = b"", seconds: float = 0.0) -> bytes:
    """The bytes of a message."""
    return _HEADER.pack(word, seconds) + payload


def parts(received: bytes) -> tuple[Word, Payload, float]:
    """What :py:func:`message` put together."""
    word, seconds = _HEADER.unpack_from(received)
    return Word(word), memoryview(received)[_HEADER.size :], seconds


def packed_exception(exc: BaseException) -> bytes:
    """An exception, and what is left of it if it cannot be made again: its text, its notes, its traceback."""
    where = _traceback(exc)
    BaseException.with_traceback(exc, None)  # raised again, it would have the frames of now as well
    try:
        itself = packed_for_pipeline(exc)
    except BaseException:
        itself = b""
    # Notes are in an exception's __dict__, which a class of its own may leave out when pickled.
    notes = [*map(str.__str__, notes_of(exc)), f"in the worker it was raised so:\n{where}"]
    return packed((itself, told(exc), notes))


def unpacked_exception(payload: Payload) -> BaseException:
    """What :py:func:`packed_exception` packed, or a :py:exc:`RemoteCallError` that tells of it."""
    itself, text, notes = unpacked(payload)
    try:
        made = unpacked(itself)
    except BaseException:  # whatever its class does when it is made, on this side or on that
        made = None
    exc = made if isinstance(made, BaseException) else RemoteCallError(f"{text} ({_NOT_ITSELF})")
    for note in notes:
        add_note(exc, note)
    return exc


def _traceback(exc: BaseException) -> str:
    try:
        text = "".join(traceback.format_exception(exc)).rstrip()
    except BaseException:  # what is formatted is anybody's
        return shown(exc)
    return cut(text)


def cut(text: str) -> str:
    """The beginning of a text, and how much more there was of it."""
    left = len(text) - MOST_TEXT
    return str(text) if left <= 0 else f"{text[:MOST_TEXT]}... and {left} more characters"


def watch(*watched: Connection | int) -> Callable[[float | None], list[Connection | int]]:
    """What waits for some connections and descriptors, so many seconds or for ever, and returns those that are ready.

    As multiprocessing's ``wait``, but for that making a selector each time, which takes 17 µs; this takes 2.
    """
    if sys.platform == "win32":
        return lambda seconds: [*wait(watched, seconds)]
    poll = select.poll()
    found = {each if isinstance(each, int) else each.fileno(): each for each in watched}
    for descriptor in found:
        poll.register(descriptor, select.POLLIN)
    return lambda seconds: [found[each] for each, _ in poll.poll(None if seconds is None else seconds * 1000)]
