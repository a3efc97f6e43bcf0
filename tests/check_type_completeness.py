"""Check that every public name is fully typed, as pyright sees an installed package.

The rule: the baseline beside this file lists the names that are not, and can only
shrink. A name that is not in it fails the check; so does one that no longer belongs in
it, until ``--update`` has removed it.

Run by ``nox -s typing``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

PACKAGE = "async_task_pipeline"
BASELINE = Path(__file__).with_name("_type_completeness.json")


def incompletely_typed() -> dict[str, list[str]]:
    """Ask pyright; the public names, and the names they rest on, whose types are not known, with its reasons."""
    command = ["pyright", "--verifytypes", PACKAGE, "--ignoreexternal", "--outputjson"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout).get("typeCompleteness")
    if report is None or not report["symbols"]:
        sys.exit(f"pyright could not look at {PACKAGE}:\n{done.stdout}{done.stderr}")
    found = {
        symbol["name"]: [diagnostic["message"] for diagnostic in symbol["diagnostics"]]
        for symbol in report["symbols"]
        # Those without a diagnostic are only what rests on the others.
        if not symbol["isTypeKnown"] and symbol["diagnostics"]
    }
    if not found and report["completenessScore"] < 1:
        sys.exit(f"pyright's score is {report['completenessScore']}, but it names no reason:\n{done.stdout}")
    return found


def complaints(found: dict[str, list[str]], allowed: list[str]) -> list[str]:
    """What differs from the baseline, in words; empty if nothing does."""
    new = [f"{name} is not fully typed: {'; '.join(found[name])}" for name in sorted(set(found) - set(allowed))]
    done = [f"{name} is fully typed: remove it from the baseline" for name in sorted(set(allowed) - set(found))]
    return new + done


def main() -> int:
    """Compare with the baseline; with ``--update``, remove from it what is typed by now."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true", help="remove from the baseline what is fully typed by now")
    update = parser.parse_args().update
    found = incompletely_typed()
    allowed = json.loads(BASELINE.read_text(encoding="utf-8"))
    if update:
        allowed = sorted(set(allowed) & set(found))
        BASELINE.write_text(json.dumps(allowed, indent=2) + "\n", encoding="utf-8")
    wrong = complaints(found, allowed)
    print(*wrong or [f"{PACKAGE} is fully typed, but for {len(allowed)} name(s) in the baseline"], sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
