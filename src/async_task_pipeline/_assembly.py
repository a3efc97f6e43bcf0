"""Putting a pipeline together, stage by stage.

The rule: a stage is checked whole when it is added, by name and value, and nothing is
added while the pipeline is running.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Self, TypeVar, Unpack

from ._arguments import seconds, whole_number
from ._exceptions import PipelineStateError
from ._stage import FAILURE_WINDOW, BatchSize, ExecutorKind, OnError, PipelineStage, StageOptions
from ._state import PipelineState

T = TypeVar("T")
U = TypeVar("U")


class Assembly(PipelineState[T, U]):
    """The stages of a pipeline."""

    def add_stage(
        self,
        name: str,
        process_fn: Callable[..., Any],
        *,
        on_error: OnError | None = None,
        interruptible: bool = True,
        on_interrupt: Callable[[], object] | None = None,
        reentrant: bool = False,
        workers: int = 1,
        ordered: bool = True,
        executor: ExecutorKind | Executor | None = None,
        setup: Callable[[], Any] | None = None,
        timeout: float | None = None,
        max_failures: float | None = None,
        failure_window: int = FAILURE_WINDOW,
    ) -> Self:
        """Append a stage; returns the pipeline, so that calls chain.

        Args:
            name: A name no other stage of this pipeline has.
            process_fn: Takes one item's data and returns a result, ``None`` (the item is
                filtered) or a generator (each yielded value becomes an item). A ``def``
                runs in a worker thread, an ``async def`` or async generator function on
                the event loop.
            on_error: What an exception means: ``"raise"`` ends the pipeline with it, ``"return"``
                puts it in the output in place of the item, ``"drop"`` logs and counts it.
                By default as ``return_exceptions`` says.
            interruptible: Whether ``interrupt`` drops what this stage has accepted. With
                ``False`` that is finished and handed on, like items of the next turn.
            on_interrupt: Called by each of the stage's workers after an interrupt, once its
                interrupted call has ended and before the next item. May be async if
                ``process_fn`` is. Only for threads and the loop.
            reentrant: Whether the next turn may start beside an interrupted call that
                has not ended, in a worker of its own. Each such call keeps a thread.
            workers: How many calls run at once.
            ordered: Whether items leave in the order in which they came. If not, an item may
                overtake others in this stage; no item overtakes a sentinel, nor is overtaken
                by one.
            executor: Where a plain function runs: ``"thread"`` (the default), ``"process"``,
                ``"interpreter"`` (Python 3.13 and later), or an executor of your own, which
                stays yours to shut down. A function for another process or interpreter has
                to be importable there.
            setup: Called once in each worker before its first call. What it returns is passed
                to ``process_fn`` as its first argument; a context manager is entered, and left
                in the worker after its last call. May be async if ``process_fn`` is. If it
                fails, so does the start of the pipeline.
            timeout: Seconds that a call may take; for a generator, each step. A call that takes
                longer has failed with :py:exc:`TimeoutError`. It is cancelled, or its process
                ended; in a thread, which can not be ended, the worker stays busy until the
                call returns.
            max_failures: With ``on_error="return"`` or ``"drop"``, how many failures the pipeline
                survives in one run; a float is a share of the last ``failure_window`` outcomes.
            failure_window: See ``max_failures``.

        Raises:
            PipelineStateError: If the pipeline is running.
            TypeError: If an argument has the wrong type, or ``process_fn`` or ``setup`` cannot be
                sent where it is to run.
            ValueError: If an argument has an impossible value, or two cannot be had together.
        """
        return self._append(
            name,
            process_fn,
            None,
            on_error=on_error,
            interruptible=interruptible,
            on_interrupt=on_interrupt,
            reentrant=reentrant,
            workers=workers,
            ordered=ordered,
            executor=executor,
            setup=setup,
            timeout=timeout,
            max_failures=max_failures,
            failure_window=failure_window,
        )

    def add_batch_stage(
        self,
        name: str,
        process_fn: Callable[..., Any],
        *,
        max_size: int,
        max_wait: float,
        on_error: OnError | None = None,
        interruptible: bool = True,
        on_interrupt: Callable[[], object] | None = None,
        reentrant: bool = False,
        workers: int = 1,
        ordered: bool = True,
        executor: ExecutorKind | Executor | None = None,
        setup: Callable[[], Any] | None = None,
        timeout: float | None = None,
        max_failures: float | None = None,
        failure_window: int = FAILURE_WINDOW,
    ) -> Self:
        """Append a stage whose function takes many items in one call.

        A batch goes when it has ``max_size`` items, when its oldest has waited ``max_wait``
        seconds, or when a sentinel or the end of input comes after it. A call that fails has
        failed for each of its items.

        Args:
            name: As for ``add_stage``.
            process_fn: Takes a list of items' data and returns a list with a result for each, in
                the same order; a ``None`` in it filters that item.
            max_size: The most items in a batch, at least 1.
            max_wait: The most seconds that an item waits for others; 0 takes what is there.
            on_error: As for ``add_stage``, and so on for all that follow.
            interruptible: See there.
            on_interrupt: See there.
            reentrant: See there.
            workers: See there.
            ordered: See there.
            executor: See there.
            setup: See there.
            timeout: See there.
            max_failures: See there.
            failure_window: See there.

        Raises:
            PipelineStateError: As ``add_stage``.
            TypeError: As ``add_stage``.
            ValueError: As ``add_stage``.
        """
        batch = BatchSize(
            whole_number(f"max_size of stage {name!r}", max_size, at_least=1),
            seconds(f"max_wait of stage {name!r}", max_wait),
        )
        return self._append(
            name,
            process_fn,
            batch,
            on_error=on_error,
            interruptible=interruptible,
            on_interrupt=on_interrupt,
            reentrant=reentrant,
            workers=workers,
            ordered=ordered,
            executor=executor,
            setup=setup,
            timeout=timeout,
            max_failures=max_failures,
            failure_window=failure_window,
        )

    def _append(
        self, name: str, process_fn: Callable[..., Any], batch: BatchSize | None, **options: Unpack[StageOptions]
    ) -> Self:
        if self._current is not None and not self._current.done.is_set():
            raise PipelineStateError(f"cannot add stage {name!r} while the pipeline is running")
        if options.get("on_error") is None:
            options["on_error"] = "return" if self.return_exceptions else "raise"
        stage = PipelineStage(
            name,
            process_fn,
            batch=batch,
            enable_timing=self.enable_timing,
            clear_link=self._clear_link_of,
            **options,
        )
        if any(each.name == name for each in self.stages):
            raise ValueError(f"name {name!r} is already that of another stage")
        self.stages.append(stage)
        return self

    def _clear_link_of(self, stage: PipelineStage) -> None:
        if self.running:
            self._on_the_loop("clear_input_queue").clear_link(self.stages.index(stage))
