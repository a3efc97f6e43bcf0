"""The shapes of a barge-in on this library; `peers.pipecat` has the same for pipecat.

Every stage is an `async def`, as every processor there is. The request is `interrupt()`, and the
sink's word of it is the sentinel of that call. A producer puts by a turn, which is how this
library's documentation tells producers to; one that did not would leak in "own task" here too,
for what it put after the interrupt would be the next turn's.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint
from harness.barge_in import AMID, CALL, END, GAP, INTO_THE_SECOND, ITEMS, NEW, OLD, PRODUCED, SHAPES, WAITING, Record
from harness.line import BACKENDS, emit, options

from async_task_pipeline import AsyncTaskPipeline, TurnOverError

Pipeline = AsyncTaskPipeline[str, str]
FLUSH = "flush"


async def same(text: str) -> str:
    """Pass it on."""
    return text


class Scene:
    """One shape: a pipeline, and who acts on it."""

    def __init__(self, shape: str, tasks: TaskGroup) -> None:
        self.record = Record()
        self.tasks = tasks
        self.swallows = shape == "swallowed"
        self.pipeline = Pipeline(ITEMS + WAITING)
        stages: dict[str, list[Callable[[str], Any]]] = {
            "downstream": [self.model, same, same, same, self.notice],
            "own task": [same],
            "own task, told": [same],
            "urgent": [same, self.urgent],
        }
        for number, function in enumerate(stages.get(shape, [self.slow])):
            self.pipeline.add_stage(f"stage {number}", function)
        acts = {"downstream": self.let_it_notice, "own task": self.put_from_a_task, "own task, told": self.put_in_turn}
        self.act = acts.get(shape, self.interrupt_amid)
        self.items = [OLD] * ITEMS if shape != "urgent" else ["urgent", *[OLD] * WAITING]
        self.marked = shape.startswith("marker")

    # -- stages ----------------------------------------------------------------------------

    async def slow(self, text: str) -> str:
        """Await something, and perhaps swallow the first cancellation of it."""
        try:
            await anyio.sleep(CALL)
        except anyio.get_cancelled_exc_class():
            if not self.swallows:
                raise
            self.swallows = False
        return text

    async def urgent(self, text: str) -> str:
        """Do what must not be interrupted."""
        if text == "urgent":
            with anyio.CancelScope(shield=True):
                await anyio.sleep(CALL)
        return text

    async def model(self, prompt: str) -> AsyncIterator[str]:
        """Produce without waiting for anything."""
        if prompt == NEW:
            yield NEW
            return
        for number in range(PRODUCED * 10):
            yield f"{OLD} {number}"
            await checkpoint()

    async def notice(self, text: str) -> str:
        """Interrupt, as a stage downstream of the producer."""
        if text == f"{OLD} {AMID}":
            await self.interrupt()
        return text

    # -- acts ------------------------------------------------------------------------------

    async def interrupt(self) -> None:
        """Make the request."""
        self.record.request()
        await self.pipeline.interrupt(sentinel=FLUSH)

    async def interrupt_amid(self) -> None:
        """Put everything, and interrupt in the middle of a call."""
        for text in self.items:
            await self.pipeline.process_input_data(text)
        if self.marked:
            await self.pipeline.process_input_sentinel(END)
        await anyio.sleep(INTO_THE_SECOND if "urgent" not in self.items else CALL / 5)
        await self.interrupt()

    async def let_it_notice(self) -> None:
        """Put the prompt."""
        await self.pipeline.process_input_data(OLD)

    async def put_from_a_task(self) -> None:
        """Have a task put that outlives the turn."""
        async with self.pipeline.turn() as turn:
            self.tasks.start_soon(self.produce, turn)
            await self.interrupt_when_heard()

    async def put_in_turn(self) -> None:
        """Put in the block that the interrupt cancels."""
        self.tasks.start_soon(self.interrupt_when_heard)
        async with self.pipeline.turn() as turn:
            await self.produce(turn)

    async def produce(self, turn: Any) -> None:
        """Put with a little time between."""
        try:
            for number in range(PRODUCED):
                await turn.put(f"{OLD} {number}")
                await anyio.sleep(GAP)
        except TurnOverError:
            pass

    async def interrupt_when_heard(self) -> None:
        """Interrupt when some of it has come out."""
        await self.record.until(lambda: self.record.count(OLD) >= AMID, anyio.sleep)
        await self.interrupt()

    async def consume(self) -> None:
        """Be the sink."""
        async for text in self.pipeline.generate_output_stream():
            self.record.interruption() if text == FLUSH else self.record.item(text)


async def run(shape: str) -> Record:
    """Run one shape, then the next turn."""
    async with anyio.create_task_group() as tasks:
        scene = Scene(shape, tasks)
        async with scene.pipeline:
            tasks.start_soon(scene.consume)
            await scene.act()
            await scene.record.until(lambda: scene.record.told, anyio.sleep)
            await scene.record.settled(anyio.sleep)
            await scene.pipeline.process_input_data(NEW)
            await scene.record.until(lambda: scene.record.count(NEW), anyio.sleep)
            tasks.cancel_scope.cancel()
    return scene.record


async def job() -> dict[str, float]:
    """Return the values of every shape."""
    return {key: value for shape in SHAPES for key, value in (await run(shape)).outcome(shape)}


if __name__ == "__main__":
    emit("async-task-pipeline", **anyio.run(job, **BACKENDS[options()["backend"]]))
