"""Check the types of the snippets of the README and the documentation: ``python tests/check_snippets.py``.

The rule: what a page shows, a type checker accepts: mypy as strict as for the library, but that nothing
needs annotations, which would hide what a snippet is about; what is in a function is checked all the same.
A report, say, may be ``None``, and no page reads one that it has not looked at.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import attrs  # noqa: E402

from tests.api.test_docs import PAGES, blocks_of, script_of  # noqa: E402

FLAGS = (
    *("--strict", "--check-untyped-defs", "--allow-untyped-defs", "--allow-incomplete-defs", "--allow-untyped-calls"),
    *("--allow-untyped-decorators", "--allow-any-generics", "--ignore-missing-imports", "--no-error-summary"),
    *("--disable-error-code=var-annotated", "--disable-error-code=top-level-await"),
)


def main() -> int:
    """Check every page's script, which has the page's own line numbers; the number of errors, at most 1."""
    with tempfile.TemporaryDirectory() as folder:
        scripts = {}
        for page in PAGES:
            blocks = blocks_of(page.read_text(encoding="utf-8"))
            # The cells of a notebook are a script that awaits.
            if script := script_of([attrs.evolve(each, info=each.info.removesuffix(" cell")) for each in blocks]):
                name = f"{'_'.join(page.relative_to(ROOT).with_suffix('').parts)}.py".replace("-", "_")
                scripts[name] = page.relative_to(ROOT)
                (Path(folder) / name).write_text(script, encoding="utf-8")
        command = [sys.executable, "-m", "mypy", "--config-file=", *FLAGS, *scripts]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        for name, page in scripts.items():
            said = said.replace(f"{name}:", f"{page}:")
    print(said or f"{len(scripts)} pages, no complaint\n", end="")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
