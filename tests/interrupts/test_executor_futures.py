"""Futures of a user's executor, in an interrupt.

The rule: to cancel one may block, because that of a cluster asks the cluster; so it is
done in a thread, and the loop and the interrupt do not wait for it.
"""

from __future__ import annotations

import threading
from concurrent.futures import Executor, Future

import anyio
import pytest

from async_task_pipeline import AsyncTaskPipeline

pytestmark = pytest.mark.anyio


class Remote(Executor):
    """Runs nothing by itself, and answers a cancellation when the test lets it."""

    def __init__(self):
        self.answer = threading.Event()
        self.submitted, self.asked = [], []

    def submit(self, fn, /, *args, **kwargs):
        executor = self

        class Asking(Future):
            def cancel(self):
                executor.asked.append(threading.get_ident())
                executor.answer.wait()
                return super().cancel()

        future = Asking()
        self.submitted.append((future, fn, args))
        return future

    def run_last(self):
        future, fn, args = self.submitted[-1]
        future.set_result(fn(*args))


def negative(number):
    return -number


async def test_the_loop_does_not_wait_while_futures_are_cancelled():
    remote = Remote()
    with anyio.fail_after(20):
        async with AsyncTaskPipeline().add_stage("remote", negative, executor=remote, workers=2) as pipeline:
            try:
                for number in (1, 2):
                    await pipeline.process_input_data(number)
                await anyio.wait_all_tasks_blocked()
                assert len(remote.submitted) == 2
                receipt = await pipeline.interrupt()
                assert receipt.total == 2
                await pipeline.process_input_data(3)
                while not remote.asked:
                    await anyio.lowlevel.checkpoint()  # the loop goes on although nobody has answered
                assert len(remote.submitted) == 2  # busy until it is answered
            finally:
                remote.answer.set()
            while len(remote.submitted) < 3:
                await anyio.lowlevel.checkpoint()
            remote.run_last()
            assert await anext(pipeline.generate_output_stream()) == -3
    assert len(remote.asked) == 2
    assert threading.get_ident() not in remote.asked
    assert all(future.cancelled() for future, *_ in remote.submitted[:2])
