"""The tables a run prints: figures by backend with their targets, then what each script gave."""

from collections.abc import Collection
from statistics import median

from harness.figures import Figure, Measurement
from harness.rounds import Samples


def figures_table(figures: Collection[Figure], backends: tuple[str, ...], title: str = "") -> str:
    """Return one row per figure and one column per backend and peer; ``!`` marks a missed target, brackets the rounds' range."""
    rows: dict[str, dict[str, Figure]] = {}
    for figure in figures:
        rows.setdefault(figure.name, {})[figure.backend] = figure
    columns = tuple(dict.fromkeys([*backends, *(figure.backend for figure in figures)]))
    table = [[title, *columns, "target", ""]]
    for name, cells in rows.items():
        target = next((cell.target for cell in cells.values() if cell.target), None)
        verdicts = [cell.met for cell in cells.values() if cell.met is not None]
        table.append(
            [
                name,
                *(_cell(cells.get(backend)) for backend in columns),
                "" if target is None else str(target),
                ("pass" if all(verdicts) else "MISS") if verdicts else "",
            ]
        )
    return _aligned(table)


def samples_table(samples: Samples, measurement: Measurement) -> str:
    """Return the median of each shown value of each contestant."""
    table = [["", *measurement.shown.values()]]
    for name, lines in samples.lines.items():
        cells = [name]
        for key in measurement.shown:
            values = [float(line[key]) for line in lines if line and line.get(key) is not None]
            cells.append(_number(median(values)) if values else "-")
        table.append(cells)
    return _aligned(table)


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    mark = "!" if figure.met is False else ""
    low, high = min(figure.rounds), max(figure.rounds)
    spread = f" ({_number(low)}-{_number(high)})" if low < high else ""
    return f"{_number(figure.reached)} {figure.unit}{mark}{spread}"


def _number(value: float) -> str:
    """Return three significant digits, without an exponent."""
    size = abs(value)
    return f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.3g}"


def _aligned(table: list[list[str]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    lines = []
    for row in table:
        first, *rest = (
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(["  " + first, *rest]).rstrip())
    return "\n".join(lines)
