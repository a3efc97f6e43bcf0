"""What the stages of these tests call, in the processes of the cluster.

The rule: a call is held and released through named pipes in the test's directory, which
wait without polling and can be reached from any process of this machine.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import anyio
import attrs


@attrs.frozen
class Held:
    """An item whose call says that it has begun, and then waits for the gate."""

    number: int
    directory: Path


@attrs.frozen
class Deadly:
    """An item whose call ends the process it is in, once or always."""

    number: int
    marker: Path | None = None


class Gate:
    """What the test holds the calls with."""

    def __init__(self, directory):
        self.directory = directory
        for name in ("begun", "gate"):
            os.mkfifo(directory / name)
        self._begun = os.open(directory / "begun", os.O_RDWR)
        self._gate = None

    async def begun(self, calls):
        """Wait until so many more calls have begun."""
        for _ in range(calls):
            await anyio.to_thread.run_sync(os.read, self._begun, 1, abandon_on_cancel=True)

    def open(self):
        """Let all calls go, now and later."""
        if self._gate is None:
            self._gate = os.open(self.directory / "gate", os.O_RDWR)

    def close(self):
        """Let all calls go, and close the files."""
        self.open()
        os.write(self._begun, b"..")  # whoever still reads
        os.close(self._gate)
        os.close(self._begun)


def number_of(item):
    """Return the item's number, after what it asks for."""
    if isinstance(item, Held):
        with (item.directory / "begun").open("wb") as begun:
            begun.write(b".")
        os.close(os.open(item.directory / "gate", os.O_RDONLY))  # blocks until somebody writes
    elif isinstance(item, Deadly):
        try:
            if item.marker is not None:
                item.marker.touch(exist_ok=False)
        except FileExistsError:
            return item.number
        os.kill(os.getpid(), signal.SIGKILL)
    return getattr(item, "number", item)


def negative(number):
    """A call as short as can be."""
    return -number


def reciprocal(number):
    """A call that may fail."""
    return 1 / number


def twice(number):
    """A call with two results."""
    yield number
    yield number


def process(_item):
    """Tell where the call was."""
    return os.getpid()
