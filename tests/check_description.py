"""Checks that the page of the package on PyPI has no link that leads nowhere.

The rule: PyPI shows the README without the files beside it, so every link and picture has an address of
its own, and what it names in the repository is there. ``nox -s package`` runs it with the wheel.
"""

from __future__ import annotations

import re
import sys
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from html.parser import HTMLParser
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
IN_REPOSITORY = re.compile(
    r"https://(?:github\.com|raw\.githubusercontent\.com)/mouchenghao/async-task-pipeline/"
    r"(?:(?:blob|raw|tree)/)?v[\d.]+/(?P<path>[^#?]+)"
)


class Addresses(HTMLParser):
    """Collects what a page links to and shows."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the addresses in a tag."""
        self.found += [value or "" for name, value in attrs if name in ("href", "src", "srcset")]


def addresses(wheel: Path) -> list[str]:
    """All addresses in the description that the wheel has."""
    with zipfile.ZipFile(wheel) as files:
        [metadata] = [name for name in files.namelist() if name.endswith(".dist-info/METADATA")]
        description = message_from_bytes(files.read(metadata)).get_payload(decode=True)
    page = Addresses()
    page.feed(MarkdownIt().render(description.decode()))
    return page.found


def mistakes(found: list[str]) -> Iterator[str]:
    """What is wrong with addresses, in words."""
    if not found:
        yield "there are no links at all"
    for address in found:
        known = IN_REPOSITORY.match(address)
        if known is not None and not (ROOT / known["path"]).exists():
            yield f"{address} is no file of the repository"
        elif not address.startswith(("https://", "#")):
            yield f"{address} leads nowhere from PyPI"


if __name__ == "__main__":
    sys.exit("\n".join(mistakes(addresses(Path(sys.argv[1])))) or 0)
