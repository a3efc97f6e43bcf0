"""Stage functions and set-ups that are wrong, at the top level of a module: other processes import it.

The rule: each does one thing that a user may do by mistake, wherever it runs.
"""

from __future__ import annotations

from tests.kinds.functions import MineError, Resource, batch_on_loop, each_in_on_loop, outcome_on_loop


def unawaited(data):
    """Return what only the loop can run."""
    return outcome_on_loop(data)


async def unawaited_on_loop(data):
    return outcome_on_loop(data)


async def generator_on_loop(data):
    """Return a generator where only a ``def`` may."""
    return (each for each in [data])


async def async_generator_on_loop(data):
    """Return an async generator, and not be one."""
    return each_in_on_loop([data])


def unawaited_batch(items):
    return batch_on_loop("nowhere", items)


def endless(data):
    while True:
        yield data


class Unclean(Resource):
    def __exit__(self, *exc_info):
        super().__exit__(*exc_info)
        raise MineError("the clean-up")
