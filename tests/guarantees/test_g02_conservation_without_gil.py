"""G2, without the global interpreter lock: nothing iterates over a deque that another thread changes.

The rule: no build without the lock can be had everywhere, so the tests in which threads meet run once more, in a
Python whose deques behave as there (``tests/support/stepped_deques.py`` says how) and whose threads take turns far
more often. Nothing of the library is changed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 13), reason="no Python before 3.13 can be built without the lock"
)

ROOT = Path(__file__).parents[2]
WHERE_THREADS_MEET = (
    "tests/guarantees/test_g02_conservation_counters.py",
    "tests/guarantees/test_g02_conservation_threads.py",
    "tests/guarantees/test_g11_interrupt_storm.py",
    "tests/guarantees/test_g15_threads.py",
    "tests/model",
)
# Without a cache, which would be that of the tests among which this one runs.
WITH_SUCH_DEQUES = ("-p", "tests.support.stepped_deques", "-p", "no:cacheprovider", "-q", "-k", "not 5ms")


def run_tests(*arguments):
    """Run tests with such deques; where the interval of turns is chosen, with the short one."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", *WITH_SUCH_DEQUES, *arguments],
        cwd=ROOT,
        env={**os.environ, "STORM_INTERRUPTS": "20"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.mark.parametrize("tests", WHERE_THREADS_MEET)
def test_where_threads_meet(tests):
    done = run_tests(tests)
    assert done.returncode == 0, done.stdout


def test_such_a_deque_cannot_be_changed_while_it_is_iterated_over(tmp_path):
    (tmp_path / "test_it.py").write_text(
        """
import threading

import pytest

from async_task_pipeline._engine._window import deque


def test_it():
    entries, over = deque([1] * 100), threading.Event()

    def work():
        while not over.is_set():
            entries.rotate()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        with pytest.raises(RuntimeError, match="mutated"):
            while True:
                [*entries]
    finally:
        over.set()
        worker.join()
"""
    )
    done = run_tests(str(tmp_path / "test_it.py"))
    assert done.returncode == 0, done.stdout
