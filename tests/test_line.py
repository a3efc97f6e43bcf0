"""The line at the entrance, and threads that have given up in it.

The rule: a thread that has taken its request back is neither let in nor answered.
"""

from __future__ import annotations

from concurrent.futures import Future

from async_task_pipeline._input._line import Line
from async_task_pipeline._input._producers import Producer


def producer_in(line: Line) -> Producer:
    producer = Producer("item", Future())
    line.threads[producer] = None
    return producer


def test_a_thread_that_has_given_up_is_neither_let_in_nor_answered() -> None:
    line, accepted = Line(), []
    for _ in range(2):
        assert producer_in(line).answer.cancel()
    first, second = line.threads
    assert not line.release(first)
    line.admit(second, accepted.append)
    assert accepted == []
    assert not line.threads


def test_one_that_waits_is_let_in_and_answered_once() -> None:
    line, accepted = Line(), []
    producer = producer_in(line)
    line.admit(producer, accepted.append)
    assert accepted == ["item"]
    assert producer.answer.result(0) is None
    assert not line.threads
