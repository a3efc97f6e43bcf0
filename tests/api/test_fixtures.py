"""Each way of docs/testing.md to have a pipeline over a yield works with the framework it is for.

The rule: each file is run by a pytest of its own, with warnings as errors and without the options of
this suite, so that it is what a reader gets.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "fixtures"
OPTIONS = ["-W", "error", "-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function"]


def run(script, folder):
    shutil.copy(script, folder)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *OPTIONS, script.name],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(("name", "tests"), [("anyio", 2), ("pytest_asyncio", 1), ("pytest_trio", 1), ("unittest", 1)])
def test_the_fixture_works(name, tests, tmp_path):
    done = run(FOLDER / f"test_with_{name}.py", tmp_path)
    assert done.returncode == 0, done.stdout
    assert f"{tests} passed" in done.stdout, done.stdout


def test_the_page_shows_every_file():
    page = (FOLDER.parents[1] / "testing.md").read_text(encoding="utf-8")
    assert [each.name for each in FOLDER.glob("*.py") if f"examples/fixtures/{each.name}" not in page] == []
