"""Writing the results: to a stream as they come, or to a file whole or not at all.

The rule: an output is sound at any moment. A stream ends at the end of a line, however
the command ends; a file appears under its name only when it is complete, because it
is written beside it and renamed. What is no file (a device, a pipe, a socket), or is open
already, is never replaced. A reader that does not read must not block the loop,
or no Ctrl-C would get through: a stream is written to only when it has room.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import socket
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from anyio import CancelScope, wait_writable
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled

from .._exceptions import kind_of, shown
from ._exit import PROGRAM, CommandError, Exit, one_line
from ._place import Place

PIECE = 4096
"""Bytes that a pipe or terminal with any room at all takes without blocking (PIPE_BUF)."""

BUFFER = 1 << 16
"""Bytes of results kept back while the next result is already there."""


def text_line(result: Any) -> bytes:
    """A result as ``str()`` has it; bytes as they are."""
    return bytes(result) if isinstance(result, (bytes, bytearray, memoryview)) else str(result).encode()


def json_line(result: Any) -> bytes:
    """A result as JSON."""
    return json.dumps(result, ensure_ascii=False, allow_nan=False).encode()


FORMATS: dict[str, Callable[[Any], bytes]] = {"lines": text_line, "jsonl": json_line}


class Sink(Protocol):
    """Where finished lines go."""

    def open(self) -> None:
        """Get ready, before anything is processed."""

    async def write(self, lines: bytes) -> None:
        """Write whole lines."""

    def commit(self) -> None:
        """The output is complete."""

    def discard(self) -> None:
        """The output will not be completed. Idempotent."""


class Writer:
    """Turns results into lines, and writes them as soon as no other result is waiting."""

    def __init__(self, sink: Sink, style: str) -> None:
        self.written = 0
        self._sink = sink
        self._format = FORMATS[style]
        self._buffer = bytearray()

    async def put(self, result: Any, *, more: bool) -> None:
        """Write a result; later, if there are more to be had at once."""
        try:
            line = self._format(result)
        except Exception as exc:
            await self.flush()
            raise CommandError(
                Exit.OUTPUT, f"result {self.written + 1}, {_shortened(result)}, cannot be written: {one_line(exc)}"
            ) from exc
        self._buffer += line
        self._buffer += b"\n"
        self.written += 1
        if not more or len(self._buffer) >= BUFFER:
            await self.flush()

    async def flush(self) -> None:
        """Write what was kept back."""
        if self._buffer:
            lines = bytes(self._buffer)
            self._buffer.clear()
            await self._sink.write(lines)


def _shortened(value: Any) -> str:
    text = f"{kind_of(value)} {shown(value)}"
    return text if len(text) <= 60 else f"{text[:57]}..."


class StreamSink:
    """Stdout, or a device or named pipe: written as results come.

    Args:
        fd: Its descriptor, which the caller keeps open.
        name: What to call it in messages.
    """

    def __init__(self, fd: int, name: str) -> None:
        self._fd = fd
        self._name = name
        self._may_block = sys.platform != "win32" and not stat.S_ISREG(os.fstat(fd).st_mode)

    def open(self) -> None:
        """No-op: the stream is open already."""

    async def write(self, lines: bytes) -> None:
        """Write whole lines, waiting for room without blocking the loop.

        Cancelling leaves between two lines: one that has been begun is finished.

        Raises:
            CommandError: If the reader is gone or the device fails.
        """
        at = 0
        try:
            while at < len(lines):
                begun = at > 0 and lines[at - 1 : at] != b"\n"
                with CancelScope(shield=begun):
                    await self._room()
                at += self._write_now(lines[at : self._end_of_piece(lines, at)])
        except OSError as exc:
            raise self._error(exc) from exc

    def fill(self, lines: bytes) -> None:
        """Write whole lines, waiting where nobody else has to.

        Raises:
            CommandError: As ``write``.
        """
        rest = memoryview(lines)
        try:
            while rest:
                if self._may_block:
                    select.select([], [self._fd], [])
                rest = rest[self._write_now(bytes(rest[:PIECE])) :]
        except OSError as exc:
            raise self._error(exc) from exc

    def _error(self, exc: OSError) -> CommandError:
        if isinstance(exc, (BrokenPipeError, ConnectionResetError)):
            return CommandError(Exit.BROKEN_PIPE, f"{self._name} was closed by its reader")
        return CommandError(Exit.OUTPUT, f"cannot write {self._name}: {exc.strerror}")

    def _write_now(self, piece: bytes) -> int:
        try:
            return os.write(self._fd, piece)
        except BlockingIOError:
            return 0  # somebody made the shared stream non-blocking, and filled it first

    def _end_of_piece(self, lines: bytes, at: int) -> int:
        """Where to end what is written at once: after a line, if one fits."""
        if not self._may_block or len(lines) - at <= PIECE:
            return len(lines)
        return lines.rfind(b"\n", at, at + PIECE) + 1 or at + PIECE

    async def _room(self) -> None:
        await checkpoint_if_cancelled()
        if not self._may_block or select.select([], [self._fd], [], 0)[1]:
            return
        try:
            await wait_writable(self._fd)
        except (OSError, ValueError):
            await checkpoint()  # the system cannot wait for such a device: the write will

    def commit(self) -> None:
        """No-op: every line has been written."""

    def discard(self) -> None:
        """No-op: a stream cannot be unwritten."""


class FileSink:
    """A file that is there when complete, with its old content until then.

    Args:
        place: Where; a symbolic link is followed.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._path = Path(place.path)
        self._temporary: Path | None = None
        self._fd = -1

    def open(self) -> None:
        """Make the temporary file, in the same directory so that it can be renamed.

        Raises:
            CommandError: If that is not possible.
        """
        try:
            if self._path.exists() and not os.access(self._path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            # Not named after the file, whose name may be as long as one can be.
            self._fd, name = tempfile.mkstemp(prefix=f".{PROGRAM}.", suffix=".part", dir=self._path.parent)
        except OSError as exc:
            raise self._place.error(exc) from exc
        self._temporary = Path(name)

    async def write(self, lines: bytes) -> None:
        """Write whole lines; see ``fill``."""
        self.fill(lines)

    def fill(self, lines: bytes) -> None:
        """Write whole lines: to a file, which never waits.

        Raises:
            CommandError: If the disk is full, or fails.
        """
        rest = memoryview(lines)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as exc:
            raise self._place.error(exc) from exc

    def commit(self) -> None:
        """Put the file in its place.

        Raises:
            CommandError: If that is not possible; the file is then discarded.
        """
        if self._temporary is None:
            return
        try:
            os.fsync(self._fd)  # or a crash may leave the new name with nothing under it
            self._temporary.chmod(self._mode())
            self._shut()
            self._temporary.replace(self._path)
        except OSError as exc:
            self.discard()
            raise self._place.error(exc) from exc
        self._temporary = None

    def _mode(self) -> int:
        """The permissions a file opened for writing would have had.

        But never to run as its owner or group: who that is may have changed. Nor does a group have
        permissions that were another group's.
        """
        try:
            old = self._path.stat()
        except FileNotFoundError:
            mask = os.umask(0)
            os.umask(mask)
            return 0o666 & ~mask
        if not stat.S_ISREG(old.st_mode):
            raise FileExistsError(errno.EEXIST, "it is no regular file any more")
        if sys.platform != "win32":
            with contextlib.suppress(OSError):  # that is for root, and for members of the group
                os.chown(self._fd, old.st_uid, old.st_gid)
        same_group = os.fstat(self._fd).st_gid == old.st_gid
        return old.st_mode & (0o777 if same_group else 0o707)

    def discard(self) -> None:
        """Remove the temporary file, if there is one."""
        if self._temporary is not None:
            self._shut()
            self._temporary.unlink(missing_ok=True)
            self._temporary = None

    close = discard

    def _shut(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def sink_for(place: Place) -> contextlib.AbstractContextManager[StreamSink | FileSink]:
    """What writes to a place.

    Raises:
        CommandError: If it cannot be opened.
    """
    if place.descriptor is not None:
        return contextlib.nullcontext(StreamSink(place.descriptor, place.name))
    if place.may_be_replaced:
        return contextlib.closing(FileSink(place))
    return _opened(place)


@contextmanager
def _opened(place: Place) -> Iterator[StreamSink]:
    try:
        fd = _connected(place.path) if place.is_socket else os.open(place.path, os.O_WRONLY)
    except OSError as exc:
        raise place.error(exc) from exc
    try:
        yield StreamSink(fd, place.name)
    finally:
        os.close(fd)


def _connected(path: str) -> int:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        return connection.detach()
