"""Every exception the library itself raises, split by who must act.

The rule: an exception raised by a stage function is never replaced; it reaches the
caller as the very object the function raised, with a note of stage and item. The
classes here are the library's own: a call does not fit the state the pipeline is in, or a
function broke the protocol between it and the library.
"""

from __future__ import annotations

import contextlib
import reprlib
from collections.abc import Callable
from inspect import CO_ITERABLE_COROUTINE
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any


class PipelineError(Exception):
    """The root of the library's own exceptions."""


class PipelineStateError(PipelineError, RuntimeError):
    """Raised when a call does not fit the state of the pipeline.

    The caller must act: start the pipeline first, stop it first, add a stage, or
    stop feeding an input that has been closed. It is a :py:class:`RuntimeError`, as
    it was in 0.1.10.
    """


class PipelineStoppedError(PipelineStateError):
    """Raised in a call that was waiting for room when the pipeline ended, or came later.

    The item was not accepted. When a failure ended the pipeline, that failure is the
    ``__cause__``.
    """


class TurnOverError(PipelineStateError):
    """Raised by a put on a turn that has been interrupted, or whose block has been left.

    The item was not accepted. What the put belonged to is stale: stop producing it.
    """


class StageProtocolError(PipelineError, RuntimeError):
    """Raised for an outcome of a stage function that has no meaning.

    Two things bring it about: a function that returns what somebody has still to run (any
    awaitable, an async generator, or from an ``async def`` a generator), and an exception
    that Python itself uses for control flow (``StopIteration``, ``GeneratorExit``, or a
    cancellation that nobody asked for), which cannot travel through a coroutine unchanged.
    The original exception, if there is one, is the ``__cause__``.
    """


class FailureBudgetError(PipelineError, RuntimeError):
    """Raised when a stage has failed more often than its ``max_failures`` allows.

    The ``__cause__`` is the failure that was one too many.
    """


class WorkerDiedError(PipelineError, RuntimeError):
    """Raised for a call whose worker process ended while it had it.

    The environment is to blame: the process ran out of memory, was killed, or a library in
    it crashed. The next call gets a new process.
    """


class RemoteCallError(PipelineError, RuntimeError):
    """Raised for what cannot be brought to or from another process or interpreter.

    The item, the result or the exception cannot be pickled, or not be unpickled over there. The
    message has the original's text.
    """


def stopped(failure: BaseException | None) -> PipelineStoppedError:
    """The error for a put that was waiting when the pipeline stopped."""
    error = PipelineStoppedError("the pipeline has stopped and did not accept this")
    error.__cause__ = failure
    return error


def unawaited(result: object) -> str | None:
    """``"coroutine"`` or its like if a result has still to be awaited, ``None`` for any other.

    A coroutine is closed, since nobody will await it.
    """
    if isinstance(result, CoroutineType):
        result.close()  # or Python warns that it was never awaited
    elif isinstance(result, GeneratorType) and result.gi_code.co_flags & CO_ITERABLE_COROUTINE:
        result.close()
        return "coroutine"
    elif isinstance(result, AsyncGeneratorType) or not hasattr(type(result), "__await__"):
        return "async_generator" if isinstance(result, AsyncGeneratorType) else None
    return type(result).__name__


def not_awaited(function: object, kind: str, where: str = "", *, on_loop: bool = False) -> StageProtocolError:
    """The error for a function that returned what somebody has still to run."""
    if kind in ("async_generator", "generator"):
        advice = "yield in it instead" if on_loop else "declare it 'async def' and yield in it"
    else:
        advice = "await that in it" if on_loop else "declare it 'async def' so that it runs on the event loop"
    article = "an" if kind[:1].lower() in "aeiou" else "a"
    return StageProtocolError(f"{where}process_fn {shown(function)} returned {article} {kind}; {advice}")


def raisable(exc: BaseException, *more: type[BaseException]) -> BaseException:
    """What can be raised in a coroutine to tell that a stage function raised ``exc``.

    Python and the event loop read some exceptions as control flow: as such they would
    end a coroutine or a task quietly, or turn into something else on the way. ``more``
    are the backend's, where there is one.
    """
    if not isinstance(exc, (StopIteration, StopAsyncIteration, GeneratorExit, *more)):
        return exc
    error = StageProtocolError(f"a stage or a source raised {shown(exc)}, which nothing had asked for")
    error.__cause__ = exc
    for note in notes_of(exc):
        error.add_note(note)
    return error


def closing_error(exc: BaseException) -> BaseException | None:
    """What of an exception that a closed generator raised is a real error.

    ``GeneratorExit`` is how it is closed, and may come back alone or in a group: a task group around
    a ``yield`` puts it in one. Neither is an error.
    """
    if isinstance(exc, GeneratorExit):
        return None
    if isinstance(exc, BaseExceptionGroup):
        rest = exc.split(GeneratorExit)[1]
        if rest is not None and len(rest.exceptions) == 1 and rest is not exc:
            return rest.exceptions[0]
        return rest
    return exc


def leaves_of(error: BaseException) -> list[BaseException]:
    """The error itself, or those in a group, however deep."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in leaves_of(each)]
    return [error]


def without(errors: list[BaseException], known: Callable[[BaseException], bool]) -> list[BaseException]:
    """The errors that are not known; a group that has known ones is one of the rest."""
    left: list[BaseException] = []
    for error in errors:
        if not any(map(known, leaves_of(error))):
            left.append(error)
        elif isinstance(error, BaseExceptionGroup) and (rest := error.split(known)[1]) is not None:
            left.append(rest)
    return left


def notes_of(exc: BaseException) -> list[str]:
    """Its notes; what is no list of texts counts as none."""
    try:
        notes = getattr(exc, "__notes__", None)
    except BaseException:  # its class is anybody's
        return []
    return [each for each in notes if isinstance(each, str)] if isinstance(notes, list) else []


def add_note(exc: BaseException, note: str) -> None:
    """Add a note, once; to an exception that refuses it, a frozen one for example, none."""
    with contextlib.suppress(Exception):
        if note not in notes_of(exc):
            exc.add_note(note)


def set_note(exc: BaseException, beginning: str, rest: str) -> None:
    """Add a note, or put it in the place of one with this beginning.

    So an exception that is raised again and again, one object for all items, does not grow.
    """
    with contextlib.suppress(Exception):
        notes: list[Any] = exc.__notes__ if notes_of(exc) else []
        for index, note in enumerate(notes):
            if isinstance(note, str) and note.startswith(beginning):
                notes[index] = beginning + rest
                return
        exc.add_note(beginning + rest)


MOST_SHOWN = 1000
"""Characters of anybody's text in a message: enough to know what it is about."""


def cut_short(text: str) -> str:
    """A text, without its middle if it is long."""
    half = MOST_SHOWN // 2
    return text if len(text) <= MOST_SHOWN else f"{text[: half - 2]}...{text[1 - half :]}"


def shown(value: object) -> str:
    """A value as ``repr`` has it, in one line and cut short; or its type, if that raises."""
    try:
        text = cut_short(_short.repr(value))
        return " ".join(text.split()) if "\n" in text else text
    except BaseException:
        return f"<{kind_of(value)}, which cannot be shown>"


class _Short(reprlib.Repr):
    """Of bytes, too, only the beginning is made into a text: a frame of audio or video may be long."""

    def repr_bytes(self, value: bytes | bytearray, _level: int) -> str:
        more = "..." if len(value) > self.maxother else ""
        return repr(value[: self.maxother]) + more

    repr_bytearray = repr_bytes


_short = _Short()
_short.maxstring = _short.maxother = _short.maxlong = 200


def kind_of(value: object) -> str:
    """The name of its type, whatever a metaclass makes of that."""
    return cut_short(str(_NAME.__get__(type(value))))


_NAME = type.__dict__["__name__"]


def told(exc: BaseException) -> str:
    """The type and the text of an exception, in one line."""
    return f"{kind_of(exc)}: {text_of(exc)}"


def text_of(exc: BaseException) -> str:
    """What an exception says, in one line and cut short."""
    try:
        return cut_short(" ".join(cut_short(str(exc)).split()))
    except BaseException:  # it is anybody's
        return "which cannot be shown"
