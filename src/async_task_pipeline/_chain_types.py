"""The types of what the functions of a chain return, as both type checkers understand them.

The rule: what is here exists for the checkers alone, and nothing of it does anything.
Where a type says less than is meant, the reason stands beside it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol, TypeAlias, final

from ._type_variables import ItemT_co, StateT, T


@final
class AnyResult:
    """What no function returns.

    It stands in the first overload of ``then`` because mypy shows the first one when none
    fits: a stage in the wrong place is then told what it would have to take.
    """


@final
class AnyList:
    """The same for ``then_batch``, where the mistake may be that no list is returned."""


class ListOf(Protocol[ItemT_co]):
    """A list to read from: a ``list[int]`` is no ``list[int | None]``, but this.

    Nothing else can be both sorted in place and appended to; an array or a deque cannot.
    """

    def __iter__(self) -> Iterator[ItemT_co]: ...
    @property
    def append(self) -> object: ...
    @property
    def sort(self) -> object: ...


Unwrapped: TypeAlias = Coroutine[Any, Any, T] | AsyncIterator[T] | Iterator[T]
"""What a function returns that is async, or a generator."""

Lists: TypeAlias = Coroutine[Any, Any, ListOf[T]] | ListOf[T]
"""What the function of a batch stage returns."""

# A type cannot say "no context manager", so the state may also be what setup returns,
# whatever that is: a function that takes the context manager itself, or the coroutine, is
# accepted. Nor can it say that what is async needs an async function, unless by twice as
# many overloads: then itself finds that, at once.
Setup: TypeAlias = Callable[
    [],
    StateT
    | AbstractContextManager[StateT]
    | AbstractAsyncContextManager[StateT]
    | Awaitable[StateT | AbstractContextManager[StateT] | AbstractAsyncContextManager[StateT]],
]
"""What makes the state, or what is entered to get it."""
