"""Every check of the project, as nox sessions.

The rule: whatever CI, pre-commit or a contributor runs is a session here, and nothing
needs to be on the machine but Python and nox. Plain ``nox`` runs the tests on every
installed Python that the classifiers in pyproject.toml name, once: on the newest, if it
can be had cheaply, with every branch counted.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_external_run = True
# With CI set, nox would fail for each Python that is not installed.
nox.options.error_on_missing_interpreters = False

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PYPROJECT)

ORIGINAL = "async-task-pipeline==0.1.10"

# Two processes of tests: much of their time is waiting for threads and processes.
SIDE_BY_SIDE = ("-n", "2", "--dist", "worksteal")

BUILD_DOCS = ("sphinx-build", "-W", "-n", "-E", "--keep-going", "-b", "html", "docs", "docs/_build/html")

# What GitHub reads of the repository, by the names of the schemas.
FORMS = {
    "workflows": sorted(Path(".github/workflows").glob("*.yml")),
    "issue-config": [Path(".github/ISSUE_TEMPLATE/config.yml")],
    "issue-forms": sorted(each for each in Path(".github/ISSUE_TEMPLATE").glob("*.yml") if each.stem != "config"),
}

# The tests use what is installed and never fetch a Python.
os.environ["UV_PYTHON_DOWNLOADS"] = "never"


def show_pyenv_pythons() -> None:
    """Let pyenv's shims answer for every Python it has, after those that are selected already."""
    pyenv = shutil.which("pyenv")
    if pyenv is None:
        return
    installed = subprocess.run([pyenv, "versions", "--bare"], capture_output=True, text=True, check=False)  # noqa: S603
    releases = re.findall(r"^\d+\.\d+\.\d+$", installed.stdout, flags=re.MULTILINE)
    wanted = [release for release in releases if release.rpartition(".")[0] in PYTHONS]
    selected = os.environ.get("PYENV_VERSION")
    if wanted:
        os.environ["PYENV_VERSION"] = ":".join([selected, *wanted] if selected else wanted)


show_pyenv_pythons()


def newest_python() -> str:
    """The newest of the Pythons that is installed; of none, the first, which nox then misses."""
    for version in reversed(PYTHONS):
        python = shutil.which(f"python{version}")  # of pyenv, this may be a shim for nothing
        if python is not None and subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0:  # noqa: S603
            return version
    return PYTHONS[0]


NEWEST = newest_python()
# There, coverage is told of branches by the interpreter: the tests take half as long again, and not thrice as long.
COUNTS_CHEAPLY = PYTHONS.index(NEWEST) >= PYTHONS.index("3.14")

nox.options.sessions = [f"tests-{each}" for each in PYTHONS if each != NEWEST or not COUNTS_CHEAPLY]
if COUNTS_CHEAPLY:
    nox.options.sessions += ["coverage"]


def group(name: str) -> list[str]:
    """The requirements of a dependency group."""
    return nox.project.dependency_groups(PYPROJECT, name)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests on every installed Python and every backend, from the wheel."""
    session.install(".[dev]")
    session.run("pytest", *SIDE_BY_SIDE, *session.posargs)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """Run the tests with the oldest versions that pyproject.toml admits."""
    session.install("uv")
    # Compiled, as pip would: each process that a test starts would have to do it again.
    session.run("uv", "pip", "install", "--quiet", "--compile-bytecode", "--resolution=lowest-direct", ".[dev]")
    session.run("uv", "pip", "list", "--quiet")
    session.run("pytest", *SIDE_BY_SIDE, *session.posargs)


@nox.session
def typing(session: nox.Session) -> None:
    """Check the types of the library, of a program that uses it, and of what the pages show."""
    session.install(".[dev]", *group("typing"))
    session.run("mypy")
    session.run("pyright")
    session.run("python", "tests/check_type_completeness.py", *session.posargs)
    session.run("python", "tests/check_snippets.py")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format and workflows; ``nox -s lint -- --fix`` mends what it can."""
    session.install(*group("lint"))
    fix = "--fix" in session.posargs
    session.run("ruff", "check", *(["--fix"] if fix else []))
    session.run("ruff", "format", *([] if fix else ["--check"]))
    session.run("zizmor", "--quiet", "--offline", ".github")
    for kind, files in FORMS.items():
        session.run("check-jsonschema", "--builtin-schema", f"vendor.github-{kind}", *map(str, files))


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    session.install(".[cli]", *group("docs"))
    session.run(*BUILD_DOCS)


@nox.session
def site(session: nox.Session) -> None:
    """Build the documentation and look at it in Chromium: links, cut code, errors, search."""
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        session.skip("there is no Chromium: apt-get install chromium")
    session.install(".[cli]", *group("docs"), *group("site"))
    shutil.rmtree("docs/_build/html", ignore_errors=True)  # a page that is gone would be looked at
    session.run(*BUILD_DOCS)
    session.run("python", "tests/site", "docs/_build/html", *session.posargs)


@nox.session
def package(session: nox.Session) -> None:
    """Build into dist what goes to PyPI, of the version given if any; check it, its page, and that it runs alone."""
    session.install(*group("package"))
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build")  # the wheel from the sdist
    [wheel], [sdist] = Path("dist").glob("*.whl"), Path("dist").glob("*.tar.gz")
    if session.posargs and session.posargs[0] not in wheel.name.split("-"):
        session.error(f"{wheel.name} is not of version {session.posargs[0]}")
    session.run("twine", "check", "--strict", str(wheel), str(sdist))
    session.run("check-wheel-contents", str(wheel))
    session.run("python", "tests/check_description.py", str(wheel))
    alone = Path(session.create_tmp()) / "alone"
    session.run("python", "-m", "venv", "--clear", "--without-pip", str(alone))
    session.run("pip", "--quiet", "--python", str(alone), "install", str(wheel))
    programs = alone / ("Scripts" if sys.platform == "win32" else "bin")
    session.run(f"{programs}/async-task-pipeline", "--version", external=True)


@nox.session(python=NEWEST)  # interpreters need 3.13
def coverage(session: nox.Session) -> None:
    """Run the tests, and demand that they take every branch of the core."""
    session.install(".[dev]", *group("coverage"))
    session.run("pytest", *SIDE_BY_SIDE, "--cov", *session.posargs)


@nox.session(python=PYTHONS[0])
def voice(session: nox.Session) -> None:
    """Test the voice agent with real audio, and numbers of numpy; needs espeak-ng, and a C compiler for pocketsphinx."""
    session.install(".[dev,voice]")
    session.run("pytest", "tests/voice_agent", "tests/guarantees/test_g15_numbers.py", *session.posargs)


@nox.session(python=PYTHONS[0])
def cluster(session: nox.Session) -> None:
    """Test stages on a cluster: Dask's own, of processes on this machine."""
    session.install(".[dev,dask]")
    session.run("pytest", "tests/cluster", *session.posargs)


@nox.session(python=PYTHONS[0])
def notebook(session: nox.Session) -> None:
    """Test pipelines in a notebook, in a kernel of IPython: the page about it, cell by cell."""
    session.install(".[dev]", *group("notebook"))
    session.run("pytest", "tests/notebook", *session.posargs)


@nox.session(python="3.11")  # the only one that 0.1.10 runs on
def parity(session: nox.Session) -> None:
    """Run programs written for 0.1.10, its own example and tests among them, on 0.1.10 and on this library.

    The original comes from PyPI and goes with the session's folder: nothing of it is in this repository.
    """
    session.install(".", *group("parity"))
    folder = session.create_tmp()
    original = f"{folder}/original"
    session.run("python", "-m", "venv", "--clear", "--without-pip", original)
    python = f"{original}/Scripts/python.exe" if sys.platform == "win32" else f"{original}/bin/python"
    session.run("pip", "--quiet", "--python", python, "install", ORIGINAL)
    session.run("pip", "--quiet", "download", "--no-binary", ":all:", "--no-deps", "--dest", folder, ORIGINAL)
    sdist = f"{folder}/async_task_pipeline-0.1.10.tar.gz"
    session.run("python", "tests/parity", "--original", python, "--sdist", sdist, *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Run the storm of interrupts at its full length, on every backend."""
    session.install(".[dev]")
    env = {"STORM_INTERRUPTS": "10000"}
    session.run("pytest", "--timeout=3600", "tests/guarantees/test_g11_interrupt_storm.py", *session.posargs, env=env)


@nox.session(python=PYTHONS)
def model(session: nox.Session) -> None:
    """Play random chains and schedules against the guarantees, as many as are asked for: ``nox -s model -- N``."""
    session.install(".[dev]")
    session.run("python", "tests/model", *(session.posargs or ["1000"]))


@nox.session(python="3.11")  # the only one that 0.1.10 runs on
def bench(session: nox.Session) -> None:
    """Measure against 0.1.10, plain threads and other libraries; writes bench.json."""
    session.install(".[trio,uvloop]")
    session.run("python", "tests/benchmarks", "--output", "bench.json", *session.posargs)
