"""Finding the pipeline that PIPELINE names.

The rule: what is found is run on any backend; what is not is named as the user named
it, with the exit code 4 (2 if the name is none).
"""

from __future__ import annotations

import json
import sys

import pytest


@pytest.mark.parametrize(
    "target",
    ["chains:same", "chains.py:same", "./chains.py:same", "chains:Here.Or.there", "chains:make", "chains:make_async"],
)
def test_a_pipeline_is_found(run, loop, target):
    assert run(target, *loop, data="a\nb\n") == (0, "a\nb\n", "")


@pytest.mark.parametrize(
    ("target", "code", "message"),
    [
        ("chains", 2, "PIPELINE must be module:attribute or path/to/file.py:attribute, not 'chains'"),
        (":same", 2, "PIPELINE must be module:attribute or path/to/file.py:attribute, not ':same'"),
        ("nowhere:same", 4, "there is no module 'nowhere': No module named 'nowhere'"),
        (
            "chains.same:x",
            4,
            "there is no module 'chains.same': No module named 'chains.same'; 'chains' is not a package",
        ),
        ("no/where.py:same", 4, "there is no file 'no/where.py'"),
        ("chains:sane", 4, "chains has no attribute 'sane'; did you mean 'same'?"),
        ("chains:Here.xyzzy", 4, "chains:Here has no attribute 'xyzzy'"),
        ("chains:number", 4, "chains:number is 3, which is neither a pipeline nor a function that returns one"),
        (
            "chains:make_nothing",
            4,
            "chains:make_nothing returned None, which is neither a pipeline nor a function that returns one",
        ),
        ("chains:make_trouble", 4, "calling chains:make_trouble raised LookupError: no model"),
        ("chains:make_exit", 4, "calling chains:make_exit raised SystemExit: 0"),
        ("chains:none", 4, "chains:none is a pipeline without stages"),
    ],
)
def test_what_is_not_there_is_named(run, target, code, message):
    assert run(target) == (code, "", f"{message}\n")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import sys; sys.exit()", "SystemExit"),
        ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
        ("def (", "SyntaxError: invalid syntax (broken.py, line 1)"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named(run, place, code, message):
    (place / "broken.py").write_text(code)
    assert run("broken:x") == (4, "", f"importing broken raised {message}\n")
    assert run("broken.py:x") == (4, "", f"importing broken.py raised {message}\n")


def test_a_file_imports_its_neighbours_and_keeps_its_name(run, place):
    (place / "far").mkdir()
    (place / "chains.py").rename(place / "far" / "neighbour.py")
    (place / "far" / "close.py").write_text("import neighbour\nassert __name__ == 'close'\nsame = neighbour.same")
    assert run("far/close.py:same", data="a\n") == (0, "a\n", "")


def test_a_file_does_not_replace_a_module_in_use(run, place):
    (place / "chains.py").rename(place / "json.py")
    assert run("json.py:same", data="a\n") == (0, "a\n", "")
    assert sys.modules["json"] is json


FAR = """
from async_task_pipeline import AsyncTaskPipeline
def same(data): return data
def make(): return AsyncTaskPipeline().add_stage("same", same, executor=EXECUTOR)
"""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("json.py", "that is the name of a module of Python's own"),
        ("this.py", "that is the name of a module of Python's own"),  # though nobody uses it
        ("pytest.py", "that is the name of a module in use"),
        ("my.chain.py", "a module's name has no dot"),
    ],
)
@pytest.mark.parametrize("when", ["calling", "importing"])
def test_a_file_that_no_other_process_could_import_is_to_be_renamed(run, place, name, reason, when):
    built = "pipeline = make()" if when == "importing" else "pipeline = make"
    (place / name).write_text(FAR.replace("EXECUTOR", "'process'") + built)
    code, _, said = run(f"{name}:pipeline", data="a\n")
    assert code == 4
    assert said.startswith(f"{when} {name}")
    stem = name.removesuffix(".py")
    assert said.endswith(
        "define it at the top level of a module; "
        f"but {name} cannot be imported as {stem!r}, because {reason}: rename the file\n"
    )
    (place / name).write_text(FAR.replace("EXECUTOR", "'thread'") + built)
    assert run(f"{name}:pipeline", data="a\n") == (0, "a\n", "")


def test_a_function_that_cannot_be_sent_for_a_reason_of_its_own_gets_no_advice_about_its_file(run, place):
    lock = "__import__('threading').Lock().acquire, executor='process'"
    (place / "chain.py").write_text(FAR.replace("same, executor=EXECUTOR", lock))
    code, _, said = run("chain.py:make")
    assert code == 4
    assert "chain.py cannot be imported" not in said
    assert "cannot pickle" in said
