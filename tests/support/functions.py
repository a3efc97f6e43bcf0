"""Stage functions of every kind, for tests that are not about what a stage does.

The rule: ``same`` and ``same_on_loop`` return what they get; ``of_kind`` makes a stage function of one of
``tests.support.gates.KINDS`` that does what a plain function does.
"""

from __future__ import annotations


def same(data):
    return data


async def same_on_loop(data):
    return data


def of_kind(kind, function):
    """A stage function of a kind, which calls a plain function and passes on, or yields, what it returns."""

    def generator(data):
        yield function(data)

    async def coroutine(data):
        return function(data)

    async def async_generator(data):
        yield function(data)

    return {
        "thread": function,
        "thread generator": generator,
        "async": coroutine,
        "async generator": async_generator,
    }[kind]
