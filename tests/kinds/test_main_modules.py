"""Functions, items, results and exceptions of a main module, wherever that comes from, in processes and interpreters.

The rule: each test is a program of its own, run as its user would; a main module that is not to be
imported runs once. How a function gets to a worker is told apart by what it sees: a copy of what it
uses, or the module.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from async_task_pipeline._workers._process_worker import HAS_INTERPRETERS
from tests.support.waiting import PATIENCE

linux = pytest.mark.skipif(sys.platform != "linux", reason="there is a server on Linux alone")

DEFINITIONS = r"""
import os, sys
os.write(1, b"main\n")
from dataclasses import dataclass
import anyio
from async_task_pipeline import AsyncTaskPipeline, RemoteCallError
from async_task_pipeline._workers import _process
factor = 3
seen = 0
@dataclass
class Point:
    x: int
    def see(self):
        global seen
        seen += 1
class MineError(Exception):
    def __init__(self, this, that):
        super().__init__(this, that)
def times(state, point):
    if point.x == 2:
        raise MineError("this", "that")
    return Point(point.x * factor + state) if isinstance(point, Point) else None
def setup():
    return 100
async def run(kind, source=(1, 2, 3)):
    pipeline = AsyncTaskPipeline().add_stage("times", times, setup=setup, executor=kind, on_error="return")
    async with pipeline.process(map(Point, source)) as results:
        async for each in results:
            print(repr(each), type(each) in (Point, MineError))
            if isinstance(each, Point):
                each.see()
    print("seen", seen)
"""
START = """
kind, method, backend = sys.argv[-3:]
_process.START_METHOD = method
anyio.run(run, kind, backend=backend)
"""
GUARDED = "if __name__ == '__main__':" + START.replace("\n", "\n    ")
WITHOUT = "import sys; sys.modules['cloudpickle'] = None\n"

RESULTS = ["Point(x=103) True", "MineError('this', 'that') True", "Point(x=109) True", "seen 2"]


def output(how, program, folder, *arguments):
    """What a program prints that comes from a file, a package, an argument or the standard input."""
    given = None
    if how == "script":
        (folder / "program.py").write_text(program)
        command = ["program.py"]
    elif how == "package":
        (folder / "program").mkdir()
        (folder / "program" / "__main__.py").write_text(program)
        command = ["-m", "program"]
    else:
        command = {"argument": ["-c", program], "input": ["-"]}[how]
        given = program if how == "input" else None
    done = subprocess.run(
        [sys.executable, "-W", "error", *command, *arguments],
        cwd=folder,
        input=given,
        stdin=subprocess.DEVNULL if given is None else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("how", "method", "backend"),
    [
        ("script", "spawn", "trio"),
        *[
            pytest.param(how, "forkserver", "asyncio", marks=linux)
            for how in ("script", "package", "argument", "input")
        ],
    ],
)
def test_what_a_main_module_defines_travels_by_value_if_that_may_not_be_imported(how, method, backend, tmp_path):
    assert output(how, DEFINITIONS + START, tmp_path, "process", method, backend) == ["main", *RESULTS]


@pytest.mark.skipif(not HAS_INTERPRETERS, reason="needs Python 3.13")
@pytest.mark.parametrize("how", ["script", "argument"])
def test_it_travels_to_an_interpreter(how, tmp_path):
    assert output(how, DEFINITIONS + START, tmp_path, "interpreter", "spawn", "asyncio") == ["main", *RESULTS]


@pytest.mark.parametrize("without", ["", WITHOUT])
def test_a_guarded_script_is_imported_by_its_workers(without, tmp_path):
    lines = output("script", without + DEFINITIONS + GUARDED, tmp_path, "process", _method(), "asyncio")
    assert lines.count("main") > 1
    assert [each for each in lines if each != "main"][0::2] == RESULTS[0::2]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("script", "which has no 'if __name__ == \"__main__\":'"),
        ("package", "which is the __main__ of a package"),
        ("argument", "which is no file"),
        ("input", "which is no file"),
    ],
)
def test_it_is_refused_with_the_reason_and_both_remedies_where_it_cannot(how, reason, tmp_path):
    lines = output(how, WITHOUT + DEFINITIONS + START, tmp_path, "process", _method(), "asyncio")
    assert lines.count("main") == 1
    assert lines[-1].startswith(
        "TypeError: process_fn of stage 'times' cannot be sent to another process: <function times"
    )
    assert lines[-1].endswith(
        f" (it is of the main module, {reason}); define it at the top level of a module, "
        "or have it travel by value: pip install 'async-task-pipeline[cloudpickle]'"
    )


IMPORTED = r"""
import os
os.write(1, b"main\n")
import anyio
from async_task_pipeline import AsyncTaskPipeline
class Mine: pass
async def run():
    pipeline = AsyncTaskPipeline().add_stage("same", os.path.basename, executor="process", on_error="return")
    async with pipeline.process(["a/b", Mine()]) as results:
        async for each in results:
            print(each)
anyio.run(run)
"""


def test_a_function_of_a_module_needs_no_main_module(tmp_path):
    main, result, failure = output("script", WITHOUT + IMPORTED, tmp_path)
    assert (main, result) == ("main", "b")
    assert failure.startswith("an item cannot be unpickled in the worker: AttributeError: ")
    assert "'Mine'" in failure


INNER = """
def start(name):
    class Inner(Point): pass
    async def inner():
        pipeline = AsyncTaskPipeline()
        pipeline.add_stage("closure", lambda point: (isinstance(point, Point), name), executor="process")
        pipeline.add_stage("lambda", lambda each: Inner(1) if each[1] == "class" else each, executor="process")
        async with pipeline.process([Point(1)]) as results:
            print([each async for each in results])
    try:
        anyio.run(inner)
    except RemoteCallError as error:
        print(error)
"""


@pytest.mark.parametrize("guard", ["", "if __name__ == '__main__': "])
def test_a_closure_meets_the_classes_that_its_items_are_of(guard, tmp_path):
    lines = output("script", DEFINITIONS + INNER + guard + "start('name')", tmp_path)
    assert [each for each in lines if each != "main"] == ["[(True, 'name')]"]


def test_a_class_that_a_function_makes_does_not_come_back(tmp_path):
    lines = output("argument", DEFINITIONS + INNER + "start('class')", tmp_path)
    assert lines[-1].startswith("a result cannot be brought back: ")
    assert lines[-1].endswith(
        "PicklingError: start.<locals>.Inner is a class that a function has made; define it at the top level)"
    )


def test_what_is_defined_under_the_guard_is_missed_with_advice(tmp_path):
    program = (
        DEFINITIONS + "if __name__ == '__main__':\n    def times(state, point): pass\n    anyio.run(run, 'process')"
    )
    lines = output("script", program.replace("def times", "def others", 1), tmp_path)
    assert any(each.startswith("AttributeError: ") and "'times'" in each for each in lines)
    assert any("outside of its 'if __name__ == \"__main__\":'" in each for each in lines)


def _method():
    return "forkserver" if sys.platform == "linux" else "spawn"
