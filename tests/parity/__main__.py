"""Programs written for 0.1.10, on 0.1.10 and on this library: ``python tests/parity --original PYTHON --sdist FILE``.

The rule: a program runs unchanged on both, each in its own environment, and what comes out is the
same, line by line and in order. Four things are taken out of the comparison, each by name: figures
that are measured (``masked``), the order of lines of different threads (``by_thread``), the table
that ours logs as well (``ADDED``), and the faults that are repaired (``repairs.py``), which 0.1.10
must still show and ours must not.

The programs are the example of 0.1.10 and its two test files, which come from its sdist and are
nowhere kept, and three voice agents of ours in its style. Run it with the Python that has this
library, pytest and pytest-asyncio. Every failure prints a diff, and one is enough to exit with 1.
"""

import argparse
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from difflib import unified_diff
from pathlib import Path

from repairs import REPAIRS, UnmetError, repaired

HERE = Path(__file__).absolute().parent
PATIENCE = 60
"""Seconds after which a program hangs; the longest takes five."""
ENDED_WELL = "exit code 0"
LONGEST_DIFF = 60
ADDED = "INFO pipeline report: "
"""What ours logs and 0.1.10 did not: the table behind the report in the old words."""

EXAMPLE_RUNS = (
    ("--mode", "concurrent"),
    ("--mode", "concurrent", "--enable-timing"),
    ("--mode", "sequential"),
    ("--mode", "sequential", "--enable-timing"),
    ("--log-level", "DEBUG"),  # says what each stage got and what came out
)
TESTS = ("tests/test_init.py", "tests/base/test_item.py")


def absolute(path: str) -> Path:
    """Return the path from the root; a link to a Python is not followed, because it is where its packages are."""
    return Path(path).absolute()


def arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(prog="python tests/parity", description=__doc__)
    parser.add_argument("--original", type=absolute, required=True, help="a Python with async-task-pipeline 0.1.10")
    parser.add_argument("--sdist", type=Path, required=True, help="async_task_pipeline-0.1.10.tar.gz")
    return parser.parse_args()


def run(python: Path, *command: str, folder: Path = HERE) -> tuple[list[str], list[str]]:
    """Run a program and return the lines it prints and the lines it logs; the last of these tells how it ended."""
    command = (str(python), *command)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, cwd=folder, stdin=subprocess.DEVNULL, check=False
        )
    except subprocess.TimeoutExpired as error:
        printed, logged = ((each or b"").decode().splitlines() for each in (error.stdout, error.stderr))
        return printed, [*logged, f"killed after {PATIENCE} s"]
    return done.stdout.splitlines(), [*done.stderr.splitlines(), f"exit code {done.returncode}"]


def on_both(original: Path, *command: str) -> tuple[tuple[list[str], list[str]], tuple[list[str], list[str]]]:
    """Run a program with its logging configured on 0.1.10 and on ours, side by side.

    Raises:
        UnmetError: If it fails on 0.1.10, for then nothing is proved.
    """
    pythons = (original, Path(sys.executable))
    with ThreadPoolExecutor(2) as pool:
        theirs, ours = pool.map(lambda python: run(python, str(HERE / "logged.py"), *command), pythons)
    if theirs[1][-1] != ENDED_WELL:
        raise UnmetError("\n".join(("0.1.10 has failed:", *command, *theirs[0], *theirs[1])))
    return theirs, ours


def masked(lines: list[str]) -> list[str]:
    """Return the lines without what is measured or by chance: fractions, checksums of busy loops, addresses."""
    return [re.sub(r"\d+\.\d+|(?<=\[)\d+(?=\])|0x[0-9a-f]+", "#", line) for line in lines]


def by_thread(lines: list[str]) -> list[str]:
    """Return the lines of the loop's thread first, and then those of each stage and of each end apart.

    The threads of the stages log at DEBUG only, and what they are is in front of the colon.
    """
    return sorted(lines, key=lambda line: line.partition(": ")[0] if line.startswith("DEBUG") else "")


def difference(theirs: list[str], ours: list[str]) -> list[str]:
    """Return a diff, of which the first lines tell enough; empty when there is none."""
    lines = list(unified_diff(theirs, ours, "0.1.10", "ours", lineterm=""))
    return lines if len(lines) <= LONGEST_DIFF else [*lines[:LONGEST_DIFF], f"... {len(lines) - LONGEST_DIFF} more"]


def example(original: Path, program: Path) -> Iterator[tuple[str, list[str]]]:
    """Compare what the example prints and logs in each of its modes."""
    for options in EXAMPLE_RUNS:
        theirs, ours = (printed + logged for printed, logged in on_both(original, str(program), *options))
        ours = [line for line in ours if not line.startswith(ADDED)]
        yield f"example.py {' '.join(options)}", difference(by_thread(masked(theirs)), by_thread(masked(ours)))


def tests(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Run the test files of 0.1.10 on ours, but for what without_private.py leaves out."""
    boot = f"import sys, pytest; sys.path.append({str(HERE)!r}); sys.exit(pytest.main())"
    options = ("-p", "without_private", "-q", "-ra", "--import-mode=importlib")
    printed, logged = run(Path(sys.executable), "-c", boot, *options, *TESTS, folder=folder)
    yield f"tests: {printed[-1] if printed else 'no line'}", [] if logged[-1] == ENDED_WELL else printed + logged


def agents(original: Path) -> Iterator[tuple[str, list[str]]]:
    """Compare what the voice agents print, once the repaired faults are mended in what 0.1.10 printed."""
    for program in sorted((HERE / "agents").glob("*.py")):
        (their_lines, their_log), (our_lines, our_log) = on_both(original, str(program))
        repairs = REPAIRS.get(program.name, ())
        faults = "".join(f", but for {repair.fault}" for repair in repairs)
        found = difference([*repaired(their_lines, repairs), their_log[-1]], [*our_lines, our_log[-1]])
        yield f"agents/{program.name}{faults}", [*found, *our_log] if found else []


def main() -> int:
    """Run everything and return the exit code."""
    given = arguments()
    failed = 0
    with tempfile.TemporaryDirectory() as name, tarfile.open(given.sdist) as sdist:
        folder = Path(name)
        wanted = {f"async_task_pipeline-0.1.10/{each}" for each in ("example.py", "pyproject.toml", *TESTS)}
        # Only these, so that nothing can import the original from here.
        sdist.extractall(folder, [member for member in sdist if member.name in wanted], filter="data")
        unpacked = folder / "async_task_pipeline-0.1.10"
        for step in (agents(given.original), tests(unpacked), example(given.original, unpacked / "example.py")):
            for title, found in step:
                print("different" if found else "the same ", title, flush=True)
                print("".join(f"    {line}\n" for line in found), end="", flush=True)
                failed += bool(found)
    print(f"{failed} comparisons failed" if failed else "all the same")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
