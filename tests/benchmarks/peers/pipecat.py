"""The shapes of a barge-in on pipecat; `ours.barge_in` has the same for this library.

Stock parts run as its documentation has them: a `PipelineWorker` under a `WorkerRunner`, and processors
that override `process_frame`, call its base, act, and push the frame on. What pipecat keeps for the
input of the user (the frame that begins a barge-in) is a system frame; data are `TextFrame`s and the
end of a turn is a control frame. The request is `broadcast_interruption()`, by the first processor
when the user begins to speak, or by one in the middle; the sink's word of it is the
`InterruptionFrame`. Observers of turns and RTVI, which cost time and change nothing, are off.

What a user can do against a leak is a shape of its own: "own task, told" cancels the producer's
task on the `InterruptionFrame`, and "marker, kept" declares the marker uninterruptible. pipecat's
own services for speech guard themselves in further ways (audio contexts with an id); these are
processors as a user writes them. "urgent" was constructed from reading its queues; the system frame
that takes long stands for the sound of the microphone in a processor that works on it.
"""

import asyncio
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from harness.barge_in import AMID, CALL, END, GAP, INTO_THE_SECOND, ITEMS, NEW, OLD, PRODUCED, SHAPES, WAITING, Record
from harness.line import emit

# Imported by name: type checkers run where no peer is installed.
import_module("loguru").logger.remove()  # it writes debug lines, which would cost pipecat time
frames: Any = import_module("pipecat.frames.frames")
processing: Any = import_module("pipecat.processors.frame_processor")
piping: Any = import_module("pipecat.pipeline.pipeline")
working: Any = import_module("pipecat.pipeline.worker")
running: Any = import_module("pipecat.workers.runner")

FrameProcessor: Any = processing.FrameProcessor
DOWNSTREAM = processing.FrameDirection.DOWNSTREAM


@dataclass
class EndOfTurn(frames.ControlFrame):
    """The end of the old turn."""


@dataclass
class KeptEndOfTurn(EndOfTurn):
    """The same, declared as pipecat declares the frames that an interruption must not drop."""

    interruptible: bool = field(default=False, init=False)


@dataclass
class Urgent(frames.SystemFrame):
    """Something that goes before data, and is not interrupted."""


class Recording(FrameProcessor):
    """Has something to write down."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self.record = record


class Head(Recording):
    """Interrupts when the user begins to speak."""

    async def process_frame(self, frame: Any, direction: Any) -> None:
        """Act on one frame, and pass it on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, frames.UserStartedSpeakingFrame):
            self.record.request()
            await self.broadcast_interruption()
        await self.push_frame(frame, direction)


class Sink(Recording):
    """Writes down what comes."""

    async def process_frame(self, frame: Any, direction: Any) -> None:
        """Act on one frame, and pass it on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, frames.InterruptionFrame):
            self.record.interruption()
        elif isinstance(frame, frames.TextFrame):
            self.record.item(frame.text)
        elif isinstance(frame, EndOfTurn):
            self.record.item(END)
        await self.push_frame(frame, direction)


class Same(FrameProcessor):
    """Passes everything on."""

    async def process_frame(self, frame: Any, direction: Any) -> None:
        """Act on one frame, and pass it on."""
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)


class Slow(FrameProcessor):
    """Awaits something for each text, and perhaps swallows the first cancellation of it."""

    def __init__(self, swallows: bool) -> None:
        super().__init__()
        self.swallows = swallows

    async def process_frame(self, frame: Any, direction: Any) -> None:
        """Act on one frame, and pass it on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, frames.TextFrame):
            try:
                await asyncio.sleep(CALL)
            except asyncio.CancelledError:
                if not self.swallows:
                    raise
                self.swallows = False
        await self.push_frame(frame, direction)


class Busy(FrameProcessor):
    """Works on a system frame for a while."""

    async def process_frame(self, frame: Any, direction: Any) -> None:
        """Act on one frame, and pass it on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, Urgent):
            await asyncio.sleep(CALL)
        await self.push_frame(frame, direction)


class Model(FrameProcessor):
    """Produces without waiting for anything."""

    async def process_frame(self, frame: Any, direction: Any) -> None:
        """Act on one frame, and pass it on."""
        await super().process_frame(frame, direction)
        if not isinstance(frame, frames.TextFrame) or frame.text == NEW:
            await self.push_frame(frame, direction)
            return
        for number in range(PRODUCED * 10):
            await self.push_frame(frames.TextFrame(f"{OLD} {number}"))
            await asyncio.sleep(0)


class Notice(Recording):
    """Interrupts, as a processor downstream of the producer."""

    async def process_frame(self, frame: Any, direction: Any) -> None:
        """Act on one frame, and pass it on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, frames.TextFrame) and frame.text == f"{OLD} {AMID}":
            self.record.request()
            await self.broadcast_interruption()
            return
        await self.push_frame(frame, direction)


class Provider(FrameProcessor):
    """Pushes from a task of its own, as one does that reads a connection."""

    def __init__(self, told: bool) -> None:
        super().__init__()
        self.told = told
        self.task: Any = None

    async def process_frame(self, frame: Any, direction: Any) -> None:
        """Act on one frame, and pass it on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, frames.TextFrame) and frame.text == OLD:
            self.task = self.create_task(self.receive())
            return
        if isinstance(frame, frames.InterruptionFrame) and self.told:
            await self.end()
        await self.push_frame(frame, direction)

    async def receive(self) -> None:
        """Push with a little time between."""
        for number in range(PRODUCED):
            await self.push_frame(frames.TextFrame(f"{OLD} {number}"))
            await asyncio.sleep(GAP)

    async def end(self) -> None:
        """End the task, if there is one."""
        if self.task is not None:
            await self.cancel_task(self.task)
            self.task = None

    async def cleanup(self) -> None:
        """Leave no task behind."""
        await super().cleanup()
        await self.end()


def processors(shape: str, record: Record) -> list[Any]:
    """Return what is between the head and the sink."""
    if shape == "downstream":
        return [Model(), Same(), Same(), Same(), Notice(record)]
    if shape.startswith("own task"):
        return [Provider(shape.endswith("told"))]
    return [Same(), Busy()] if shape == "urgent" else [Slow(shape == "swallowed")]


async def act(shape: str, worker: Any, record: Record) -> None:
    """Send what the shape has, and interrupt in the middle of it."""
    if shape == "downstream" or shape.startswith("own task"):
        await worker.queue_frame(frames.TextFrame(OLD))
    else:
        given = [Urgent(), *(frames.TextFrame(OLD) for _ in range(WAITING))]
        if shape != "urgent":
            given = [frames.TextFrame(OLD) for _ in range(ITEMS)]
        if shape.startswith("marker"):
            given.append(KeptEndOfTurn() if shape.endswith("kept") else EndOfTurn())
        await worker.queue_frames(given)
    if shape == "downstream":
        return
    if shape.startswith("own task"):
        await record.until(lambda: record.count(OLD) >= AMID, asyncio.sleep)
    else:
        await asyncio.sleep(CALL / 5 if shape == "urgent" else INTO_THE_SECOND)
    await worker.queue_frame(frames.UserStartedSpeakingFrame())


async def run(shape: str) -> Record:
    """Run one shape, then the next turn."""
    record = Record()
    pipeline = piping.Pipeline([Head(record), *processors(shape, record), Sink(record)])
    worker = working.PipelineWorker(
        pipeline, cancel_on_idle_timeout=False, enable_turn_tracking=False, enable_rtvi=False
    )
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def on_pipeline_started(worker: Any, frame: Any) -> None:
        started.set()

    runner = running.WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(runner.run())
        await asyncio.wait_for(started.wait(), 10)
        await act(shape, worker, record)
        await record.until(lambda: record.told, asyncio.sleep)
        await record.settled(asyncio.sleep)  # the interruption has come to the first processor too
        await worker.queue_frame(frames.TextFrame(NEW))
        await record.until(lambda: record.count(NEW), asyncio.sleep)
        await worker.queue_frame(frames.EndFrame())
    return record


async def job() -> dict[str, float]:
    """Return the values of every shape."""
    return {key: value for shape in SHAPES for key, value in (await run(shape)).outcome(shape)}


if __name__ == "__main__":
    emit("pipecat-ai", **asyncio.run(job()))
