"""The shape of the package: who may import whom, what is private to others, and how long a function may be.

The rule: the modules stand in rows, and a module imports only from rows above its own,
wherever in the file and in whatever form the import is written. What a module needs to
know is thereby a matter of reading upwards, and there are no cycles; nor are there any
between the folders.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = "async_task_pipeline"
SRC = Path(__file__).parents[2] / "src" / PACKAGE

LAYERS = (
    # The folders themselves, which hold nothing but a docstring.
    ("_engine", "_timing", "_workers"),
    # What knows nothing of the rest.
    ("_counts", "_exceptions", "_layout", "_log", "_native", "_statistics", "_type_variables"),
    ("_arguments", "_failure", "_timing._record"),
    ("_timing._clock", "_timing._report", "_timing._sketch", "_timing._timestamps", "_chain_types"),
    # What the user says, and what the report is made of.
    ("_stage", "_timing._breakdown", "_timing._text"),
    ("_failure_budget", "_timing._advice", "_timing._analysis", "_timing._busy", "_timing._item", "_timing._turns"),
    ("_timing._folded",),
    ("_timing._reporting",),
    ("_timing._history",),
    # The engine: an item, the ways it goes, one stage, all of them with input and output.
    ("_engine._item", "_engine._loop_thread"),
    ("_engine._wakeup",),
    ("_engine._counting", "_engine._shift", "_engine._supervisor", "_engine._turn"),
    ("_engine._asking", "_engine._batching", "_engine._interrupt", "_engine._link", "_engine._window"),
    ("_engine._stage_runner",),
    ("_engine._input", "_engine._output"),
    ("_engine._source", "_engine._unread"),
    ("_engine._run",),
    # What makes the calls, and which of it a stage gets.
    ("_workers._setup", "_workers._worker"),
    ("_workers._pickling", "_workers._task", "_workers._thread"),
    ("_workers._wire",),
    ("_workers._executor", "_workers._logging"),
    ("_workers._elsewhere", "_workers._process_main"),
    ("_workers._interpreter", "_workers._process"),
    ("_workers._process_worker",),
    ("_workers._kinds",),
    # The pipeline.
    ("_block", "_picture"),
    ("_records",),
    ("_pipeline",),
    ("_chain",),
    ("__init__",),
    # The places that 0.1.10 had, which give what the package gives.
    ("base", "base.item", "base.models", "base.pipeline", "base.stage"),
    ("utils", "utils.analysis", "utils.logging", "utils.metrics"),
    # The command line: first what ends it, then what goes in and out, then the job.
    ("_cli._exit", "_cli._stdout"),
    ("_cli._input", "_cli._place", "_cli._report", "_cli._target"),
    ("_cli._output",),
    ("_cli._progress",),
    ("_cli._job",),
    ("_cli",),
    ("__main__",),
)
MAX_FUNCTION = 50


def modules_in(root: Path) -> dict[str, Path]:
    """The modules under a package folder by dotted name; ``__init__`` is the package itself."""
    found = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        if len(parts) > 1 and parts[-1] == "__init__":
            parts = parts[:-1]
        found[".".join(parts)] = path
    return found


def imports_of(module: str, modules: dict[str, Path]) -> set[str]:
    """The modules of the package that a module imports, at any depth of its code."""
    here = [] if module == "__init__" else module.split(".")
    is_package = modules[module].name == "__init__.py"
    package = here if is_package else here[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(modules[module].read_text(encoding="utf-8"))):
        for name in _names_imported(node, package):
            found.add(_longest_module(name, modules))
    return found - {module}


def _names_imported(node: ast.AST, package: list[str]) -> Iterator[list[str]]:
    """The parts, below the package, of each name that a node imports from the package."""
    if isinstance(node, ast.Import):
        absolute = [alias.name.split(".") for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        base = [PACKAGE, *package[: len(package) + 1 - node.level]] if node.level else []
        base += node.module.split(".") if node.module else []
        absolute = [[*base, *alias.name.split(".")] for alias in node.names]
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
        absolute = [str(arg.value).split(".") for arg in node.args[:1] if isinstance(arg, ast.Constant)]
    else:
        return
    for name in absolute:
        if name[0] == PACKAGE:
            yield name[1:]


def _longest_module(name: list[str], modules: dict[str, Path]) -> str:
    """The module that a dotted name leads to; what names no module is the package's own."""
    for end in range(len(name), 0, -1):
        if ".".join(name[:end]) in modules:
            return ".".join(name[:end])
    return "__init__"


def violations(modules: dict[str, Path], layers: tuple[tuple[str, ...], ...]) -> list[str]:
    """Every import that does not go upwards."""
    row_of = dict.fromkeys(modules, len(layers))
    row_of |= {name: row for row, names in enumerate(layers) for name in names}
    return [
        f"{module} (row {row_of[module]}) imports {imported} (row {row_of[imported]})"
        for module in sorted(modules)
        for imported in sorted(imports_of(module, modules))
        if row_of[imported] >= row_of[module]
    ]


def test_every_module_has_exactly_one_layer():
    named = [name for names in LAYERS for name in names]
    assert {name: named.count(name) for name in modules_in(SRC) if named.count(name) != 1} == {}


def test_imports_go_upwards():
    assert violations(modules_in(SRC), LAYERS) == []


def folders_imported(modules: dict[str, Path]) -> dict[str, set[str]]:
    """For each folder the other folders that a module in it imports from."""
    found: dict[str, set[str]] = {}
    for module, path in modules.items():
        if path.parent != SRC:
            others = {each.partition(".")[0] for each in imports_of(module, modules) if modules[each].parent != SRC}
            found.setdefault(path.parent.name, set()).update(others - {path.parent.name})
    return found


def test_no_two_folders_import_each_other():
    folders = folders_imported(modules_in(SRC))
    assert len(folders) > 1
    TopologicalSorter(folders).prepare()  # raises for a cycle


@pytest.mark.parametrize(
    "line",
    [
        "from ._low import x",
        "from . import _low",
        f"import {PACKAGE}._low as low",
        "def f():\n    from ._low import x",
        "from .sub._deep import thing",
        "from . import something_of_the_package_itself",
    ],
)
def test_an_import_downwards_is_found_in_every_form(tmp_path, line):
    (tmp_path / "sub").mkdir()
    for name in ("__init__", "_low", "sub/__init__", "sub/_deep"):
        (tmp_path / f"{name}.py").write_text("")
    (tmp_path / "_high.py").write_text(line)
    layers = (("_high",), ("_low", "sub", "sub._deep"), ("__init__",))
    assert len(violations(modules_in(tmp_path), layers)) == 1
    assert violations(modules_in(tmp_path), (*layers[1:], ("_high",))) == []


def private_parts_of_others(trees: list[ast.Module]) -> set[str]:
    """The attributes that are read somewhere, have a private name, and are defined nowhere here."""
    read, defined = set(), {"_exit"}  # of os, where it is documented
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Attribute):
            (defined if isinstance(node.ctx, ast.Store) else read).add(node.attr)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            defined.add(node.id)
    return {name for name in read - defined if name.startswith("_") and not name.endswith("__")}


def test_nothing_private_of_other_packages_is_used():
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in modules_in(SRC).values()]
    assert private_parts_of_others(trees) == set()
    theirs = ast.parse("from multiprocessing import forkserver\nforkserver._forkserver._preload_modules")
    assert private_parts_of_others([*trees, theirs]) == {"_forkserver", "_preload_modules"}


def statements_begin(function):
    """The line of the first statement: arguments and their documentation are no code."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body or function.body)[0].lineno


def test_no_function_is_long():
    long = {
        f"{module}:{node.lineno} {node.name}": node.end_lineno - statements_begin(node) + 1
        for module, path in modules_in(SRC).items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if node.end_lineno - statements_begin(node) + 1 > MAX_FUNCTION
    }
    assert long == {}
