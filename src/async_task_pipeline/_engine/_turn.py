"""A producer bound to its turn.

The rule: whether a turn is over is decided in the step in which a put would be accepted, under
the input's lock; so a put from a task or a thread that outlived its turn cannot reach the
pipeline, however late it looks. The block itself ends as a cancel scope does
(trio's ``move_on_after`` is the model): quietly, and ``interrupted`` tells why.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from anyio import CancelScope
from anyio.lowlevel import checkpoint_if_cancelled

from .._exceptions import PipelineStateError, TurnOverError
from ._item import SENTINEL, Item

T = TypeVar("T")
U = TypeVar("U")


class Acceptor(Protocol):
    """What a turn's items go to."""

    def begin(self, turn: Turn[Any, Any]) -> int:
        """Make it the current turn; return its number."""
        ...

    def leave(self, turn: Turn[Any, Any]) -> None:
        """Know the turn no longer."""

    def check_here(self) -> None:
        """Raise if the caller is in another thread, or on another loop."""

    def item(self, data: Any, created_at: float | None, turn: Turn[Any, Any]) -> Item:
        """The item for some data."""
        ...

    async def put(self, item: Item, turn: Turn[Any, Any]) -> None:
        """Accept it as soon as there is room."""

    def put_from_thread(self, item: Item, turn: Turn[Any, Any]) -> None:
        """Accept it from another thread."""


class Turn(Generic[T, U]):
    """A turn of the conversation, made by :py:meth:`AsyncTaskPipeline.turn`.

    Enter it with ``async with``, once, in one task. An interrupt ends the block as if it
    had been cancelled, and nothing of that leaves the block.

    Attributes:
        number: The turn's number, counted from 1 over the life of the pipeline; 0 before
            it is entered.
        interrupted: Whether an interrupt ended it.
    """

    def __init__(self, acceptor: Acceptor) -> None:
        self.number: int = 0
        self.interrupted: bool = False
        self._acceptor = acceptor
        self._left = False
        self._scope = CancelScope()

    def __repr__(self) -> str:
        """Show the number and the state."""
        state = "interrupted" if self.interrupted else "over" if self._left else "open" if self.number else "not begun"
        return f"<Turn {self.number} {state}>"

    @property
    def over(self) -> bool:
        """Whether it has been interrupted, or its block has been left."""
        return self.interrupted or self._left

    async def __aenter__(self) -> Self:
        """Begin the turn; no checkpoint.

        Raises:
            PipelineStateError: If the turn was entered before, or the pipeline takes no
                more input.
        """
        if self.number:
            raise PipelineStateError(f"cannot enter {self!r} again: a turn is entered once")
        self.number = self._acceptor.begin(self)
        self._scope.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """End the turn; swallow the cancellation if it is the interrupt's."""
        self._left = True
        self._acceptor.leave(self)
        return self._scope.__exit__(kind, exc, traceback)

    def interrupt(self) -> None:
        """End the block; for the pipeline, on the loop's thread."""
        self.interrupted = True
        self._scope.cancel()

    def error(self) -> TurnOverError:
        """Why nothing more may be put."""
        reason = "it has been interrupted" if self.interrupted else "its block has been left"
        return TurnOverError(f"turn {self.number} is over: {reason}")

    def check(self) -> None:
        """Raise if nothing more may be put."""
        if not self.number:
            raise PipelineStateError("cannot put into a turn that has not begun: enter it with 'async with'")
        if self.over:
            raise self.error()

    async def put(self, data: T, created_at: float | None = None) -> None:
        """Put one item of this turn, waiting for room, from any task.

        As ``process_input_data``; but a put that waits when the turn is interrupted has not
        been accepted.

        Args:
            data: The item; any object, ``None`` included.
            created_at: When it was created, in seconds of the pipeline's clock; ``None``,
                and what cannot be right, means when it is accepted.

        Raises:
            TurnOverError: If the turn is over. Inside the block the interrupt's cancellation
                comes first.
            TypeError: If ``created_at`` is not a number.
            PipelineStateError: As ``process_input_data``.
        """
        await checkpoint_if_cancelled()
        self._acceptor.check_here()
        await self._acceptor.put(self._acceptor.item(data, created_at, self), self)

    async def put_sentinel(self, sentinel: U) -> None:
        """Put a sentinel of this turn, waiting for room; once accepted, it survives interrupts.

        Raises:
            TurnOverError: As ``put``.
            PipelineStateError: As ``put``.
        """
        await checkpoint_if_cancelled()
        self._acceptor.check_here()
        await self._acceptor.put(Item(sentinel, SENTINEL), self)

    def put_from_thread(self, data: T, created_at: float | None = None) -> None:
        """Put one item of this turn from another thread, blocking it until there is room.

        Raises:
            TurnOverError: If the turn is over, or is interrupted while this waits.
            TypeError: As ``put``.
            PipelineStateError: As ``put``, or if this is the loop's own thread.
        """
        self._acceptor.put_from_thread(self._acceptor.item(data, created_at, self), self)

    def put_sentinel_from_thread(self, sentinel: U) -> None:
        """Put a sentinel of this turn from another thread; see ``put_from_thread``.

        Raises:
            TurnOverError: As ``put_from_thread``.
            PipelineStateError: As ``put_from_thread``.
        """
        self._acceptor.put_from_thread(Item(sentinel, SENTINEL), self)
