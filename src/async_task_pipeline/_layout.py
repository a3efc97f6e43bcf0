"""Text in columns that fit, whatever is in them.

The rule: width is counted in cells, as terminals do: most characters take one, those of East Asia and
emoji two, what is put on another none. Names were chosen by others, so they are shortened where there
is no room, and what a terminal could take for a command is shown as an escape.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

WIDTH = 80
"""Cells of a line: what a terminal has that nobody has made larger."""

NAME = 24
"""The most cells for a name in a sentence."""

GAP = 2
"""Cells between two columns."""


def cells(text: str) -> int:
    """How many cells a terminal needs for it."""
    return sum(map(_cells_of, text))


def _cells_of(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def printable(text: str) -> str:
    """The text, with an escape for each character that is none to look at."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def shortened(text: str, width: int) -> str:
    """The text in at most so many cells, with an ellipsis for what there is no room for."""
    text = printable(text)
    if cells(text) <= width:
        return text
    kept, room = "", width - 1
    for character in text:
        room -= _cells_of(character)
        if room < 0:
            break
        kept += character
    return f"{kept}…"


def columns(head: Sequence[str], rows: Sequence[Sequence[str]], width: int = WIDTH) -> list[str]:
    """A table: the first column, of names, to the left and as wide as there is room; the others to the right."""
    table = [head, *rows]
    wide = [max(map(cells, column)) for column in list(zip(*table, strict=True))[1:]]
    room = width - sum(wide) - GAP * len(wide)
    names = [shortened(row[0], room) for row in table]
    first = max(map(cells, names))
    lines = []
    for name, row in zip(names, table, strict=True):
        padded = [" " * (size + GAP - cells(cell)) + cell for size, cell in zip(wide, row[1:], strict=True)]
        lines.append((name + " " * (first - cells(name)) + "".join(padded)).rstrip())
    return lines


def wrapped(label: str, text: str, indent: int, width: int = WIDTH) -> list[str]:
    """A label and what belongs to it, which goes on below where there is no room."""
    lines, line = [], label + " " * (indent - cells(label))
    for word in text.split(" "):
        if cells(line) > indent and cells(line) + 1 + cells(word) > width:
            lines.append(line)
            line = " " * indent
        line += word if cells(line) == indent else f" {word}"
    return [*lines, line.rstrip()]
