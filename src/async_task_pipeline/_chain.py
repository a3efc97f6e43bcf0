"""Stages declared in sequence, so that type checkers can follow what passes between them.

The rule: a chain only remembers. Nothing about a stage is decided here: what is wrong
with one is found by ``add_stage``, in a pipeline made to ask it and thrown away, and what
it does is the pipeline's business. A chain never changes, so every pipeline made from it
has stages of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Generic, TypedDict, Unpack, final, overload

import attrs

from ._pipeline import AsyncTaskPipeline
from ._stage_options import Overflow, StageOptions
from ._stages import StageFunction
from ._timing import Clock
from ._type_variables import InT, NewT, OutT, SentinelT, SomeT


class PipelineOptions(TypedDict, total=False):
    """The arguments of ``AsyncTaskPipeline``, by keyword; a test compares the two."""

    max_queue_size: int
    enable_timing: bool
    return_exceptions: bool
    timing_history: int
    overflow: Overflow
    clock: Clock


@final
class AnyResult:
    """What no function returns.

    It stands in the first overload of ``then`` because mypy shows the first one when none
    fits: a stage in the wrong place is then told what it would have to take.
    """


@attrs.frozen(eq=False, repr=False)
class Chain(Generic[InT, OutT]):
    """Stages in sequence, whose types are checked one against the next.

    ``Chain[bytes]()`` has no stage yet; ``then`` makes a longer chain, ``pipeline`` a
    pipeline. A chain never changes: it may be shared, continued in several ways, and made
    into any number of pipelines.

    ``InT`` is the type of what goes in, ``OutT`` that of what comes out.
    """

    _stages: tuple[tuple[str, StageFunction, StageOptions], ...] = attrs.field(
        default=(), kw_only=True, alias="_stages"
    )

    def __repr__(self) -> str:
        """Show the names of the stages."""
        return f"<Chain [{' > '.join(name for name, *_ in self._stages) or 'no stages'}]>"

    @overload
    def then(
        self, name: str, process_fn: Callable[[OutT], AnyResult], **options: Unpack[StageOptions]
    ) -> Chain[InT, Any]: ...

    @overload
    def then(
        self,
        name: str,
        process_fn: Callable[[OutT], Coroutine[Any, Any, SomeT] | AsyncIterator[SomeT] | Iterator[SomeT]],
        **options: Unpack[StageOptions],
    ) -> Chain[InT, SomeT]: ...

    @overload
    def then(
        self,
        name: str,
        process_fn: Callable[
            [OutT], Coroutine[Any, Any, NewT | None] | AsyncIterator[NewT | None] | Iterator[NewT | None]
        ],
        **options: Unpack[StageOptions],
    ) -> Chain[InT, NewT]: ...

    @overload
    def then(
        self, name: str, process_fn: Callable[[OutT], SomeT], **options: Unpack[StageOptions]
    ) -> Chain[InT, SomeT]: ...

    @overload
    def then(
        self, name: str, process_fn: Callable[[OutT], NewT | None], **options: Unpack[StageOptions]
    ) -> Chain[InT, NewT]: ...

    def then(self, name: str, process_fn: StageFunction, **options: Unpack[StageOptions]) -> Chain[InT, Any]:
        """This chain and one more stage, as a new chain.

        The stage must take what the chain gives so far. What it gives itself is what its
        function returns without ``None``, which filters; what a coroutine function returns
        when awaited; and what a generator yields. A function that is annotated to return
        an ``Iterator`` or ``AsyncIterator`` counts as a generator.

        Args:
            name: A name no other stage of the chain has.
            process_fn: As in ``AsyncTaskPipeline.add_stage``.
            **options: Those of ``AsyncTaskPipeline.add_stage``.

        Raises:
            TypeError: As ``AsyncTaskPipeline.add_stage``.
            ValueError: As ``AsyncTaskPipeline.add_stage``.
        """
        longer: Chain[InT, Any] = Chain(_stages=(*self._stages, (name, process_fn, options)))
        longer.pipeline()
        return longer

    def pipeline(self, **options: Unpack[PipelineOptions]) -> AsyncTaskPipeline[InT, SentinelT, OutT]:
        """A new pipeline of these stages.

        Its type says that nothing but data comes out. If you put sentinels or have
        exceptions returned, say so where you keep it:
        ``pipeline: AsyncTaskPipeline[bytes, EndOfTurn, str] = chain.pipeline()``.

        Args:
            **options: Those of ``AsyncTaskPipeline``.

        Raises:
            TypeError: As ``AsyncTaskPipeline``.
            ValueError: As ``AsyncTaskPipeline``.
        """
        pipeline: AsyncTaskPipeline[InT, SentinelT, OutT] = AsyncTaskPipeline(**options)
        for name, process_fn, stage_options in self._stages:
            pipeline.add_stage(name, process_fn, **stage_options)
        return pipeline
