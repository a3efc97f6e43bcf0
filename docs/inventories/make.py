"""Write the small inventories by which intersphinx links to other projects without a network.

The rule: a name stands here beside the page of its project's documentation that describes it, and is
looked up in what is installed, so that no name is linked that does not exist. Run it where the
named packages are: ``python docs/inventories/make.py``.
"""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import sphobjinv

HERE = Path(__file__).parent

# Of each project: the names on each page of its documentation.
PROJECTS = {
    "python": {
        "library/collections.abc.html": "collections.abc collections.abc.AsyncIterable "
        "collections.abc.AsyncIterator collections.abc.Callable "
        "collections.abc.Iterable collections.abc.Iterator collections.abc.Set",
        "library/collections.html": "collections collections.Counter",
        "library/concurrent.futures.html": "concurrent.futures concurrent.futures.Executor concurrent.futures.ThreadPoolExecutor",
        "library/contextlib.html": "contextlib contextlib.contextmanager contextlib.suppress",
        "library/asyncio-runner.html": "asyncio.run",
        "library/contextvars.html": "contextvars contextvars.ContextVar contextvars.ContextVar.get "
        "contextvars.ContextVar.set",
        "library/dataclasses.html": "dataclasses dataclasses.dataclass",
        "library/exceptions.html": "BaseException ConnectionError Exception LookupError RuntimeError "
        "TimeoutError TypeError ValueError ZeroDivisionError",
        "library/functions.html": "abs all anext bool float hasattr int isinstance len max object print "
        "range repr sorted sum super type zip",
        "library/functools.html": "functools functools.partial",
        "library/html.parser.html": "html.parser html.parser.HTMLParser",
        "library/http.server.html": "http.server.BaseHTTPRequestHandler http.server.ThreadingHTTPServer",
        "library/itertools.html": "itertools itertools.count",
        "library/json.html": "json json.loads",
        "library/logging.html": "logging.Logger",
        "library/os.html": "os os.environ",
        "library/sqlite3.html": "sqlite3 sqlite3.Connection sqlite3.Connection.executemany "
        "sqlite3.connect",
        "library/stdtypes.html": "dict frozenset list str str.split str.splitlines str.strip str.upper "
        "tuple",
        "library/sys.html": "sys sys.argv",
        "library/threading.html": "threading threading.Event threading.Event.clear threading.Event.set "
        "threading.Event.wait threading.local",
        "library/time.html": "time.monotonic time.perf_counter",
        "library/typing.html": "typing.Any typing.Literal",
        "library/unittest.html": "unittest unittest.IsolatedAsyncioTestCase",
        "library/urllib.parse.html": "urllib.parse.urljoin urllib.parse.urlsplit",
    },
    "anyio": {
        "api.html": "anyio.BusyResourceError anyio.Event anyio.Event.set anyio.WouldBlock "
        "anyio.create_memory_object_stream anyio.create_task_group "
        "anyio.fail_after anyio.from_thread.check_cancelled "
        "anyio.from_thread.run_sync anyio.lowlevel.checkpoint "
        "anyio.move_on_after anyio.open_file anyio.run anyio.sleep "
        "anyio.sleep_forever anyio.to_thread.run_sync "
        "anyio.wait_all_tasks_blocked",
    },
    "trio": {
        "reference-core.html": "trio.run",
    },
    "distributed": {
        "api.html": "distributed.Client",
    },
    "attrs": {
        "api.html": "attrs.define attrs.evolve attrs.frozen",
    },
    "stamina": {
        "api.html": "stamina.retry stamina.retry_context",
    },
    "numpy": {
        "reference/generated/numpy.linalg.norm.html": "numpy.linalg.norm",
        "reference/generated/numpy.ndarray.html": "numpy.ndarray",
        "reference/generated/numpy.tanh.html": "numpy.tanh",
        "reference/generated/numpy.zeros.html": "numpy.zeros",
        "reference/random/generator.html": "numpy.random.default_rng",
    },
    "pytest": {
        "reference/reference.html": "pytest.fixture",
    },
}


def found(name: str) -> object:
    """What a dotted name stands for in what is installed."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            thing: object = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        return resolved(thing, parts[length:])
    return resolved(importlib.import_module("builtins"), parts)


def resolved(thing: object, attributes: list[str]) -> object:
    """Follow attributes."""
    for attribute in attributes:
        thing = getattr(thing, attribute)
    return thing


def role_of(name: str) -> str:
    """The role under which Sphinx's Python domain has it."""
    thing = found(name)
    if inspect.ismodule(thing):
        return "module"
    if inspect.isclass(thing):
        return "exception" if issubclass(thing, BaseException) else "class"
    if "." in name and inspect.isclass(found(name.rpartition(".")[0])):
        return "method"
    return "function" if callable(thing) else "data"


def main() -> None:
    """Write one inventory for each project."""
    for project, pages in PROJECTS.items():
        inventory = sphobjinv.Inventory()
        inventory.project, inventory.version = project, ""
        for page, names in pages.items():
            for name in sorted(names.split()):
                role = role_of(name)
                uri = f"{page}#module-$" if role == "module" else f"{page}#$"
                entry = sphobjinv.DataObjStr(
                    name=name, domain="py", role=role, priority="1", uri=uri, dispname="-"
                )
                inventory.objects.append(entry)
        text = inventory.data_file(contract=True)
        sphobjinv.writebytes(str(HERE / f"{project}.inv"), sphobjinv.compress(text))


if __name__ == "__main__":
    main()
