"""What ``import async_task_pipeline`` gives, and what it leaves alone.

The rule: ``__all__`` is the public interface. Each name in it is documented and says
that it lives in the package, which is what tracebacks, pickles and the docs show.
Importing it needs no extra and changes nothing else in the process.
"""

from __future__ import annotations

import inspect
import subprocess
import sys

import async_task_pipeline

PUBLIC = [(name, getattr(async_task_pipeline, name)) for name in async_task_pipeline.__all__]
DEFINED = [(name, value) for name, value in PUBLIC if inspect.isclass(value) or inspect.isroutine(value)]


def run_python(code):
    """Run code in a new interpreter where the extras cannot be imported."""
    extras = "import sys; sys.modules.update(dict.fromkeys(['rich', 'trio', 'uvloop', 'hypothesis', 'pytest']));"
    command = [sys.executable, "-W", "error", "-c", extras + code]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_all_is_sorted_and_without_repeats():
    assert list(async_task_pipeline.__all__) == sorted(set(async_task_pipeline.__all__))


def test_everything_public_is_in_all():
    defined_here = {
        name
        for name, value in vars(async_task_pipeline).items()
        if not name.startswith("_") and not inspect.ismodule(value) and name != "annotations"
    }
    assert defined_here <= set(async_task_pipeline.__all__)


def test_only_the_logger_is_neither_class_nor_function():
    assert [each for each in PUBLIC if each not in DEFINED] == [("logger", async_task_pipeline.logger)]


def test_each_public_name_says_it_lives_in_the_package():
    assert [name for name, value in DEFINED if value.__module__ != "async_task_pipeline"] == []
    assert {value.__qualname__ for _, value in DEFINED} <= set(async_task_pipeline.__all__)


def test_each_public_name_has_a_docstring():
    # vars, because a docstring that is inherited does not count.
    documented = [
        name for name, value in DEFINED if (vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__)
    ]
    assert documented == [name for name, _ in DEFINED]


def test_every_public_method_and_property_has_a_docstring():
    silent = [
        f"{cls.__name__}.{name}"
        for _, cls in DEFINED
        if inspect.isclass(cls)
        # Of its own classes; what builtins and anyio bring is theirs.
        for owner in cls.__mro__
        if owner.__module__.startswith("async_task_pipeline")
        for name, member in vars(owner).items()
        if not name.startswith("_") and (inspect.isroutine(member) or isinstance(member, property))
        if not inspect.getdoc(getattr(cls, name))
    ]
    assert silent == []


def test_star_import_needs_no_extra_and_leaves_the_command_line_out():
    done = run_python("""
from async_task_pipeline import *
print(AsyncTaskPipeline.__name__, *[name for name in sys.modules if name.startswith('async_task_pipeline._cli')])
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "AsyncTaskPipeline\n", "")


def test_importing_changes_nothing_else_and_prints_nothing():
    done = run_python("""
import logging, signal, threading, warnings

def state():
    root = logging.getLogger()
    return (
        root.level, list(root.handlers), root.disabled, logging.root.manager.disable, logging.lastResort,
        threading.active_count(), list(warnings.filters), signal.getsignal(signal.SIGINT), sys.excepthook,
        threading.excepthook, sys.getswitchinterval(), sys.getrecursionlimit(),
    )

import anyio, attrs
before = state()
import async_task_pipeline
assert state() == before, (before, state())
own = logging.getLogger('async_task_pipeline')
assert own.level == logging.NOTSET and own.propagate
assert [type(handler) for handler in own.handlers] == [logging.NullHandler]
assert async_task_pipeline.logger is own
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_importing_any_module_registers_nothing():
    done = run_python("""
import atexit, logging, multiprocessing, os, pkgutil, random, signal, threading
import anyio, attrs, anyio.to_thread, concurrent.futures.thread, multiprocessing.forkserver, multiprocessing.spawn
import importlib.metadata  # which from Python 3.15 on registers a function of its own

called = []
for module, name in [
    (atexit, 'register'), (threading, '_register_atexit'), (os, 'register_at_fork'), (signal, 'signal'),
    (multiprocessing, 'set_start_method'), (multiprocessing.util, 'register_after_fork'),
    (multiprocessing.util, 'Finalize'), (multiprocessing.forkserver, 'set_forkserver_preload'),
]:
    if hasattr(module, name):  # there are no forks on Windows
        setattr(module, name, lambda *_, name=name, **__: called.append(name))

import async_task_pipeline
for found in pkgutil.walk_packages(async_task_pipeline.__path__, 'async_task_pipeline.'):
    if not found.name.endswith('__main__') and '._cli' not in found.name:  # which need an extra
        __import__(found.name)
assert 'async_task_pipeline._workers._process' in sys.modules
print(called)
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_importing_loads_nothing_that_only_some_programs_use():
    done = run_python(
        """
import sys
import anyio, anyio.abc, anyio.from_thread, anyio.lowlevel, anyio.streams.memory, anyio.to_thread, attrs

before = set(sys.modules)
import async_task_pipeline

only_for_some = {
    "argparse", "asyncio", "cloudpickle", "concurrent.futures.process", "concurrent.futures.thread", "dask",
    "distributed", "html", "importlib.metadata", "json", "multiprocessing", "pickle", "rich", "socket", "sqlite3",
    "subprocess", "tempfile", "uuid",
}
print(*sorted(only_for_some & (sys.modules.keys() - before)))
print(*sorted(name for name in sys.modules if name.endswith(("._report", "._analysis", "._text"))))
"""
    )
    assert (done.stdout.split(), done.stderr) == ([], "")


def test_the_records_of_a_report_are_public_also_if_nobody_has_named_them():
    done = run_python("""
import pickle, typing
import async_task_pipeline
from async_task_pipeline import AsyncTaskPipeline

assert not hasattr(async_task_pipeline, "Records")
assert {"LatencySummary", "PipelineAnalysis"} <= set(dir(async_task_pipeline)) - set(vars(async_task_pipeline))
pipeline = AsyncTaskPipeline(enable_timing=True).add_stage("same", lambda x: x)
pipeline.run_sync([1])
report = pipeline.get_report()
assert b"_report" not in pickle.dumps(report)
assert pickle.loads(pickle.dumps(report)) == report
stages = typing.get_type_hints(type(report.summary))["stage_statistics"]
from async_task_pipeline import LatencySummary, StageStatistics
assert type(report.summary) is LatencySummary and stages == dict[str, StageStatistics]
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
