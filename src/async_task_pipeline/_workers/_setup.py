"""The state of one worker: made before its first call, left after its last.

The rule: what ``setup`` returns is the state, unless it is a context manager; then what
that yields is the state, and leaving it is the clean-up. Both happen where the calls
happen. A worker process uses this module too, so it imports nothing that is slow
to import.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .._exceptions import shown


class WorkerState:
    """A stage function and the state it is called with.

    Args:
        function: The stage's function; takes the state first if there is a ``setup``.
        setup: What makes the state, or ``None``.
    """

    def __init__(self, function: Callable[..., Any], setup: Callable[[], Any] | None) -> None:
        self._bare = function
        self.function: Callable[..., Any] = function
        self.entered = setup is None
        self._setup = setup
        self._leave: Callable[..., object] | None = None

    def enter(self) -> None:
        """Make the state; raises what ``setup`` raises."""
        if self.entered or self._setup is None:
            return
        made = state = self._setup()
        if hasattr(type(made), "__aenter__") and not hasattr(type(made), "__enter__"):
            raise TypeError(
                f"setup returned an async context manager, which only a stage on the loop can enter: {shown(made)}"
            )
        if hasattr(type(made), "__enter__") and hasattr(type(made), "__exit__"):
            state = made.__enter__()
            self._leave = made.__exit__
        self.function = partial(self.function, state)
        self.entered = True

    def leave(self) -> None:
        """Leave the state; raises what its context manager raises."""
        # What is called again begins again; and nobody keeps the state.
        self.function, self.entered = self._bare, self._setup is None
        leave, self._leave = self._leave, None
        if leave is not None:
            leave(None, None, None)
