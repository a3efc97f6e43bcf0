"""Reading the input, line by line, so that it can be stopped at any moment.

The rule: the pipeline iterates a source in a thread, and that thread must never be
stuck in a read: on a terminal or a slow pipe a Ctrl-C would otherwise have to wait for
the next line. So it waits for two things at once, the input and a pipe of its own that
``stop`` writes to. Whatever was handed out before the stop is the pipeline's; a line
that was not, or not whole, is not.
"""

from __future__ import annotations

import codecs
import json
import math
import os
import re
import select
import stat
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from .._exceptions import shown
from ._exit import CommandError, Exit

CHUNK = 1 << 16
"""Bytes asked for at once: what a pipe holds."""


def text_item(line: bytes) -> str:
    """A line as it is, without its newline."""
    try:
        return line.decode()
    except UnicodeDecodeError as exc:
        raise ValueError(f"not UTF-8: byte 0x{line[exc.start]:02x} in column {exc.start + 1}") from exc


def json_item(line: bytes) -> Any:
    """The JSON value of a line, which can be written as it was read."""
    text = text_item(line)
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_float)
        if _MAYBE_HALF.search(text):
            _check_characters(value)
    except json.JSONDecodeError as exc:
        raise ValueError(f"not JSON: {exc.msg} in column {exc.colno}") from exc
    except RecursionError as exc:
        raise ValueError("not readable: nested too deep") from exc
    return value


_MAYBE_HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""An escape for half of a character, as two of them stand for one beyond 16 bits."""


def _check_characters(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as exc:
        raise ValueError(f"not readable: \\u{ord(exc.object[exc.start]):x} is half of a character") from exc


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"not JSON: {name} is no number of it")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"not readable: {shown(text)[1:-1]} is too large for a float")
    return value


PARSERS: dict[str, Callable[[bytes], Any]] = {"lines": text_item, "jsonl": json_item}


class Source:
    """The items of a file or of stdin; to be iterated once.

    Args:
        path: The file; ``None`` or ``-`` means stdin.
        style: What a line holds: ``lines`` or ``jsonl``. In the latter, lines of white
            space alone are skipped.

    Raises:
        CommandError: If it cannot be opened.
    """

    def __init__(self, path: str | None, style: str) -> None:
        self.name = "stdin" if path in {None, "-"} else str(path)
        self._parse = PARSERS[style]
        self._skips_blank = style == "jsonl"
        self._fd, self._owned = _opened(None if path == "-" else path)
        self._stopped = False
        self._wake_fds = os.pipe()
        self.consumed = 0  # bytes of the lines handed out
        self.size = _bytes_to_come(self._fd)
        self.is_terminal = os.isatty(self._fd)

    def stop(self) -> None:
        """Hand out no further item. Safe in any thread, never blocks, idempotent."""
        if not self._stopped:
            self._stopped = True
            os.write(self._wake_fds[1], b"!")

    def close(self) -> None:
        """Close what was opened; only when nobody iterates."""
        for fd in (*self._wake_fds, *((self._fd,) if self._owned else ())):
            os.close(fd)

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the items.

        Raises:
            CommandError: If a line is wrong or cannot be read; names file and line.
        """
        for number, line in enumerate(self._lines(), 1):
            self.consumed += len(line) + 1
            text = line.removesuffix(b"\r")
            if number == 1:
                text = text.removeprefix(codecs.BOM_UTF8)
            if self._skips_blank and not text.strip():
                continue
            try:
                item = self._parse(text)
            except ValueError as exc:
                raise CommandError(Exit.INPUT, f"{self.name}, line {number}: {exc}") from exc
            if self._stopped:
                return
            yield item

    def _lines(self) -> Iterator[bytes]:
        begun: list[bytes] = []
        while chunk := self._read():
            first, *others = chunk.split(b"\n")
            begun.append(first)
            if others:
                yield b"".join(begun)
                yield from others[:-1]
                begun = others[-1:]
        if (last := b"".join(begun)) and not self._stopped:
            yield last

    def _read(self) -> bytes:
        """The next bytes; none at the end of input or when stopped."""
        try:
            while not self._stopped:
                # Windows can wait for sockets only; there a stop takes effect with the
                # next line.
                if sys.platform == "win32" or self._fd in select.select([self._fd, self._wake_fds[0]], [], [])[0]:
                    try:
                        return os.read(self._fd, CHUNK)
                    except BlockingIOError:
                        continue  # somebody shares the input, and was faster
        except OSError as exc:
            raise CommandError(Exit.INPUT, f"cannot read {self.name}: {exc.strerror}") from exc
        return b""


def _opened(path: str | None) -> tuple[int, bool]:
    """A descriptor to read from, and whether it is ours to close."""
    if path is None:
        if sys.__stdin__ is None:
            raise CommandError(Exit.INPUT, "cannot read stdin: it is closed")
        return 0, False
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError as exc:
        raise CommandError(Exit.INPUT, f"cannot read {path}: {exc.strerror}") from exc
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        os.close(fd)
        raise CommandError(Exit.INPUT, f"cannot read {path}: it is a directory")
    return fd, True


def _bytes_to_come(fd: int) -> int | None:
    """How much there is to read, where that can be known."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        return None
    return max(0, status.st_size - os.lseek(fd, 0, os.SEEK_CUR)) or None
