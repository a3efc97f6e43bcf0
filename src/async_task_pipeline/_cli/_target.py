"""Finding the pipeline that the user named.

The rule: ``module:attribute`` is imported with the current directory first on the
path, ``file.py:attribute`` with the file's own directory first, as Python does for a
module and for a script. Whatever goes wrong is told with the name the user gave.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import os
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from .._exceptions import shown, text_of
from .._pipeline import AsyncTaskPipeline
from ._exit import CommandError, Exit, one_line


def find_target(target: str) -> Any:
    """Import what the user named and return the object.

    Raises:
        CommandError: If there is no such thing.
    """
    where, _, path = target.rpartition(":")
    if not where or not path:
        raise CommandError(
            Exit.USAGE, f"PIPELINE must be module:attribute or path/to/file.py:attribute, not {target!r}"
        )
    is_file = where.endswith(".py") or os.sep in where
    found: Any = _import_file(Path(where)) if is_file else _import_module(where)
    at = where
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            close = difflib.get_close_matches(name, dir(found), n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise CommandError(Exit.PIPELINE, f"{at} has no attribute {name!r}{hint}") from None
        at = f"{at}:{name}" if at == where else f"{at}.{name}"
    return found


def _import_module(name: str) -> ModuleType:
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name is not None and (name == exc.name or name.startswith(f"{exc.name}.")):
            raise CommandError(Exit.PIPELINE, f"there is no module {name!r}: {text_of(exc)}") from exc
        raise CommandError(Exit.PIPELINE, f"importing {name} raised {one_line(exc)}") from exc
    except (Exception, SystemExit) as exc:
        raise CommandError(Exit.PIPELINE, f"importing {name} raised {one_line(exc)}") from exc


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise CommandError(Exit.PIPELINE, f"there is no file {str(path)!r}")
    sys.path.insert(0, str(path.resolve().parent))
    # Under its own name, so that what it defines can be pickled and imported again;
    # but it must not take the place of a module that is in use, or may be.
    name = path.stem if _why_not_importable(path) is None else _other_name(path)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CommandError(Exit.PIPELINE, f"{str(path)!r} is not a Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as exc:
        words = f"importing {path} raised {one_line(exc)}{_advice(exc, path)}"
        del sys.modules[name]
        raise CommandError(Exit.PIPELINE, words) from exc
    return module


def _why_not_importable(path: Path) -> str | None:
    """Why no other process could import a file under its own name; ``None`` if it could."""
    if "." in path.stem:
        return "a module's name has no dot"
    if path.stem in sys.stdlib_module_names:
        return "that is the name of a module of Python's own"
    return "that is the name of a module in use" if path.stem in sys.modules else None


def _other_name(path: Path) -> str:
    return f"{path.stem} ({path})"


def _advice(exc: BaseException, path: Path) -> str:
    """What to do if a function of a file could not be sent elsewhere, because of the file's name."""
    if not isinstance(exc.__cause__, pickle.PicklingError) or _other_name(path) not in sys.modules:
        return ""
    return f"; but {path} cannot be imported as {path.stem!r}, because {_why_not_importable(path)}: rename the file"


async def build(target: str, found: Any) -> AsyncTaskPipeline[Any, Any]:
    """Make a pipeline of what was found: itself, or what it returns when called.

    Is called on the loop, so that the function may set up what needs one.

    Raises:
        CommandError: If it is no pipeline, or has no stages.
    """
    built = found
    if callable(found) and not isinstance(found, AsyncTaskPipeline):
        try:
            built = found()
            if inspect.isawaitable(built):
                built = await built
        except (Exception, SystemExit) as exc:
            words = f"calling {target} raised {one_line(exc)}{_advice(exc, Path(target.rpartition(':')[0]))}"
            raise CommandError(Exit.PIPELINE, words) from exc
    if not isinstance(built, AsyncTaskPipeline):
        what = f"{target} is" if built is found else f"{target} returned"
        raise CommandError(
            Exit.PIPELINE, f"{what} {shown(built)}, which is neither a pipeline nor a function that returns one"
        )
    if not built.stages:
        raise CommandError(Exit.PIPELINE, f"{target} is a pipeline without stages")
    return built
