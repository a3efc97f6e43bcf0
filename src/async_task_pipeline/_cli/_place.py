"""Where an output goes, whatever it is called.

The rule: a place is looked at before anything is opened or replaced, and known by what it is and
not by its name. Only where nothing is yet, or a regular file that is not open as stdout or stderr,
may a new file be put.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

import attrs

from ._exit import CommandError, Exit
from ._stdout import descriptor


@attrs.frozen
class Place:
    """Where an output goes, looked at before anything is opened.

    Attributes:
        name: What the user calls it.
        path: Where it is, when every link is followed.
        descriptor: The descriptor that leads there, if it is one that is open already.
        status: What is there; ``None`` if nothing is yet.
    """

    name: str
    path: str
    descriptor: int | None
    status: os.stat_result | None

    @property
    def may_be_replaced(self) -> bool:
        """Whether a rename may put a file there: where there is none, or a regular one."""
        return self.status is None or stat.S_ISREG(self.status.st_mode)

    @property
    def is_socket(self) -> bool:
        """Whether it is connected to, because it cannot be opened."""
        return self.status is not None and stat.S_ISSOCK(self.status.st_mode)

    def is_same_as(self, other: Place) -> bool:
        """Whether what is written to one would be mixed with the other, or destroy it."""
        if self.descriptor is not None and other.descriptor is not None:
            return self.descriptor == other.descriptor
        if self.path == other.path:
            return True
        if self.status is None or other.status is None or stat.S_ISCHR(self.status.st_mode):
            return False  # a terminal shows both, wherever they come from
        return os.path.samestat(self.status, other.status)

    def error(self, exc: OSError) -> CommandError:
        """What to say when it cannot be written."""
        return CommandError(Exit.OUTPUT, f"cannot write {self.name}: {exc.strerror}")


def place_of(path: str | None, stdout: int | None) -> Place:
    """The place that a path names; ``None`` and ``-`` are stdout.

    What is open as stdout or stderr is found under any name: replaced, it would lose what others
    write there.

    Args:
        path: What the user said.
        stdout: A descriptor of stdout, ``None`` if that is closed.

    Raises:
        CommandError: If it cannot be written whatever is done.
    """
    if path is None or path == "-":
        return _open_already("stdout", 1, stdout)
    try:
        number = descriptor(path)
        return _named(path, stdout) if number is None else _open_already(path.removeprefix("/dev/"), number, stdout)
    except OSError as exc:
        raise CommandError(Exit.OUTPUT, f"cannot write {path}: {exc.strerror}") from exc


def _open_already(name: str, number: int, stdout: int | None) -> Place:
    fd = stdout if number == 1 else number
    if fd is None:
        raise CommandError(Exit.OUTPUT, "cannot write stdout: it is closed")
    return Place(name, f"/dev/fd/{number}", fd, os.fstat(fd))


def _named(path: str, stdout: int | None) -> Place:
    real = os.path.realpath(path)
    try:
        status = Path(path).stat()
    except FileNotFoundError:
        return Place(path, real, None, None)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a directory")
    if stat.S_ISREG(status.st_mode):
        for fd in (stdout, 2):
            with contextlib.suppress(OSError):  # closed
                if fd is not None and os.path.samestat(status, os.fstat(fd)):
                    return Place(path, real, fd, status)
    return Place(path, real, None, status)
