"""What context variables a call sees: those of where the pipeline was started, and no other call's.

The rule holds for threads and tasks alike, for every step of a generator, and after a ``setup`` or an
``on_interrupt`` that sets some.
"""

from __future__ import annotations

import contextvars

import pytest

from async_task_pipeline import AsyncTaskPipeline
from tests.support.waiting import drain

pytestmark = pytest.mark.anyio

USER: contextvars.ContextVar[str] = contextvars.ContextVar("USER", default="nobody")


def serve(user):
    seen = USER.get()
    USER.set(user)
    return seen, USER.get()


async def serve_on_loop(user):
    return serve(user)


def serve_in_steps(user):
    yield serve(user)
    yield USER.get(), user


async def serve_in_steps_on_loop(user):
    yield serve(user)
    yield USER.get(), user


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("serve", [serve, serve_on_loop])
async def test_what_one_call_sets_the_next_does_not_see(serve, workers):
    token = USER.set("owner")
    try:
        pipeline = AsyncTaskPipeline().add_stage("serve", serve, workers=workers)
        users = [f"user {number}" for number in range(20)]
        assert await drain(pipeline, users) == [("owner", user) for user in users]
    finally:
        USER.reset(token)
    assert USER.get() == "nobody"


@pytest.mark.parametrize("serve", [serve_in_steps, serve_in_steps_on_loop])
async def test_all_steps_of_a_generator_see_what_it_has_set(serve):
    pipeline = AsyncTaskPipeline().add_stage("serve", serve)
    assert await drain(pipeline, ["alice", "bob"]) == [
        ("nobody", "alice"),
        ("alice", "alice"),
        ("nobody", "bob"),
        ("bob", "bob"),
    ]


def setup():
    USER.set("setup")


async def setup_on_loop():
    setup()


async def with_state_on_loop(_state, user):
    return serve(user)


@pytest.mark.parametrize(
    ("setup", "function"), [(setup, lambda _, user: serve(user)), (setup_on_loop, with_state_on_loop)]
)
async def test_what_makes_the_state_sets_nothing_for_the_calls(setup, function):
    pipeline = AsyncTaskPipeline().add_stage("serve", function, setup=setup)
    assert await drain(pipeline, ["alice", "bob"]) == [("nobody", "alice"), ("nobody", "bob")]
