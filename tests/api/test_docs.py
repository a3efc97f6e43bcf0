"""Every snippet of the README and the documentation is run.

The rule: a block says what it is in the words after its fence.

- ``python``: the blocks of a page are one script, run from top to bottom, so a later
  block may use what an earlier one defined.
- ``text output``: what the page's script prints. The lines of all these blocks must
  appear in its output, in order; ``...`` stands for anything.
- ``console run``: a shell session. What follows ``$`` is run in a copy of the README and
  of docs; what stands below a command must appear in its output, as above.
- ``python cell``: a cell of a notebook; tests/notebook runs those of a page in a kernel.

The other words in ``PROSE`` are shown and not run. No other word is allowed, so that no
snippet escapes by being spelled in another way.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts)]
PROSE = {"text", "console", "toml", "json", "mermaid"}
RUN = {"python", "python cell", "text output", "console run"}
DIRECTIVE = re.compile(r"\{(?!code)[a-z:-]+\}")
FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,}|~{3,})(?P<info>.*)$")


@attrs.frozen
class Block:
    """A fenced block: its info string, the number of its first line, its lines."""

    info: str
    first: int
    lines: list[str]


def blocks_of(text):
    """The fenced blocks of a page."""
    blocks, fence, start, inside = [], None, 0, []
    for number, line in enumerate(text.splitlines(), 1):
        match = FENCE.match(line)
        if fence is None and match:
            fence, start, inside = match, number, []
        elif fence is not None and line.strip() == fence["ticks"]:
            blocks.append(Block(fence["info"].strip(), start + 1, inside))
            fence = None
        elif fence is not None:
            inside.append(line.removeprefix(fence["indent"]))
    assert fence is None, f"the fence of line {start} is never closed"
    return blocks


def script_of(blocks):
    """The Python blocks of a page as one script with the page's own line numbers."""
    lines: list[str] = []
    for block in blocks:
        if block.info == "python":
            lines += [""] * (block.first - 1 - len(lines)) + block.lines
    return "\n".join(lines) + "\n" if lines else ""


def sessions_of(blocks):
    """The commands of ``console run`` blocks, each with the lines expected of it."""
    sessions: list[tuple[str, list[str]]] = []
    for block in blocks:
        if block.info == "console run":
            assert block.lines[0].startswith("$ "), f"line {block.first}: a console block starts with a command"
            for line in block.lines:
                if line.startswith("$ "):
                    sessions.append((line.removeprefix("$ "), []))
                else:
                    sessions[-1][1].append(line)
    return sessions


def assert_in_order(expected, output):
    """Demand that the expected lines appear among the lines of the output, in order."""
    lines = iter([line.rstrip() for line in output.splitlines()])
    for line in expected:
        if line.strip() not in {"", "..."}:
            assert line.rstrip() in lines, f"{line!r} is missing, or out of order, in:\n{output}"


def run(command, directory, **options):
    """Run a command as a reader would who has the project's environment active."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, "PATH": path, "PYTHONWARNINGS": "error"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
        **options,
    )


def page_params(wanted):
    """The pages that have what is wanted, named by their paths."""
    named = [(str(page.relative_to(ROOT)), blocks_of(page.read_text(encoding="utf-8"))) for page in PAGES]
    return [pytest.param(blocks, id=name) for name, blocks in named if wanted(blocks)]


@pytest.mark.parametrize("blocks", page_params(script_of))
def test_the_python_of_a_page_runs(blocks, tmp_path):
    script = tmp_path / "page.py"
    script.write_text(script_of(blocks), encoding="utf-8")
    done = run([sys.executable, "page.py"], tmp_path)
    assert done.returncode == 0, done.stdout
    assert_in_order([line for block in blocks if block.info == "text output" for line in block.lines], done.stdout)


@pytest.mark.parametrize("blocks", page_params(sessions_of))
def test_the_commands_of_a_page_run(blocks, tmp_path):
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("_build"))
    shutil.copy(ROOT / "README.md", tmp_path)
    for command, expected in sessions_of(blocks):
        done = run(command, tmp_path, shell=True)
        assert done.returncode == 0, f"$ {command}\n{done.stdout}"
        assert_in_order(expected, done.stdout)


def test_every_block_of_a_page_is_of_a_known_kind():
    blocks = [(str(page), block) for page in PAGES for block in blocks_of(page.read_text(encoding="utf-8"))]
    assert [(p, b) for p, b in blocks if b.info not in PROSE | RUN and not DIRECTIVE.match(b.info)] == []


def test_the_readme_has_python_that_runs():
    assert script_of(blocks_of((ROOT / "README.md").read_text(encoding="utf-8")))


def test_a_page_becomes_one_script_with_its_own_line_numbers():
    page = "# Title\n\n```python\nx = 1\n```\n\n```console\n$ not run\n```\n\n  ```python\n  x += 1\n  ```\n"
    assert script_of(blocks_of(page)).splitlines() == ["", "", "", "x = 1", "", "", "", "", "", "", "", "x += 1"]


def test_a_console_block_becomes_commands_and_what_they_print():
    page = "```console run\n$ echo one\none\n$ echo two\n```\n"
    assert sessions_of(blocks_of(page)) == [("echo one", ["one"]), ("echo two", [])]


def test_output_must_appear_in_order():
    assert_in_order(["a", "...", "c"], "a\nb\nc\n")
    with pytest.raises(AssertionError, match="'a' is missing"):
        assert_in_order(["b", "a"], "a\nb\n")
