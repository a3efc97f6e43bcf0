"""Writing the results: to a stream as they come, or to a file whole or not at all.

The rule: an output is sound at any moment. A stream ends at the end of a line, however
the command ends; a file appears under its name only when it is complete, because it
is written beside it and renamed. A reader that does not read must not block the loop,
or no Ctrl-C would get through: a stream is written to only when it has room.
"""

from __future__ import annotations

import errno
import json
import os
import select
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from anyio import CancelScope, wait_writable
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled

from ._exit import CommandError, Exit, one_line
from ._stdout import descriptor

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
    text = f"{type(value).__name__} {value!r}"
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
        """Do nothing: it is open."""

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
        except BrokenPipeError as exc:
            raise CommandError(Exit.BROKEN_PIPE, f"{self._name} was closed by its reader") from exc
        except OSError as exc:
            raise CommandError(Exit.OUTPUT, f"cannot write {self._name}: {exc.strerror}") from exc

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
        """Do nothing: it is all written."""

    def discard(self) -> None:
        """Do nothing: what is written, is."""


class FileSink:
    """A file that is there when complete, with its old content until then.

    Args:
        path: Its name; a symbolic link is followed.
    """

    def __init__(self, path: str) -> None:
        self._name = path
        self._path = Path(os.path.realpath(path))
        self._temporary: Path | None = None
        self._fd = -1

    def open(self) -> None:
        """Make the temporary file, in the same directory so that it can be renamed.

        Raises:
            CommandError: If that is not possible.
        """
        if self._path.is_dir():
            raise CommandError(Exit.OUTPUT, f"cannot write {self._name}: it is a directory")
        try:
            if self._path.exists() and not os.access(self._path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            self._fd, name = tempfile.mkstemp(prefix=f".{self._path.name}.", suffix=".part", dir=self._path.parent)
        except OSError as exc:
            raise self._error(exc) from exc
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
            raise self._error(exc) from exc

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
            self._close()
            self._temporary.replace(self._path)
        except OSError as exc:
            self.discard()
            raise self._error(exc) from exc
        self._temporary = None

    def _mode(self) -> int:
        """The permissions a file opened for writing would have had."""
        if self._path.exists():
            return stat.S_IMODE(self._path.stat().st_mode)
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask

    def discard(self) -> None:
        """Remove the temporary file, if there is one."""
        if self._temporary is not None:
            self._close()
            self._temporary.unlink(missing_ok=True)
            self._temporary = None

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _error(self, exc: OSError) -> CommandError:
        return CommandError(Exit.OUTPUT, f"cannot write {self._name}: {exc.strerror}")


@contextmanager
def file_sink(path: str) -> Iterator[FileSink]:
    """A file, begun now, and given up unless it is completed in the block."""
    sink = FileSink(path)
    sink.open()
    try:
        yield sink
    finally:
        sink.discard()


@contextmanager
def sink_for(path: str | None, stdout: int | None) -> Iterator[Sink]:
    """The place that ``--output`` names; ``None`` and ``-`` are stdout.

    What exists and is no regular file (a device, a named pipe), or is open already, is written
    to as it is, because a rename would put a file in its place.

    Args:
        path: What the user said.
        stdout: A descriptor of stdout, ``None`` if that is closed.

    Raises:
        CommandError: If it cannot be opened.
    """
    if path is None or path == "-":
        path = "/dev/stdout"
    open_already = descriptor(path, stdout)
    if open_already is not None:
        yield StreamSink(open_already, path.removeprefix("/dev/"))
        return
    if path == "/dev/stdout":
        raise CommandError(Exit.OUTPUT, "cannot write stdout: it is closed")
    if not Path(path).exists() or Path(path).is_file() or Path(path).is_dir():
        yield FileSink(path)
        return
    try:
        fd = os.open(path, os.O_WRONLY)
    except OSError as exc:
        raise CommandError(Exit.OUTPUT, f"cannot write {path}: {exc.strerror}") from exc
    try:
        yield StreamSink(fd, path)
    finally:
        os.close(fd)
