"""How a value becomes bytes of which it can be made on the other side of a pipe.

The rule: by name, as ``pickle`` has it, what can be found by its name over there; by value, as
``cloudpickle`` has it, what cannot, if that is installed. What stands in the main module can be
found in a worker if the worker may import that module, which is so for a script that asks for its
``__name__`` before it does anything. The classes of the main module are found here in any case, so an instance
comes back as one of the very class it left as.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import io
import operator
import pickle
import sys
import tokenize
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeAlias

Payload: TypeAlias = bytes | memoryview

_NAMES_MAIN = b"\x8c\x08__main__"
"""How a pickle begins to name what is in a main module: a text, its length, and the name of the module."""

_SHORT = 4096


def packed(value: Any) -> bytes:
    """A value, pickled by name; raises what that raises."""
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


def unpacked(payload: Payload) -> Any:
    """What was pickled, by name or by value; raises what making it raises."""
    return pickle.loads(payload)  # noqa: S301  both ends are ours


def packed_for_worker(value: Any) -> bytes:
    """A value, pickled for a worker elsewhere; raises what that raises."""
    try:
        made = packed(value)
    except Exception:
        if not by_value_is_possible():
            raise
    else:
        if not (names_missing_main(made) and by_value_is_possible()):
            return made
    return _packed_by_value(value, _stands_in_main)


def packed_for_pipeline(value: Any) -> bytes:
    """A value, pickled in a worker for who reads its results; raises what that raises."""
    try:
        return packed(value)
    except Exception:
        if not by_value_is_possible():
            raise
    return _packed_by_value(value, _is_class_of_main)


def by_value_is_possible() -> bool:
    """Whether what pickles by value is installed."""
    try:
        return importlib.util.find_spec("cloudpickle") is not None
    except ValueError:  # it is imported, in a way that tells of no specification
        return True


def remedies() -> str:
    """What to do about a function that cannot be sent."""
    by_value = ", or have it travel by value: pip install 'async-task-pipeline[cloudpickle]'"
    return f"define it at the top level of a module{'' if by_value_is_possible() else by_value}"


def names_missing_main(made: bytes) -> bool:
    """Whether a pickle names what a worker would have to import a main module for that it may not."""
    # To search a megabyte takes a millisecond, to ask about the module some microseconds: what is dear comes last.
    if len(made) > _SHORT and main_is_importable():
        return False
    return _NAMES_MAIN in made and not main_is_importable()


def main_is_importable() -> bool:
    """Whether another process may import the main module of this one, and has then what that defines."""
    return not why_main_is_not_importable()


def why_main_is_not_importable() -> str:
    """Why another process may not import the main module of this one; empty if it may."""
    main = sys.modules["__main__"]
    name = getattr(getattr(main, "__spec__", None), "name", None)
    if name is not None and f".{name}".endswith(".__main__"):
        return "is the __main__ of a package"  # which multiprocessing never imports
    if getattr(sys, "frozen", False):
        return ""  # such a program has ways of its own
    path = getattr(main, "__file__", None)
    return _NO_FILE if path is None else _why_not_importable(path)


_NO_FILE = "is no file"  # but a notebook, a prompt, -c, or the standard input


@functools.lru_cache(maxsize=8)
def _why_not_importable(path: str) -> str:
    """The same for a script; it may be imported if it compares its ``__name__`` with something."""
    try:
        with tokenize.open(path) as script:
            tree = ast.parse(script.read())
    except FileNotFoundError:
        return _NO_FILE  # its name may be "<stdin>"
    except (OSError, SyntaxError, ValueError):
        return ""  # compiled, perhaps: it cannot be told
    compared = (each for each in ast.walk(tree) if isinstance(each, ast.Compare))
    if any(isinstance(each, ast.Name) and each.id == "__name__" for one in compared for each in ast.walk(one)):
        return ""
    return "has no 'if __name__ == \"__main__\":'"


def _packed_by_value(value: Any, by_name: Callable[[Any], bool]) -> bytes:
    buffer = io.BytesIO()
    _by_value()(buffer, by_name).dump(value)
    return buffer.getvalue()


@functools.cache
def _by_value() -> Callable[[io.BytesIO, Callable[[Any], bool]], pickle.Pickler]:
    import cloudpickle  # noqa: PLC0415  an extra

    class ByValue(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
        """Pickles by value what is in no module, but for what ``by_name`` says is found in the main module."""

        def __init__(self, file: io.BytesIO, by_name: Callable[[Any], bool]) -> None:
            super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
            self._by_name = by_name

        def reducer_override(self, obj: Any) -> Any:
            """Say how to make an object, or that it is made as always."""
            if isinstance(obj, (type, FunctionType)) and self._by_name(obj):
                return of_main, (obj.__qualname__,)
            reduced = super().reducer_override(obj)
            if isinstance(obj, type) and isinstance(reduced, tuple) and len(reduced) == 6:
                make, arguments, state, items, pairs, set_state = reduced
                return make, arguments, (set_state, state, obj.__qualname__), items, pairs, set_class_state
            return reduced

    return ByValue


def set_class_state(made: type, told: tuple[Callable[[type, Any], object], Any, str]) -> None:
    """Give a class that is made by value what it has, and its full name, which cloudpickle leaves out."""
    set_state, state, name = told
    set_state(made, state)
    made.__qualname__ = name


def of_main(name: str) -> Any:
    """What has this name in the main module, of this process."""
    return operator.attrgetter(name)(sys.modules["__main__"])


def _stands_in_main(found: Any) -> bool:
    """Whether a worker finds this very object by its name in the main module."""
    if found.__module__ != "__main__" or not main_is_importable():
        return False
    try:
        return of_main(found.__qualname__) is found  # and not what wraps it
    except AttributeError:
        return False


def _is_class_of_main(found: Any) -> bool:
    """Whether, in a worker, this is a class that the pipeline's process finds in its main module.

    Raises:
        pickle.PicklingError: It is one that nobody can find. Made by value, it would take over the
            class over there that it was made after, and have its methods see copies of what they use.
    """
    if not isinstance(found, type):
        return False
    if "<locals>" in found.__qualname__:
        raise pickle.PicklingError(
            f"{found.__qualname__} is a class that a function has made; define it at the top level"
        )
    return found.__module__ == "__main__"
