"""A consumer in a task of its own, which knows what it heard since an interrupt.

The rule: it hears all that comes out, to the end of the output, and then the law holds.
"""

from __future__ import annotations

from contextlib import asynccontextmanager

from anyio import create_task_group, fail_after

from tests.support.law import assert_law
from tests.support.waiting import PATIENCE


class Listener:
    """What a consumer heard, and what of it since the interrupt."""

    def __init__(self) -> None:
        self.heard = []
        self.before = 0

    async def listen(self, pipeline) -> None:
        """Read to the end of the output."""
        async for each in pipeline.generate_output_stream():
            self.heard.append(each)

    def from_now(self) -> None:
        """Call it in the step of the interrupt: what is heard later must not be stale."""
        self.before = len(self.heard)

    @property
    def since(self) -> list:
        """What was heard since."""
        return self.heard[self.before :]


@asynccontextmanager
async def listening(pipeline):
    """Run a pipeline with a listener; at the end close the input and let all of it be heard."""
    listener = Listener()
    with fail_after(PATIENCE):
        async with pipeline, create_task_group() as tg:
            tg.start_soon(listener.listen, pipeline)
            yield listener
            pipeline.close_input()
    assert_law(pipeline)
