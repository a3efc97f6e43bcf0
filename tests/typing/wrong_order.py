"""Chains that must be rejected, by mypy and by pyright, to be read and never run.

The rule: every line with a mistake carries the complaint of both checkers. A complaint
that does not come makes its comment superfluous, and a superfluous comment is an error:
see ``tool.mypy`` (strict) and ``tool.pyright`` in pyproject.toml.
"""
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from async_task_pipeline import AsyncTaskPipeline, Chain


class Audio:
    pass


class Text:
    pass


class Reply:
    pass


def hear(audio: Audio) -> Text: ...
def hear_or_not(audio: Audio) -> Text | None: ...
async def think(text: Text) -> Reply | None: ...
def say(reply: Reply) -> Audio: ...
def two(audio: Audio, other: Audio) -> Text: ...
def takes_nothing() -> Text: ...
def takes_list(texts: list[Text]) -> Reply: ...


def split(text: Text) -> Iterator[Text]:
    yield text


async def stream(text: Text) -> AsyncIterator[Reply]:
    yield Reply()


def many(text: Text) -> list[Text]: ...
def takes_iterator(texts: Iterator[Text]) -> Reply: ...
async def either(text: Text) -> Text | Reply: ...


start = Chain[Audio]()
heard = start.then("hear", hear)

# The order that is right.
start.then("hear", hear).then("think", think).then("say", say)

# The first stage has to take what the chain says, the others what the one before gives.
start.then("think", think)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
heard.then("say", say)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
heard.then("hear", hear)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("maybe", hear_or_not).then("say", say)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]

# So after stages of the other kinds.
heard.then("think", think).then("split", split)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
heard.then("split", split).then("say", say)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
heard.then("stream", stream).then("think", think)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
heard.then("stream", stream).then("again", stream)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]

# A generator is unwrapped, a list is not, and a union is given whole.
heard.then("split", split).then("s", takes_iterator)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
heard.then("split", split).then("s", takes_list)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
heard.then("many", many).then("s", takes_list)
heard.then("many", many).then("split", split)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
heard.then("either", either).then("think", think)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]

# What is no stage, and options that there are not.
start.then("two", two)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("none", takes_nothing)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then("text", "text")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.then(hear)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
start.then("hear", hear, on_eror="drop")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
start.then("hear", hear, on_error="drip")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
heard.pipeline(max_queue_sise=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
heard.pipeline(max_queue_size="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# What the pipeline takes and gives.
async def at_both_ends() -> None:
    pipeline = heard.pipeline()
    await pipeline.process_input_data(Text())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await pipeline.process_input_sentinel("end")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    pipeline.process([Text()])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    async for text in pipeline.generate_output_stream():
        say(text)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


wrong_input: AsyncTaskPipeline[Text, None, Text] = heard.pipeline()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
wrong_output: AsyncTaskPipeline[Audio, None, Audio] = heard.pipeline()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
wrong_chain: Chain[Audio, Reply] = heard  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
