"""Running the pipeline from the command line, signals included.

The rule: the first Ctrl-C ends the source and nothing else, so that everything read
before comes out; the second, or any other signal, cancels the whole job; one more
kills the process, because a call in a thread cannot be cancelled and may never return.
Whatever happens, the output is completed or given up, in one place.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import attrs
from anyio import (
    TASK_STATUS_IGNORED,
    CancelScope,
    create_task_group,
    get_cancelled_exc_class,
    open_signal_receiver,
    sleep_forever,
)
from anyio.abc import TaskStatus

from .._pipeline import AsyncTaskPipeline
from ._exit import Exit, say, told, verdict
from ._input import Source
from ._output import Sink, Writer
from ._progress import Display
from ._target import build


@attrs.define(eq=False)
class Job:
    """One run of a pipeline over one input.

    Attributes:
        target: What the user called the pipeline.
        found: The pipeline, or a function that returns one.
        source: The input.
        sink: The output.
        style: How results are written: ``lines`` or ``jsonl``.
        queue_size: What to replace the pipeline's own bound with, if anything.
        timing: Whether to time every item.
        tracebacks: Whether to show the traceback of an exception that comes out as a result.
        display: The progress bar, if there is one.
        pipeline: The pipeline, once it is built.
        failure: What ended the job, if something raised.
        written: How many results were written, once all of them are.
        errors: How many exceptions came out as results.
        signal: The last signal that came.
    """

    target: str
    found: Any
    source: Source
    sink: Sink
    style: str
    queue_size: int | None = None
    timing: bool = False
    tracebacks: bool = False
    display: Display | None = None
    pipeline: AsyncTaskPipeline[Any, Any] | None = None
    failure: BaseException | None = None
    written: int | None = None
    errors: int = 0
    signal: int = 0

    @property
    def code(self) -> Exit:
        """How the job ended."""
        if self.failure is not None:
            return verdict(self.failure).code
        if self.signal:
            return Exit(128 + self.signal)
        return Exit.FAILED if self.errors else Exit.DONE

    async def run(self) -> None:
        """Do the job."""
        pipeline = self.pipeline = await build(self.target, self.found)
        if self.queue_size is not None:
            pipeline.max_queue_size = self.queue_size
        if self.timing:
            pipeline.enable_timing = True
        pipeline.warn_after = None  # who reads stdout, a pager for example, may take its time
        async with create_task_group() as tg:
            with CancelScope() as work:
                await tg.start(self._listen, work)
                if self.display is not None:
                    tg.start_soon(self.display.watch, pipeline)
                await self._attempt(pipeline)
            tg.cancel_scope.cancel()
        if self.display is not None:
            self.display.end(pipeline, done=self.failure is None)

    async def _attempt(self, pipeline: AsyncTaskPipeline[Any, Any]) -> None:
        """Process everything; complete the output or give it up."""
        writer = Writer(self.sink, self.style)
        try:
            self.sink.open()
            async with pipeline.process(self.source) as results:
                try:
                    await self._deliver(results, pipeline, writer)
                finally:
                    # Before the pipeline waits for the thread that iterates it.
                    self.source.stop()
            self.sink.commit()
            self.written = writer.written
        except get_cancelled_exc_class():
            self.sink.discard()
            raise
        except BaseException as exc:
            self.sink.discard()
            self.failure = exc

    async def _deliver(self, results: Any, pipeline: AsyncTaskPipeline[Any, Any], writer: Writer) -> None:
        try:
            async for result in results:
                if isinstance(result, BaseException):
                    # The user asked for it to travel on; it is no result for all that.
                    self.errors += 1
                    told(result, tracebacks=self.tracebacks)
                else:
                    output = pipeline.output_queue
                    await writer.put(result, more=output is not None and not output.empty())
        finally:
            # What was delivered before a failure comes before its message. When
            # cancelled, this raises at once.
            await writer.flush()

    # -- signals ------------------------------------------------------------------------

    async def _listen(self, work: CancelScope, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        wanted = _signals_to_hear()
        if not wanted:
            task_status.started()
            await sleep_forever()
        with open_signal_receiver(*wanted) as received:
            task_status.started()
            async for number in received:
                self._hear(number, work)

    def _hear(self, number: int, work: CancelScope) -> None:
        first, self.signal = not self.signal, number
        self.source.stop()  # before the message: whoever reads that may rely on the stop
        if first and number == signal.SIGINT:
            say("interrupted: finishing what has been read; Ctrl-C again stops now")
        elif not work.cancel_called:
            work.cancel()
            say("stopping: waiting for calls, if one cannot be cancelled; Ctrl-C again kills the process")
        else:
            self.sink.discard()
            if self.display is not None:
                self.display.stop()
            os._exit(128 + number)


def _signals_to_hear() -> list[signal.Signals]:
    """The signals that ask a process to end, but for those that it was told to ignore.

    ``nohup`` ignores SIGHUP, and a shell the SIGINT of a job in the background.
    """
    if threading.current_thread() is not threading.main_thread() or os.name == "nt":
        return []  # asyncio has no signals on Windows: there a Ctrl-C raises KeyboardInterrupt
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    return [each for each in signal.Signals if each.name in names and signal.getsignal(each) != signal.SIG_IGN]
