"""What logs, at the top level of a module: other processes import it.

The rule: it logs by loggers below ``app``, as a stage would, and knows nothing of where that goes.
"""

from __future__ import annotations

import logging
import os
import signal
import threading

from tests.kinds.functions import MineError, visit

log = logging.getLogger("app.afar")

LARGE = b"." * 2**18


def speak(level):
    log.log(getattr(logging, level.upper()), "%s from afar", level)
    return level


class Speaking:
    def __enter__(self):
        log.info("made")
        return self

    def __exit__(self, *exc_info):
        log.info("left")


def speak_and_visit(address, data):
    log.info(data)
    visit(address, data)
    return data


def speak_and_die():
    log.info("the last word")
    os.kill(os.getpid(), signal.SIGKILL)


def speak_later(address, times):
    """Log so often, in a thread, once this process is sent a signal; then go to the gate."""

    def speak_now():
        for number in range(times):
            log.info("later %d", number)
        visit(address, "spoken")

    signal.signal(signal.SIGUSR1, lambda number, frame: threading.Thread(target=speak_now).start())


def speak_and_yield(times):
    """Yield what takes more than a pipe has room for, and log at the same time."""

    def speak_now():
        for number in range(times):
            log.info(number)

    thread = threading.Thread(target=speak_now)
    thread.start()
    for _ in range(50):
        yield LARGE
    thread.join()


def speak_of(what):
    if what == "exception":
        try:
            raise MineError("the reason")
        except MineError:
            log.exception("it failed")
    elif what == "extra":
        log.info("extra", extra={"number": 5, "thing": Thing()})
    elif what == "long":
        log.info("." * 10_020_000)
    elif what == "object":
        log.info("about %s", Thing())
    else:
        log.info("%d", "no number")


class Thing:
    """Can be told, and not be pickled."""

    def __reduce__(self):
        raise TypeError("no pickle")

    def __repr__(self):
        return "<unlocked>"


def handlers():
    return [type(each).__name__ for each in logging.getLogger().handlers]
