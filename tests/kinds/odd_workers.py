"""Odd set-ups and states, and what a process leaves behind, at the top level of a module: other processes import it.

The rule: as in ``odd``: each is allowed, and met in practice.
"""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

from tests.kinds.functions import MineError, Resource, visit

# -- set-ups and states ---------------------------------------------------------------------------


def stops():
    """A set-up that fails with what Python itself uses for control flow."""
    raise StopIteration("setup")


async def cancels():
    """A set-up that is cancelled, though nobody has cancelled it."""
    raise asyncio.CancelledError


class Ledger(Resource):
    """A state that knows whether it has been let go."""

    open = False

    def __enter__(self):
        self.open = True
        return super().__enter__()

    def __exit__(self, *exc_info):
        self.open = False
        super().__exit__(*exc_info)


def write(ledger, data):
    """Fail, or say whether the state was open."""
    if data == "fails":
        raise MineError(data)
    return data, ledger.open


# -- processes --------------------------------------------------------------------------------


def breed(address, fifo, how, data):
    """Leave a child behind, which ends once the fifo has been written and closed; then stand at the gate."""
    if data.startswith("child"):
        if how == "system":
            os.system(f"cat {fifo} &")
        elif os.fork() == 0:
            Path(fifo).read_bytes()
            os._exit(0)
    if data.endswith("dies"):
        os._exit(1)
    visit(address, data)
    return data


def begin_a_thread(address, data):
    """Leave a thread behind that stands at the gate."""
    threading.Thread(target=visit, args=(address, "thread")).start()
    return data


def set_up(address):
    """A set-up that tells the gate by which process it is made."""
    visit(address, os.getpid())


def die_or_not(state, data):
    """Die of some data."""
    if data == "dies":
        os._exit(1)
    return data


class Slow:
    """Stands at the gate while it is pickled."""

    def __init__(self, address):
        self.address = address

    def __reduce__(self):
        visit(self.address, "pickled")
        return str, ("slow",)
