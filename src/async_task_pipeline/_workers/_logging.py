"""How log records that are made in a worker elsewhere get into the logging of this process.

The rule: what a record says becomes text where it was made, so that every record can cross; where
it goes is decided here, by the levels and the handlers of this process. The one handler over there is
installed by the worker's own main, never by an import, and takes the place of those that the
main module has installed once more by being imported. What is bounded is counted when it is cut.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import TypeAlias

from .._exceptions import shown
from .._log import logger
from ._pickling import Payload, packed, unpacked
from ._wire import Word, cut, message

MOST_WAITING = 1000
"""How many records a worker keeps while nobody reads what it sends."""

_PLAIN = (int, float, bool, type(None))

Levels: TypeAlias = tuple[int, dict[str, int]]
"""What is disabled altogether, and the levels that were set, by the names of the loggers; the root's is ``""``."""


class Sender:
    """The way out of a worker: messages from one thread, records from any.

    Args:
        connection: What all is sent by.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._records: deque[bytes] = deque()
        self._lost = 0
        # Whether somebody reads: nobody does between two calls, and who sends then might wait for ever.
        self._read = True

    def send(self, said: bytes, *, last: bool) -> None:
        """Send a message, after the records made before; ``last`` if nobody reads until the next request."""
        with self._lock:
            self._send_records()
            self._read = not last
            self._connection.send_bytes(said)
        self._flush()

    def resume(self) -> None:
        """Send what was made meanwhile, now that there is a request."""
        self._read = True
        self._flush()

    def log(self, record: bytes) -> None:
        """Send a record as soon as somebody reads; from any thread, also in the middle of another message."""
        if len(self._records) < MOST_WAITING:
            self._records.append(record)
        else:
            self._lost += 1
        with contextlib.suppress(OSError):  # nobody is there any more, and this process ends
            self._flush()

    def _flush(self) -> None:
        # Appended first, looked at second: whoever has the lock looks again when it has let it go.
        while self._read and self._records and self._lock.acquire(blocking=False):
            try:
                if self._read:
                    self._send_records()
            finally:
                self._lock.release()

    def _send_records(self) -> None:
        for _ in range(len(self._records)):  # and not those that come meanwhile, or others would wait for ever
            self._connection.send_bytes(message(Word.LOGGED, self._records.popleft()))
        lost, self._lost = self._lost, 0
        if lost:
            text = "%d log records of a worker were lost, which came while nobody could be told"
            told = logging.LogRecord(logger.name, logging.WARNING, __file__, 0, text, (lost,), None)
            self._connection.send_bytes(message(Word.LOGGED, packed_record(told)))


class _Handler(logging.Handler):
    """Sends records to the process that the worker works for."""

    def __init__(self, sender: Sender) -> None:
        super().__init__()
        self._sender = sender

    def emit(self, record: logging.LogRecord) -> None:
        """Send one."""
        try:
            made = packed_record(record)
        except Exception:  # such as arguments that do not fit the message; logging tells of it as of any
            self.handleError(record)
        else:
            self._sender.log(made)


def levels() -> Levels:
    """Those of this process, as they are now."""
    manager = logging.root.manager
    found = {"": logging.root.level}
    for name, each in [*manager.loggerDict.items()]:
        if isinstance(each, logging.Logger) and each.level:
            found[name] = each.level
    return manager.disable, found


@contextlib.contextmanager
def forwarding(sender: Sender, wanted: Levels) -> Iterator[None]:
    """In a worker: have what is logged sent, as far as it is wanted."""
    root, ours = logging.getLogger(), _Handler(sender)
    before = [*root.handlers]
    for each in before:
        root.removeHandler(each)
    root.addHandler(ours)
    disabled, by_name = wanted
    logging.disable(disabled)
    for name, level in by_name.items():
        logging.getLogger(name).setLevel(level)
    try:
        yield
    finally:
        root.removeHandler(ours)
        for each in before:
            root.addHandler(each)


def packed_record(record: logging.LogRecord) -> bytes:
    """What crosses of a record: texts and numbers."""
    fields = {name: _plain(value) for name, value in record.__dict__.items()}
    trace = record.exc_text
    if record.exc_info and not trace:
        trace = logging.Formatter().formatException(record.exc_info)
    fields |= {"msg": cut(record.getMessage()), "args": (), "exc_info": None, "exc_text": trace and cut(trace)}
    return packed(fields)


def log_here(payload: Payload, stage: str) -> None:
    """Give a record to the logging of this process, with the name of the stage as its attribute ``stage``."""
    record = logging.makeLogRecord(unpacked(payload))
    record.stage = stage
    named = logging.getLogger(record.name)
    if named.isEnabledFor(record.levelno):
        try:
            named.handle(record)
        except Exception:  # a filter's or a handler's, and no failure of the call
            logging.Handler().handleError(record)


def _plain(value: object) -> object:
    if type(value) is str:
        return cut(value)
    return value if type(value) in _PLAIN else shown(value)
