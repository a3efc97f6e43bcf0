"""Every peer lives in an environment of its own, made once and kept.

A peer may need another Python or clash with this library (0.1.10 even has its name), so nothing
of a peer is ever installed beside it. An environment is complete when its marker file names what
was asked for: one whose making was interrupted, or whose pins have changed, is made again.
"""

import shutil
import subprocess
import sys
from collections.abc import Collection
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from attrs import field, frozen


@frozen
class Peer:
    """A distribution to measure against.

    Attributes:
        name: What figures call it.
        requirements: What pip installs, pinned.
        series: The only Python it installs on, or None for the one running the benchmarks.
        beside_ours: Whether this library is installed there too, from this source tree.
    """

    name: str
    requirements: tuple[str, ...]
    series: str | None = None
    beside_ours: bool = False


PROJECT = Path(__file__).parents[3]
SHARED = tuple(f"{name}=={version(name)}" for name in ("anyio", "trio", "uvloop") if find_spec(name))

# Not peers: this library on a Python that has interpreters to work in, and an earlier commit of it.
INTERPRETERS = "Python 3.13"
EARLIER = Peer("earlier", (), beside_ours=True)

PEERS: tuple[Peer, ...] = (
    # anyio of our own version beside it: the scripts that run on both libraries use it.
    Peer("0.1.10", ("async-task-pipeline==0.1.10", f"anyio=={version('anyio')}"), "3.11"),
    Peer("tolquane", ("tolquane==1.3.2",)),
    # pypeln's stopit imports pkg_resources, which later ones have no more.
    Peer("pypeln", ("pypeln==0.4.9", "setuptools==80.9.0")),
    Peer("python-pyper", ("python-pyper==0.4.4",)),
    # The client of `http` is written on anyio, and the same on both sides.
    Peer("aiostream", ("aiostream==0.8.1", *SHARED)),
    Peer("streamable", ("streamable==2.0.0", *SHARED)),
    Peer("dask", ("distributed==2026.8.0",), beside_ours=True),
    Peer(INTERPRETERS, (), "3.13", beside_ours=True),
    Peer("pipecat", ("pipecat-ai==1.14.0",)),
)


@frozen
class Environments:
    """The interpreters of the peers that could be installed, and why the others could not.

    ``older`` has, for each interpreter with this source tree, the one with the earlier commit.
    """

    interpreters: dict[str, Path]
    missing: dict[str, str] = field(factory=dict)
    older: dict[Path, Path] = field(factory=dict)


def commit(name: str) -> str:
    """Return the hash of a commit of this repository.

    Raises:
        ValueError: If it has no such commit.
    """
    command = ["git", "-C", str(PROJECT), "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(name)
    return done.stdout.strip()


def prepare(folder: Path, wanted: Collection[str], against: str | None = None) -> Environments:
    """Make or reuse one environment under ``folder`` for each peer that is wanted.

    With a commit in ``against``, also one that has this library as of then for each that has it as it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # The folder ignores itself, so that it never needs a line in the repository's own file.
    (folder / ".gitignore").write_text("*\n")
    interpreters: dict[str, Path] = {}
    missing: dict[str, str] = {}
    older: dict[Path, Path] = {}
    if against:
        older[Path(sys.executable)] = _environment(folder, EARLIER, sys.executable, against)
    for peer in [each for each in PEERS if each.name in wanted]:
        base = _interpreter(peer.series)
        if base is None:
            missing[peer.name] = f"installs on Python {peer.series} only, and none was found"
            continue
        try:
            interpreters[peer.name] = python = _environment(folder, peer, base)
            if against and peer.beside_ours:
                older[python] = _environment(folder, peer, base, against)
        except subprocess.CalledProcessError as error:
            lines = (error.stderr or "no output").strip().splitlines()
            missing[peer.name] = f"could not be installed: {lines[-1]}"
    return Environments(interpreters, missing, older)


def _interpreter(series: str | None) -> str | None:
    """Return a Python of the series, or None. A command of that name may exist and not run."""
    if series is None or series == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    command = shutil.which(f"python{series}")
    if command is None:
        return None
    works = subprocess.run([command, "-c", "import venv"], capture_output=True, check=False)
    return command if works.returncode == 0 else None


def _environment(folder: Path, peer: Peer, base: str, against: str | None = None) -> Path:
    """Return the interpreter of the peer's environment, making it when it is not complete."""
    series = peer.series or f"{sys.version_info.major}.{sys.version_info.minor}"
    requirements = (*peer.requirements, *(_ours(against) if peer.beside_ours else ()))
    first = peer.requirements[0].replace("==", "-") if peer.requirements else "async-task-pipeline"
    home = folder / f"{first}-py{series}{f'-at-{against[:12]}' if against else ''}"
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    marker, wanted = home / "complete", "\n".join(requirements)
    if not marker.exists() or marker.read_text() != wanted:
        print(f"making an environment for {', '.join(requirements)}", flush=True)
        _run(base, "-m", "venv", "--clear", str(home))
        _run(str(python), "-m", "pip", "install", "--quiet", *requirements)
        marker.write_text(wanted)
    return python


def _ours(against: str | None) -> tuple[str, ...]:
    """Return what pip takes to install a commit, or this source tree, so that an edit needs no new environment."""
    source = (f"git+{PROJECT.as_uri()}@{against}",) if against else ("--editable", str(PROJECT))
    return (*source, *SHARED)


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        error.add_note(error.stderr)
        raise
