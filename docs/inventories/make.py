"""Write the small inventories by which intersphinx links to other projects without a network.

The rule: a name stands here beside the page of its project's documentation that describes it, and is
looked up in what is installed, so that no name is linked that does not exist. Run it where the
documented packages are: ``python docs/inventories/make.py``.
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
        "library/functions.html": "int float bool len abs range print sum open type isinstance aiter anext object",
        "library/stdtypes.html": "str str.upper str.split bytes list tuple dict set frozenset dict.items",
        "library/exceptions.html": "BaseException Exception RuntimeError ValueError TypeError TimeoutError SystemExit"
        " KeyboardInterrupt StopIteration GeneratorExit ZeroDivisionError ConnectionError OSError ExceptionGroup"
        " BaseExceptionGroup ArithmeticError LookupError KeyError",
        "library/collections.abc.html": "collections.abc.AsyncIterable collections.abc.AsyncIterator"
        " collections.abc.AsyncGenerator collections.abc.Iterable collections.abc.Iterator"
        " collections.abc.Generator collections.abc.Callable collections.abc.Sequence"
        " collections.abc.Mapping",
        "library/collections.html": "collections.Counter collections.deque collections.defaultdict",
        "library/asyncio-task.html": "asyncio.timeout asyncio.all_tasks asyncio.sleep asyncio.TaskGroup asyncio.wait_for",
        "library/asyncio-runner.html": "asyncio.run",
        "library/concurrent.futures.html": "concurrent.futures.Executor concurrent.futures.ThreadPoolExecutor"
        " concurrent.futures.ProcessPoolExecutor",
        "library/contextlib.html": "contextlib.contextmanager contextlib.asynccontextmanager contextlib.suppress"
        " contextlib.closing",
        "library/contextvars.html": "contextvars.ContextVar contextvars.Context",
        "library/functools.html": "functools.partial functools.lru_cache",
        "library/hashlib.html": "hashlib.sha256",
        "library/html.parser.html": "html.parser.HTMLParser html.parser.HTMLParser.feed",
        "library/itertools.html": "itertools.count itertools.groupby itertools.islice",
        "library/json.html": "json.loads json.dumps json.load",
        "library/logging.html": "logging.Logger logging.getLogger logging.basicConfig",
        "library/lzma.html": "lzma.compress",
        "library/zlib.html": "zlib.compress",
        "library/math.html": "math.isfinite math.sqrt",
        "library/os.html": "os.environ os.cpu_count os.SEEK_END",
        "library/pathlib.html": "pathlib.Path pathlib.Path.read_text pathlib.Path.open pathlib.Path.write_text",
        "library/queue.html": "queue.Queue queue.Queue.put",
        "library/random.html": "random.random",
        "library/re.html": "re.findall re.compile",
        "library/sqlite3.html": "sqlite3.connect sqlite3.Connection sqlite3.Cursor",
        "library/statistics.html": "statistics.fmean",
        "library/string.html": "string.ascii_lowercase",
        "library/sys.html": "sys.maxsize sys.argv sys.stderr sys.stdin sys.executable",
        "library/tempfile.html": "tempfile.TemporaryDirectory",
        "library/threading.html": "threading.Event threading.Event.set threading.Event.wait threading.Thread"
        " threading.Lock threading.local threading.get_ident threading.current_thread",
        "library/time.html": "time.perf_counter time.time time.sleep time.monotonic",
        "library/typing.html": "typing.Any typing.Self typing.Literal typing.NamedTuple",
        "library/urllib.parse.html": "urllib.parse.urljoin",
        "library/urllib.request.html": "urllib.request.urlopen",
        "library/multiprocessing.html": "multiprocessing.Pool multiprocessing.set_start_method",
        "library/http.server.html": "http.server.ThreadingHTTPServer http.server.SimpleHTTPRequestHandler",
    },
    "anyio": {
        "api.html": "anyio.run anyio.sleep anyio.sleep_forever anyio.create_task_group anyio.move_on_after"
        " anyio.fail_after anyio.CancelScope anyio.Event anyio.CapacityLimiter anyio.open_file anyio.Path"
        " anyio.create_memory_object_stream anyio.wait_all_tasks_blocked anyio.WouldBlock anyio.BusyResourceError"
        " anyio.to_thread.run_sync anyio.from_thread.run anyio.from_thread.run_sync"
        " anyio.from_thread.check_cancelled anyio.lowlevel.checkpoint anyio.abc.TaskStatus anyio.abc.TaskGroup"
        " anyio.AsyncContextManagerMixin anyio.to_process.run_sync anyio.create_tcp_listener anyio.connect_tcp"
        " anyio.EndOfStream anyio.ClosedResourceError anyio.streams.memory.MemoryObjectReceiveStream"
        " anyio.abc.ByteReceiveStream",
    },
    "trio": {
        "reference-core.html": "trio.run trio.open_memory_channel trio.sleep trio.open_nursery trio.CancelScope"
        " trio.Event trio.to_thread.run_sync trio.from_thread.run_sync",
    },
    "attrs": {
        "api.html": "attrs.frozen attrs.define attrs.field attrs.asdict attrs.evolve attrs.Attribute"
    },
    "distributed": {
        "api.html": "distributed.Client distributed.LocalCluster distributed.Event distributed.Future"
    },
    "stamina": {
        "api.html": "stamina.retry stamina.retry_context stamina.set_testing stamina.AsyncRetryingCaller",
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
                inventory.objects.append(
                    sphobjinv.DataObjStr(
                        name=name,
                        domain="py",
                        role=role_of(name),
                        priority="1",
                        uri=f"{page}#$",
                        dispname="-",
                    )
                )
        text = inventory.data_file(contract=True)
        sphobjinv.writebytes(str(HERE / f"{project}.inv"), sphobjinv.compress(text))


if __name__ == "__main__":
    main()
