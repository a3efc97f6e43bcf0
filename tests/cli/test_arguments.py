"""The arguments of the command, and its report.

The rule: a wrong argument is named with its value and the exit code is 2; the others do
what ``--help`` says.
"""

from __future__ import annotations

import json
import re
import sys

import pytest

from async_task_pipeline import AsyncTaskPipeline, PipelineAnalysis
from async_task_pipeline._cli import main
from async_task_pipeline._cli._exit import MEANINGS, Exit


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--queue-size", "0"], "argument --queue-size: must be a whole number of at least 1, not '0'"),
        (["--queue-size", "ten"], "argument --queue-size: must be a whole number of at least 1, not 'ten'"),
        (["--output", ""], "argument --output: must name a file, not ''"),
        (["--report-file", "", "--report", "text"], "argument --report-file: must name a file, not ''"),
        (["--report-file", "report"], "--report-file needs --report text or --report json"),
        (["--backend", "curio"], "invalid choice: 'curio'"),
        (["--format", "xml"], "invalid choice: 'xml'"),
        (["--backend", "trio", "--uvloop"], "--uvloop is for asyncio; it cannot be used with --backend trio"),
    ],
)
def test_wrong_arguments_are_named(capfd, args, message):
    with pytest.raises(SystemExit) as ended:
        main(["run", "chains:same", "data", *args])
    assert ended.value.code == 2
    assert message in capfd.readouterr().err


@pytest.mark.parametrize(("args", "name"), [(["--backend", "trio"], "trio"), (["--uvloop"], "uvloop")])
def test_an_extra_that_is_missing_is_named(run, monkeypatch, args, name):
    monkeypatch.setitem(sys.modules, name, None)
    message = f"{name} is not installed: pip install 'async-task-pipeline[{name}]'\n"
    assert run("chains:same", *args) == (2, "", message)


def test_the_help_documents_every_exit_code(capfd):
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    text = capfd.readouterr().out
    documented = {int(code) for code in re.findall(r"^  (\d+) +\w", text.partition("exit codes:")[2], re.MULTILINE)}
    assert documented == {*Exit} == {*MEANINGS}


def test_the_queue_size_replaces_the_pipelines_own(run):
    assert run("chains:make", data="a\n")[0] == 0
    assert run("chains:make", "--queue-size", "3", data="a\n")[0] == 0
    own, replaced = sys.modules["chains"].built
    assert (own.max_queue_size, own.queues[0].maxsize) == (7, 7)
    assert (replaced.max_queue_size, replaced.queues[0].maxsize) == (3, 3)


def test_the_report_is_text_on_stderr(run):
    code, out, said = run("chains:same", "--report", "text", data="a\nb\n")
    assert (code, out) == (0, "a\nb\n")
    assert re.search(r"^items delivered +2 ", said)
    assert re.search(r"^same +1 +\d+ % +[\d.]+ +2 +0 +0 +0$", said, re.MULTILINE)


def test_the_report_is_json_on_stderr(run):
    code, out, said = run("chains:fan", "--report", "json", data="a\nb\n")
    assert (code, out) == (0, "a\na\nb\nb\n")
    report = json.loads(said)
    assert set(report) == {field.name for field in PipelineAnalysis.__attrs_attrs__}
    assert report["summary"]["total_items"] == 4
    assert report["summary"]["stage_statistics"]["twice"]["processed_count"] == 4
    assert sys.modules["chains"].fan.stages[0].enable_timing


def test_the_report_may_be_a_file_of_its_own(run, place):
    told = "seen a\nasync-task-pipeline: wrote the report to report\n"
    assert run("chains:noisy", "--report", "json", "--report-file", "report", data="a\n") == (0, "a\n", told)
    assert json.loads((place / "report").read_text())["summary"]["total_items"] == 1
    code, _, said = run("chains:picky", "--report", "text", "--report-file", "report", data="3\n")
    assert code == 1
    assert re.fullmatch(r"wrote the report to report\nasync-task-pipeline: ValueError.*\n", said)
    assert (place / "report").read_text().startswith("items delivered")


def test_an_empty_input_has_a_report_that_says_so(run):
    assert run("chains:same", "--report", "text") == (0, "", "no item came to a result\n")
    assert run("chains:same", "--report", "json") == (0, "", "null\n")


def test_the_report_of_a_failed_run_comes_before_its_message(run):
    code, _, said = run("chains:picky", "--report", "text", data="3\n")
    assert code == 1
    assert said.startswith("items delivered")
    assert re.search(r"\nasync-task-pipeline: ValueError: three is bad .*\n\Z", said)


def test_without_a_report_nothing_is_timed(run):
    assert run("chains:make", data="a\n")[0] == 0
    (pipeline,) = sys.modules["chains"].built
    assert isinstance(pipeline, AsyncTaskPipeline)
    assert pipeline.enable_timing is False
