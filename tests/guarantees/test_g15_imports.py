"""G15, imports: each module of 0.1.10 gives the names it had.

The rule: a name is the same object wherever it is imported from, and lives in the package itself.
"""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import async_task_pipeline

MODULES = {
    "base.pipeline": ["AsyncTaskPipeline"],
    "base.item": ["PipelineItem"],
    "base.stage": ["PipelineStage"],
    "base.models": [
        *("EfficiencyMetrics", "ItemTimingBreakdown", "ItemTimingTotals", "LatencySummary", "PipelineAnalysis"),
        *("StageStatistics", "StageTimingDetail", "TimingBreakdown"),
    ],
    "utils": ["DetailedTiming", "log_pipeline_performance_analysis", "logger"],
    "utils.analysis": ["log_pipeline_performance_analysis"],
    "utils.logging": ["logger"],
    "utils.metrics": ["DetailedTiming"],
}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_gives_the_names_it_had(name):
    module = importlib.import_module(f"async_task_pipeline.{name}")
    assert module.__all__ == MODULES[name]
    for each in module.__all__:
        assert getattr(module, each) is getattr(async_task_pipeline, each)
    assert "0.1.10" in module.__doc__


IMPORTS = """
import importlib, sys
for name in sys.argv[1:]:
    for each in [each for each in sys.modules if each.startswith("async_task_pipeline")]:
        del sys.modules[each]
    print(importlib.import_module(f"async_task_pipeline.{name}").__all__)
"""


def test_each_module_may_be_what_a_program_imports_first():
    command = [sys.executable, "-W", "error", "-c", IMPORTS, *MODULES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout.splitlines(), done.stderr) == ([str(names) for names in MODULES.values()], "")


def test_a_record_lives_in_the_package_wherever_it_was_imported_from():
    from async_task_pipeline.base.models import TimingBreakdown

    record = TimingBreakdown(1.0, 2.0, 3.0, 0.5)
    assert TimingBreakdown.__module__ == "async_task_pipeline"
    assert pickle.loads(pickle.dumps(record)) == record


def test_the_version_is_that_of_the_project():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert async_task_pipeline.__version__ == project["version"]
