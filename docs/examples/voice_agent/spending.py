"""How long stage functions took, measured outside the library.

The rule: each message carries the seconds spent on its own path, and nothing that ran
beside it. What is left of an end-to-end time is then the library's own share, however
much overlapped. The example does not take the library's report for that, because a
judge should not be a party.

When a stage was at work is written down on the way, for its lane on the page, the last call of an
interrupted turn included.

Every stage of the agent is a generator, so there are two wrappers: one for those that
run in a thread, one for those on the event loop.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, closing
from typing import TypeVar

import attrs

from .messages import Message, Trace
from .pacing import Clock
from .timeline import Lane

In = TypeVar("In", bound=Message)
Out = TypeVar("Out", bound=Message)


def in_thread(
    stage: Callable[[In], Generator[Out, None, None]], clock: Clock, lane: Lane
) -> Callable[[In], Generator[Out, None, None]]:
    """The same stage; what it yields carries the time that went into it."""

    def watched(message: In) -> Generator[Out, None, None]:
        spent = message.trace.spent
        with closing(stage(message)) as outcomes:
            while True:
                resumed = clock()
                try:
                    outcome = next(outcomes, None)
                finally:
                    yielded = clock()
                    lane.append((resumed, yielded))
                if outcome is None:
                    return
                spent += yielded - resumed
                yield attrs.evolve(outcome, trace=Trace(message.trace.began, spent))

    return watched


def on_loop(
    stage: Callable[[In], AsyncGenerator[Out, None]], clock: Clock, lane: Lane
) -> Callable[[In], AsyncGenerator[Out, None]]:
    """As :py:func:`in_thread`, for an async generator."""

    async def watched(message: In) -> AsyncGenerator[Out, None]:
        spent = message.trace.spent
        async with aclosing(stage(message)) as outcomes:
            while True:
                resumed = clock()
                try:
                    outcome = await anext(outcomes, None)
                finally:
                    yielded = clock()
                    lane.append((resumed, yielded))
                if outcome is None:
                    return
                spent += yielded - resumed
                yield attrs.evolve(outcome, trace=Trace(message.trace.began, spent))

    return watched
