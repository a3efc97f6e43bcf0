"""The line at the entrance: producers that wait, in the order of their calls.

The rule: a producer is in line from its call until it is let in, refused or gives up, and
whoever ends its wait says so once. A thread is known from before its request reaches the
loop, so that closing finds it even if the loop never runs the request.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from anyio import Event

from .._exceptions import PipelineStateError
from .._items import Control
from ._producers import Producer


class Line:
    """Producers waiting for room, first come first served."""

    def __init__(self) -> None:
        self.waiting: deque[Producer] = deque()
        self.threads: dict[Producer, None] = {}

    def __len__(self) -> int:
        """How many wait."""
        return len(self.waiting)

    @property
    def head_called(self) -> bool:
        """Whether the first one has been called and has not come yet."""
        answer = self.waiting[0].answer if self.waiting else None
        return isinstance(answer, Event) and answer.is_set()

    def leave(self, producer: Producer) -> None:
        """Give up waiting."""
        if producer in self.waiting:
            self.waiting.remove(producer)

    def release(self, producer: Producer, error: BaseException | None = None) -> bool:
        """Let a waiting put return, or raise; false if its thread has given up."""
        self.threads.pop(producer, None)
        answer = producer.answer
        if isinstance(answer, Event):
            answer.set()
        elif not answer.set_running_or_notify_cancel():
            return False
        elif error is None:
            answer.set_result(None)
        else:
            answer.set_exception(error)
        return True

    def admit(self, producer: Producer, accept: Callable[[Any], object]) -> None:
        """Accept what a thread puts, unless it has given up, and let its put return or raise."""
        self.threads.pop(producer, None)
        answer = producer.answer
        if isinstance(answer, Event) or not answer.set_running_or_notify_cancel():
            return
        try:
            accept(producer.entry)
        except BaseException as exc:  # an injected clock's; the loop is no place for it
            answer.set_exception(exc)
        else:
            answer.set_result(None)

    def refuse_outlived(self) -> None:
        """Refuse those who wait with something of a turn that is over."""
        line, self.waiting = self.waiting, deque()
        for producer in line:
            if producer.turn is not None and producer.turn.over:
                self.release(producer, producer.turn.error())
            else:
                self.waiting.append(producer)

    def take_items(self) -> list[Producer]:
        """Take those who wait with items out of the line; sentinels stay."""
        line, self.waiting = self.waiting, deque()
        self.waiting.extend(each for each in line if type(each.entry) is Control)
        return [each for each in line if type(each.entry) is not Control]

    def close(self, reason: Callable[[], PipelineStateError]) -> None:
        """Refuse everybody."""
        line, self.waiting = self.waiting, deque()
        for producer in {*line, *self.threads}:
            self.release(producer, reason())
