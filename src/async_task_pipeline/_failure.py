"""A failed call, as a stage's ``on_error`` function is told of it, and what it may answer.

The rule: a record of what has happened, which the function may keep, send on or write down; nothing it does
with that changes what the pipeline does. Only its answer does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias

import attrs

from ._exceptions import shown

FailureMeaning: TypeAlias = Literal["raise", "return", "drop"]
"""What a failing call means: end the pipeline, put the exception in the output in
place of the item, or log it and go on."""


@attrs.frozen(eq=False)
class Failure:
    """A call that has failed, for one item: what an ``on_error`` function is called with.

    Attributes:
        stage: The name of the stage.
        item: What the call was made with: the item's data. A batch that has failed makes a record for each
            of its items; for a generator it is what that was called with.
        exception: What the call has raised.
        started_at: When the call began, or the step of a generator that has failed; in seconds of the
            pipeline's clock.
        failed_at: When it had failed, the same; of one that took too long, when that was found.
    """

    stage: str
    item: Any = attrs.field(repr=shown)
    exception: BaseException
    started_at: float
    failed_at: float


FailureFunction: TypeAlias = Callable[[Failure], FailureMeaning | Awaitable[FailureMeaning]]
"""Is asked what a failing call means."""
