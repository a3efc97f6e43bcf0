"""Stages declared in sequence, so that type checkers can follow what passes between them.

The rule: a chain only remembers. Nothing about a stage is decided here: what is wrong
with one is found by ``add_stage``, in a pipeline made to ask it and thrown away, and what
it does is the pipeline's business. A chain never changes, so every pipeline made from it
has stages of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypedDict, Unpack, overload

import attrs

from ._chain_types import AnyList, AnyResult, Lists, Setup, Unwrapped
from ._engine._input import Overflow
from ._pipeline import AsyncTaskPipeline
from ._stage import CallOptions, OnError, StageFunction, StageOptions
from ._timing._clock import Clock
from ._type_variables import InT, NewT, OutT, SentinelT, SomeT, StateT


class PipelineOptions(TypedDict, total=False):
    """The arguments of ``AsyncTaskPipeline``, by keyword; a test compares the two."""

    max_queue_size: int
    enable_timing: bool
    return_exceptions: bool
    on_error: OnError | None
    timing_history: int
    overflow: Overflow
    show_items: bool
    warn_after: float | None
    clock: Clock


@attrs.frozen(eq=False, repr=False)
class Chain(Generic[InT, OutT]):
    """Stages in sequence, whose types are checked one against the next.

    ``Chain[bytes]()`` has no stage yet; ``then`` makes a longer chain, ``pipeline`` a
    pipeline. A chain never changes: it may be shared, continued in several ways, and made
    into any number of pipelines.

    ``InT`` is the type of what goes in, ``OutT`` that of what comes out.
    """

    _stages: tuple[tuple[Callable[..., object], str, StageFunction, Mapping[str, Any]], ...] = attrs.field(
        default=(), kw_only=True, alias="_stages"
    )

    def __repr__(self) -> str:
        """Show the names of the stages."""
        return f"<Chain [{' > '.join(name for _, name, *_ in self._stages) or 'no stages'}]>"

    @overload
    def then(
        self,
        name: str,
        process_fn: Callable[[OutT], AnyResult],
        *,
        setup: None = None,
        **options: Unpack[CallOptions],
    ) -> Chain[InT, Any]: ...

    @overload
    def then(
        self,
        name: str,
        process_fn: Callable[[OutT], Unwrapped[SomeT]],
        *,
        setup: None = None,
        **options: Unpack[CallOptions],
    ) -> Chain[InT, SomeT]: ...

    @overload
    def then(
        self,
        name: str,
        process_fn: Callable[[OutT], Unwrapped[NewT | None]],
        *,
        setup: None = None,
        **options: Unpack[CallOptions],
    ) -> Chain[InT, NewT]: ...

    @overload
    def then(
        self,
        name: str,
        process_fn: Callable[[OutT], SomeT],
        *,
        setup: None = None,
        **options: Unpack[CallOptions],
    ) -> Chain[InT, SomeT]: ...

    @overload
    def then(
        self,
        name: str,
        process_fn: Callable[[OutT], NewT | None],
        *,
        setup: None = None,
        **options: Unpack[CallOptions],
    ) -> Chain[InT, NewT]: ...

    @overload
    def then(
        self,
        name: str,
        process_fn: Callable[[StateT, OutT], AnyResult],
        *,
        setup: Setup[StateT],
        **options: Unpack[CallOptions],
    ) -> Chain[InT, Any]: ...

    @overload
    def then(
        self,
        name: str,
        process_fn: Callable[[StateT, OutT], Unwrapped[SomeT]],
        *,
        setup: Setup[StateT],
        **options: Unpack[CallOptions],
    ) -> Chain[InT, SomeT]: ...

    @overload
    def then(
        self,
        name: str,
        process_fn: Callable[[StateT, OutT], Unwrapped[NewT | None]],
        *,
        setup: Setup[StateT],
        **options: Unpack[CallOptions],
    ) -> Chain[InT, NewT]: ...

    @overload
    def then(
        self,
        name: str,
        process_fn: Callable[[StateT, OutT], SomeT],
        *,
        setup: Setup[StateT],
        **options: Unpack[CallOptions],
    ) -> Chain[InT, SomeT]: ...

    @overload
    def then(
        self,
        name: str,
        process_fn: Callable[[StateT, OutT], NewT | None],
        *,
        setup: Setup[StateT],
        **options: Unpack[CallOptions],
    ) -> Chain[InT, NewT]: ...

    def then(self, name: str, process_fn: StageFunction, **options: Unpack[StageOptions]) -> Chain[InT, Any]:
        """This chain and one more stage, as a new chain.

        The stage must take what the chain gives so far. What it gives itself is what its
        function returns without ``None``, which filters; what a coroutine function returns
        when awaited; and what a generator yields. A function that is annotated to return
        an ``Iterator`` or ``AsyncIterator`` counts as a generator. With a ``setup``, it takes
        first what that makes or, from a context manager, yields.

        Args:
            name: A name no other stage of the chain has.
            process_fn: As in ``AsyncTaskPipeline.add_stage``.
            **options: Those of ``AsyncTaskPipeline.add_stage``.

        Raises:
            TypeError: As ``AsyncTaskPipeline.add_stage``.
            ValueError: As ``AsyncTaskPipeline.add_stage``.
        """
        return self._longer(AsyncTaskPipeline.add_stage, name, process_fn, options)

    @overload
    def then_batch(
        self,
        name: str,
        process_fn: Callable[[list[OutT]], AnyList],
        *,
        max_size: int,
        max_wait: float,
        per_item: bool = True,
        setup: None = None,
        **options: Unpack[CallOptions],
    ) -> Chain[InT, Any]: ...

    @overload
    def then_batch(
        self,
        name: str,
        process_fn: Callable[[list[OutT]], Lists[SomeT]],
        *,
        max_size: int,
        max_wait: float,
        per_item: bool = True,
        setup: None = None,
        **options: Unpack[CallOptions],
    ) -> Chain[InT, SomeT]: ...

    @overload
    def then_batch(
        self,
        name: str,
        process_fn: Callable[[list[OutT]], Lists[NewT | None]],
        *,
        max_size: int,
        max_wait: float,
        per_item: bool = True,
        setup: None = None,
        **options: Unpack[CallOptions],
    ) -> Chain[InT, NewT]: ...

    @overload
    def then_batch(
        self,
        name: str,
        process_fn: Callable[[StateT, list[OutT]], AnyList],
        *,
        max_size: int,
        max_wait: float,
        per_item: bool = True,
        setup: Setup[StateT],
        **options: Unpack[CallOptions],
    ) -> Chain[InT, Any]: ...

    @overload
    def then_batch(
        self,
        name: str,
        process_fn: Callable[[StateT, list[OutT]], Lists[SomeT]],
        *,
        max_size: int,
        max_wait: float,
        per_item: bool = True,
        setup: Setup[StateT],
        **options: Unpack[CallOptions],
    ) -> Chain[InT, SomeT]: ...

    @overload
    def then_batch(
        self,
        name: str,
        process_fn: Callable[[StateT, list[OutT]], Lists[NewT | None]],
        *,
        max_size: int,
        max_wait: float,
        per_item: bool = True,
        setup: Setup[StateT],
        **options: Unpack[CallOptions],
    ) -> Chain[InT, NewT]: ...

    def then_batch(
        self,
        name: str,
        process_fn: StageFunction,
        *,
        max_size: int,
        max_wait: float,
        per_item: bool = True,
        **options: Unpack[StageOptions],
    ) -> Chain[InT, Any]:
        """This chain and one more stage, whose function takes many items in one call.

        The function takes a list of what the chain gives so far. What the stage gives is what
        is in the list that is returned, or returned when awaited, without ``None``.

        Args:
            name: A name no other stage of the chain has.
            process_fn: As in ``AsyncTaskPipeline.add_batch_stage``.
            max_size: As there.
            max_wait: As there.
            per_item: As there.
            **options: Those of ``AsyncTaskPipeline.add_batch_stage``.

        Raises:
            TypeError: As ``AsyncTaskPipeline.add_batch_stage``.
            ValueError: As ``AsyncTaskPipeline.add_batch_stage``.
        """
        size = {"max_size": max_size, "max_wait": max_wait, "per_item": per_item}
        return self._longer(AsyncTaskPipeline.add_batch_stage, name, process_fn, {**size, **options})

    def _longer(
        self, add: Callable[..., object], name: str, process_fn: StageFunction, options: Mapping[str, Any]
    ) -> Chain[InT, Any]:
        longer: Chain[InT, Any] = Chain(_stages=(*self._stages, (add, name, process_fn, options)))
        longer.pipeline()
        return longer

    def pipeline(self, **options: Unpack[PipelineOptions]) -> AsyncTaskPipeline[InT, SentinelT, OutT]:
        """A new pipeline of these stages.

        By its type nothing but data comes out. If you put sentinels or have exceptions
        returned, name their types where you keep it:
        ``pipeline: AsyncTaskPipeline[bytes, EndOfTurn, str] = chain.pipeline()``.

        Args:
            **options: Those of ``AsyncTaskPipeline``.

        Raises:
            TypeError: As ``AsyncTaskPipeline``.
            ValueError: As ``AsyncTaskPipeline``.
        """
        pipeline: AsyncTaskPipeline[InT, SentinelT, OutT] = AsyncTaskPipeline(**options)
        for add, name, process_fn, stage_options in self._stages:
            add(pipeline, name, process_fn, **stage_options)
        return pipeline
