"""Each way of docs/testing.md to have a pipeline over a yield works with the framework it is for.

The rule: the files are run by a pytest of their own, with warnings as errors and without the options of
this suite, so that it is what a reader gets.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "fixtures"
OPTIONS = ["-W", "error", "-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function"]
TESTS = {"anyio": 2, "pytest_asyncio": 1, "pytest_trio": 1, "unittest": 1}


def test_the_fixtures_work(tmp_path):
    assert {each.name for each in FOLDER.glob("test_*.py")} == {f"test_with_{name}.py" for name in TESTS}
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pytest", "-v", *OPTIONS]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    for name, count in TESTS.items():
        passed = [
            line for line in done.stdout.splitlines() if line.startswith(f"test_with_{name}.py") and "PASSED" in line
        ]
        assert len(passed) == count, done.stdout


def test_the_page_shows_every_file():
    page = (FOLDER.parents[1] / "testing.md").read_text(encoding="utf-8")
    assert [each.name for each in FOLDER.glob("*.py") if f"examples/fixtures/{each.name}" not in page] == []
