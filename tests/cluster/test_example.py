"""docs/examples/cluster.py, run as its reader would.

The rule: it says of each line what novelty.py says on one machine, which has the same
functions in threads.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


def output_of(*command):
    done = subprocess.run(
        [sys.executable, "-W", "error", *command], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_a_cluster_finds_the_same_lines_as_one_machine():
    pytest.importorskip("distributed", reason="needs the extra 'dask': pip install '.[dask]'")
    here, _ = output_of("-m", "async_task_pipeline", "run", "docs/examples/novelty.py:pipeline", str(README))
    there, said = output_of("docs/examples/cluster.py", str(README))
    assert there == here
    assert f"{len(here.splitlines())} lines, measured by 2 processes" in said
