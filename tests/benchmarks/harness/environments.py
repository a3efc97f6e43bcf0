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
from pathlib import Path

from attrs import field, frozen


@frozen
class Peer:
    """A distribution to measure against.

    Attributes:
        name: What figures call it.
        requirements: What pip installs, pinned.
        series: The only Python it installs on, or None for the one running the benchmarks.
    """

    name: str
    requirements: tuple[str, ...]
    series: str | None = None


PEERS: tuple[Peer, ...] = (
    # anyio of our own version beside it: the scripts that run on both libraries use it.
    Peer("0.1.10", ("async-task-pipeline==0.1.10", f"anyio=={version('anyio')}"), "3.11"),
    Peer("tolquane", ("tolquane==1.3.2",)),
    # pypeln's stopit imports pkg_resources, which later ones have no more.
    Peer("pypeln", ("pypeln==0.4.9", "setuptools==80.9.0")),
    Peer("python-pyper", ("python-pyper==0.4.4",)),
    Peer("aiostream", ("aiostream==0.8.1",)),
    Peer("streamable", ("streamable==2.0.0",)),
    Peer("pipecat", ("pipecat-ai==1.14.0",)),
)


@frozen
class Environments:
    """The interpreters of the peers that could be installed, and why the others could not."""

    interpreters: dict[str, Path]
    missing: dict[str, str] = field(factory=dict)


def prepare(folder: Path, wanted: Collection[str]) -> Environments:
    """Make or reuse one environment under ``folder`` for each peer that is wanted."""
    folder.mkdir(parents=True, exist_ok=True)
    # The folder ignores itself, so that it never needs a line in the repository's own file.
    (folder / ".gitignore").write_text("*\n")
    interpreters: dict[str, Path] = {}
    missing: dict[str, str] = {}
    for peer in [each for each in PEERS if each.name in wanted]:
        base = _interpreter(peer.series)
        if base is None:
            missing[peer.name] = f"installs on Python {peer.series} only, and none was found"
            continue
        try:
            interpreters[peer.name] = _environment(folder, peer, base)
        except subprocess.CalledProcessError as error:
            lines = (error.stderr or "no output").strip().splitlines()
            missing[peer.name] = f"could not be installed: {lines[-1]}"
    return Environments(interpreters, missing)


def _interpreter(series: str | None) -> str | None:
    """Return a Python of the series, or None. A command of that name may exist and not run."""
    if series is None or series == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    command = shutil.which(f"python{series}")
    if command is None:
        return None
    works = subprocess.run([command, "-c", "import venv"], capture_output=True, check=False)
    return command if works.returncode == 0 else None


def _environment(folder: Path, peer: Peer, base: str) -> Path:
    """Return the interpreter of the peer's environment, making it when it is not complete."""
    series = peer.series or f"{sys.version_info.major}.{sys.version_info.minor}"
    home = folder / f"{peer.requirements[0].replace('==', '-')}-py{series}"
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    marker, wanted = home / "complete", "\n".join(peer.requirements)
    if not marker.exists() or marker.read_text() != wanted:
        print(f"making an environment for {', '.join(peer.requirements)}", flush=True)
        _run(base, "-m", "venv", "--clear", str(home))
        _run(str(python), "-m", "pip", "install", "--quiet", *peer.requirements)
        marker.write_text(wanted)
    return python


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
