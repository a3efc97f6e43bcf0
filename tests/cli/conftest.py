"""What the tests of the command share: a place to work in, and ways to run it.

The rule: ``run`` calls the command as a function, for what it accepts and says; tests
about processes (streams, signals, terminals) use ``tests.cli.child``.
"""

from __future__ import annotations

import sys

import pytest

from async_task_pipeline._cli import main
from tests.cli.child import PIPELINES


@pytest.fixture
def loop(anyio_backend):
    """The arguments that select a backend, each in turn."""
    name, options = anyio_backend
    return ["--backend", name, *(["--uvloop"] if options.get("use_uvloop") else [])]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A directory with a module of pipelines, to work in; imports are undone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = {*sys.modules}
    (tmp_path / "chains.py").write_text(PIPELINES)
    yield tmp_path
    for name in {*sys.modules} - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def run(place, capfd):
    """Run the command over some input; return its exit code, stdout and stderr."""

    def run(target, *args, data=""):
        (place / "data").write_bytes(data if isinstance(data, bytes) else data.encode())
        code = main(["run", target, "data", *args])
        captured = capfd.readouterr()
        return code, captured.out, captured.err.removeprefix("async-task-pipeline: ")

    return run
