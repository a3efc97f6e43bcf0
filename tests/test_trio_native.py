"""The library as a trio program uses it: no anyio in sight but where a thread looks up.

The rule: pytest-trio in strict mode, trio's own nurseries, timeouts, channels and
exception groups. What holds under anyio's names has to hold under trio's.
"""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from async_task_pipeline import AsyncTaskPipeline, PipelineStateError

pytestmark = pytest.mark.trio

Pipeline = AsyncTaskPipeline[Any, Any]


class FaultError(Exception):
    """What a stage raises here."""


async def double(value: int) -> int:
    await trio.lowlevel.checkpoint()
    return value * 2


def increment(value: int) -> int:
    return value + 1


async def for_ever(value: Any) -> None:
    await trio.sleep_forever()


def fail(value: Any) -> None:
    raise FaultError(value)


# -- nurseries ----------------------------------------------------------------------------


async def test_run_as_a_child_of_a_nursery() -> None:
    pipeline = Pipeline(2).add_stage("double", double).add_stage("increment", increment)
    async with trio.open_nursery() as nursery:
        await nursery.start(pipeline.run)
        assert pipeline.running
        nursery.start_soon(pipeline.process_input_stream, range(10))
        got = [each async for each in pipeline.generate_output_stream()]
    # run() returned by itself: the nursery has ended.
    assert got == [2 * each + 1 for each in range(10)]
    assert not pipeline.running


async def test_a_cancelled_nursery_stops_the_pipeline() -> None:
    pipeline = Pipeline().add_stage("wait", for_ever)
    async with trio.open_nursery() as nursery:
        await nursery.start(pipeline.run)
        await pipeline.process_input_data(1)
        nursery.cancel_scope.cancel()
    assert not pipeline.running
    assert pipeline.statistics().dropped == 1


async def test_run_called_directly_returns_once_stopped_from_another_task() -> None:
    pipeline = Pipeline().add_stage("double", double)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pipeline.run)
        await trio.testing.wait_all_tasks_blocked()
        assert pipeline.running
        await pipeline.stop()
    assert not pipeline.running


async def test_a_failure_arrives_in_the_group_of_the_users_nursery() -> None:
    pipeline = Pipeline().add_stage("fail", fail)
    with pytest.RaisesGroup(pytest.RaisesExc(FaultError, match="7"), flatten_subgroups=True) as caught:
        async with trio.open_nursery() as nursery:
            await nursery.start(pipeline.run)
            await pipeline.process_input_data(7)
            await trio.sleep_forever()
    (leaf,) = leaves(caught.value)
    assert leaf.__notes__ == ["raised in stage 'fail' of the pipeline"]


async def test_except_star_catches_a_failure_beside_another() -> None:
    caught: list[type[BaseException]] = []
    pipeline = Pipeline().add_stage("fail", fail)

    async def other() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise KeyError("other")

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other)
            await trio.testing.wait_all_tasks_blocked()
            await nursery.start(pipeline.run)
            await pipeline.process_input_data(7)
            await trio.sleep_forever()
    except* FaultError:
        caught.append(FaultError)
    except* KeyError:
        caught.append(KeyError)
    assert caught == [FaultError, KeyError]


async def test_a_lone_failure_leaves_the_context_manager_bare() -> None:
    pipeline = Pipeline().add_stage("fail", fail)
    with pytest.raises(FaultError, match="7"):
        async with pipeline:
            await pipeline.process_input_data(7)
            await trio.sleep_forever()


async def test_start_is_refused_while_a_nursery_runs_it() -> None:
    pipeline = Pipeline().add_stage("double", double)
    async with trio.open_nursery() as nursery:
        await nursery.start(pipeline.run)
        with pytest.raises(PipelineStateError, match="still running"):
            await pipeline.start()
        nursery.cancel_scope.cancel()


async def test_start_and_stop_from_different_tasks_and_scopes() -> None:
    pipeline = Pipeline().add_stage("increment", increment)
    with trio.fail_after(60):
        await pipeline.start()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pipeline.process_input_data, 1)
    assert await anext(pipeline.generate_output_stream()) == 2
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pipeline.stop)
    assert not pipeline.running


# -- timeouts -----------------------------------------------------------------------------


async def test_move_on_after_leaves_a_blocked_read_and_the_pipeline_whole(autojump_clock: Any) -> None:
    # Only stages on the loop: the clock would jump while a thread runs.
    pipeline = Pipeline().add_stage("double", double)
    async with pipeline:
        output = pipeline.generate_output_stream()
        with trio.move_on_after(5) as scope:
            await anext(output)
        assert scope.cancelled_caught
        await pipeline.process_input_data(1)
        assert await anext(output) == 2


async def test_fail_after_around_a_blocked_put(autojump_clock: Any) -> None:
    pipeline = Pipeline(1).add_stage("wait", for_ever)
    async with pipeline:
        accepted = 0
        with pytest.raises(trio.TooSlowError), trio.fail_after(5):
            while True:
                await pipeline.process_input_data(accepted)
                accepted += 1
        assert pipeline.statistics().accepted == pipeline.statistics().inside == accepted == 2


async def test_move_on_after_around_a_whole_job(autojump_clock: Any) -> None:
    pipeline = Pipeline().add_stage("wait", for_ever)
    with trio.move_on_after(5) as scope:
        async with pipeline.process([1, 2, 3]) as results:
            async for _ in results:
                pytest.fail("nothing can come out")
    assert scope.cancelled_caught
    now = pipeline.statistics()
    assert (now.accepted, now.dropped, now.inside) == (3, 3, 0)


async def test_a_timeout_inside_a_stage_is_the_stages_own_business(autojump_clock: Any) -> None:
    async def patient(value: int) -> str:
        with trio.move_on_after(value) as scope:
            await trio.sleep(2)
        return "late" if scope.cancelled_caught else "in time"

    async with Pipeline().add_stage("patient", patient).process([1, 3]) as results:
        assert [each async for each in results] == ["late", "in time"]


async def test_a_stage_may_open_a_nursery() -> None:
    async def gather(value: int) -> list[int]:
        found: list[int] = []

        async def one(n: int) -> None:
            await trio.lowlevel.checkpoint()
            found.append(n)

        async with trio.open_nursery() as nursery:
            for n in range(value):
                nursery.start_soon(one, n)
        return sorted(found)

    async with Pipeline().add_stage("gather", gather).process([3]) as results:
        assert [each async for each in results] == [[0, 1, 2]]


async def test_interrupt_cancels_a_stage_as_trio_does() -> None:
    cancelled = []

    async def stuck(value: int) -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            cancelled.append(value)
            raise

    async with Pipeline().add_stage("stuck", stuck) as pipeline:
        await pipeline.process_input_data(1)
        await trio.testing.wait_all_tasks_blocked()
        receipt = await pipeline.interrupt()
        await trio.testing.wait_all_tasks_blocked()
        assert receipt.total == 1
        assert receipt.dropped["stuck"].in_call == 1
        assert cancelled == [1]
        assert pipeline.statistics().inside == 0


def leaves(group: BaseException) -> list[BaseException]:
    if isinstance(group, BaseExceptionGroup):
        return [leaf for each in group.exceptions for leaf in leaves(each)]
    return [group]
