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
