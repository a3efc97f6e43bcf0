"""Run a program with logging configured: ``logged.py PROGRAM ARGUMENT…``.

The rule: the program is not changed, and nothing of the library is imported before it. What it
prints goes to stdout, what is logged to stderr: by the library, and every warning of anybody. The
handler is there first, so that what 0.1.10 configures as it is imported has no effect.
"""

import logging
import runpy
import sys


def concerns_us(record: logging.LogRecord) -> bool:
    """Whether a record is the library's or the program's, or a complaint of asyncio's, say.

    The library's own at DEBUG are not: 0.1.10 had one per item and stage, and they are gone on purpose.
    """
    if record.levelno <= logging.DEBUG:
        return record.pathname == sys.argv[0]
    return record.name == "async_task_pipeline" or record.levelno >= logging.WARNING


if __name__ == "__main__":
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(concerns_us)
    logging.basicConfig(level="NOTSET", handlers=[handler], format="%(levelname)s %(message)s")
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
