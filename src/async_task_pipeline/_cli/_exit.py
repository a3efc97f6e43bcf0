"""How the command ends, and what it says about it.

The rule: every end has a documented exit code and, but for success, one line on
stderr. A module of the command line that meets an error of its own raises a
``CommandError`` with both; nothing else decides an exit code.
"""

from __future__ import annotations

import contextlib
import re
import sys
import traceback
from collections.abc import Iterable
from enum import IntEnum

from .._exceptions import cut_short, kind_of, notes_of, text_of

PROGRAM = "async-task-pipeline"


class Exit(IntEnum):
    """The exit codes; from 128 on, as a shell shows a process that a signal ended."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    INPUT = 3
    PIPELINE = 4
    OUTPUT = 5
    HUNG_UP = 129
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


MEANINGS = {
    Exit.DONE: "everything was read, processed and written",
    Exit.FAILED: "a stage raised, or its exceptions came out as results",
    Exit.USAGE: "the command line is wrong, or names an extra that is not installed",
    Exit.INPUT: "INPUT cannot be read, or a line of it is not what --format says",
    Exit.PIPELINE: "PIPELINE cannot be imported, found or built",
    Exit.OUTPUT: "the output cannot be written, or a result not in this --format",
    Exit.HUNG_UP: "the terminal went away (SIGHUP); nothing more was processed",
    Exit.INTERRUPTED: "Ctrl-C; after one, what had been read was finished first",
    Exit.BROKEN_PIPE: "whoever read stdout closed it (as head does)",
    Exit.TERMINATED: "SIGTERM; nothing more was processed",
}


class CommandError(Exception):
    """What ends the command, for a person to read.

    Args:
        code: The exit code.
        message: One line.
    """

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def show(text: str) -> None:
    """Print on what is stderr now; the progress bar replaces it. The only place that prints.

    A character that a terminal takes for a command is shown as an escape: much of what is told
    was written by others.
    """
    text = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
    with contextlib.suppress(OSError, ValueError):  # stderr is gone: the exit code still tells
        print(text, file=sys.stderr, flush=True)  # noqa: T201


def say(message: str) -> None:
    """Tell the user one line."""
    show(f"{PROGRAM}: {message}")


def one_line(exc: BaseException) -> str:
    """An exception as one line: its type, its words, and the stage it came from."""
    words = text_of(exc)
    notes = "; ".join(_short_notes(exc))
    return kind_of(exc) + (f": {words}" if words else "") + (f" ({notes})" if notes else "")


def _short_notes(exc: BaseException) -> list[str]:
    # A note of several lines, such as another process's traceback, is for --traceback.
    return [cut_short(each) for each in notes_of(exc) if "\n" not in each]


def leaves(exc: BaseException) -> Iterable[BaseException]:
    """The exceptions in a group of any depth; one that is no group is its own leaf."""
    if isinstance(exc, BaseExceptionGroup):
        for each in exc.exceptions:
            yield from leaves(each)
    else:
        yield exc


def told(exc: BaseException, *, tracebacks: bool) -> None:
    """Tell of an exception in one line, below its traceback if that is wanted."""
    if tracebacks:
        show(_traceback(exc))
    say(str(verdict(exc)))


def _traceback(exc: BaseException) -> str:
    try:
        lines = "".join(traceback.format_exception(exc)).rstrip().split("\n")
    except Exception as error:  # whatever is formatted is anybody's
        return f"there is no traceback to be had: {one_line(error)}"
    return "\n".join(map(cut_short, lines))


def verdict(failure: BaseException) -> CommandError:
    """What ends the command when this was raised while the pipeline ran."""
    raised = list(leaves(failure))
    for exc in raised:
        if isinstance(exc, CommandError):
            return exc
    more = f", and {len(raised) - 1} more" if len(raised) > 1 else ""
    if failure is not raised[0]:  # the group knows the stage
        more += "".join(f" ({each})" for each in _short_notes(failure))
    return CommandError(Exit.FAILED, one_line(raised[0]) + more)
