"""Which main module another process may import, and what is pickled by name or by value for it, without a process.

The rule: a test has a main module of its own; what workers make of all this is in ``test_main_modules``.
"""

from __future__ import annotations

import pickle
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from async_task_pipeline._workers import _pickling, _process
from async_task_pipeline._workers._pickling import packed, packed_for_pipeline, packed_for_worker, unpacked

GUARDED = "def f(): pass\nif __name__ == '__main__':\n    f()\n"
UNGUARDED = "import logging\nlogging.getLogger(__name__)\n"


@pytest.fixture
def main(monkeypatch, tmp_path):
    """A main module that is a file without a guard; ``program`` says what stands in it."""
    module = ModuleType("__main__")
    module.__file__ = str(tmp_path / "program.py")
    module.program = (tmp_path / "program.py").write_text
    module.program(UNGUARDED)
    monkeypatch.setitem(sys.modules, "__main__", module)
    return module


@pytest.mark.parametrize(
    "program", [GUARDED, "if 'x' != __name__: pass", "match = __name__ in ('__main__',)", "no python"]
)
def test_a_script_that_asks_for_its_name_may_be_imported_and_so_may_what_cannot_be_read(main, program):
    main.program(program)
    assert _pickling.main_is_importable()


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({}, "has no 'if __name__ == \"__main__\":'"),
        ({"__file__": None}, "is no file"),
        ({"__file__": "<stdin>"}, "is no file"),
        ({"__spec__": ModuleSpec("package.__main__", None)}, "is the __main__ of a package"),
        ({"__spec__": ModuleSpec("__main__", None)}, "is the __main__ of a package"),
        ({"__spec__": ModuleSpec("package.module", None)}, "has no 'if __name__ == \"__main__\":'"),
    ],
)
def test_any_other_main_module_may_not_for_a_reason(main, attributes, reason):
    vars(main).update(attributes)
    assert _pickling.why_main_is_not_importable() == reason


def test_a_frozen_program_has_ways_of_its_own(main, monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert _pickling.main_is_importable()


@pytest.mark.parametrize("program", [GUARDED, UNGUARDED])
def test_a_module_that_may_not_be_imported_is_another_while_a_process_is_started(main, program):
    main.program(program)
    with _process.main_let_be():
        assert (main.__spec__ is None) is _pickling.main_is_importable()
    assert main.__spec__ is None


def in_main(main, name):
    """A class that stands in the main module."""
    made = type(name, (), {"__module__": "__main__"})
    setattr(main, name, made)
    return made


@pytest.mark.parametrize(("program", "by_name"), [(GUARDED, True), (UNGUARDED, False)])
def test_what_stands_in_the_main_module_goes_by_name_if_that_may_be_imported(main, program, by_name):
    main.program(program)
    one = in_main(main, "One")()
    for value in (one, (one, lambda: None)):  # what pickle can do alone, and what it cannot
        assert (b"set_class_state" in packed_for_worker(value)) is not by_name


def test_it_comes_back_by_name(main):
    one = in_main(main, "One")
    main.__dict__.pop("One")  # as in a worker, where it was made by value
    with pytest.raises(pickle.PicklingError):
        packed(one())
    back = packed_for_pipeline(one())
    main.One = one
    assert type(unpacked(back)) is one


def test_what_wraps_a_function_of_the_main_module_is_not_taken_for_it(main):
    main.program(GUARDED)
    code = "def f(): return 'inner'\ninner = f\ndef f(): return inner() + ' and outer'"
    exec(code, vars(main))
    inner, outer = unpacked(packed_for_worker((main.inner, main.f)))
    assert (inner(), outer()) == ("inner", "inner and outer")


def test_without_what_pickles_by_value_a_lambda_is_what_it_is_to_pickle(main, monkeypatch):
    assert unpacked(packed_for_worker(lambda: 5))() == 5
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    for pack in (packed_for_worker, packed_for_pipeline):
        with pytest.raises((pickle.PicklingError, AttributeError)):
            pack(lambda: 5)
    assert "cloudpickle" in _pickling.remedies()
