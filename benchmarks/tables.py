"""Plain tables on stdout, or the same values as JSON, and bars that are met or missed."""

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Bar:
    """A limit that a figure has to keep.

    Attributes
    ----------
    name : str
        What is limited, with its unit.
    value : float or None
        None where it could not be measured; that misses the bar.
    limit : float
    at_most : bool
        Whether the limit is an upper one.
    """

    name: str
    value: float | None
    limit: float
    at_most: bool = True

    @property
    def met(self) -> bool:
        """Whether the figure keeps the limit."""
        if self.value is None:
            return False
        return self.value <= self.limit if self.at_most else self.value >= self.limit


def show(
    title: str, notes: Iterable[str], rows: Sequence[Mapping[str, Any]], bars: Sequence[Bar], *, as_json: bool
) -> None:
    """Print a title, notes, a table of ``rows`` (the keys of the first are its head) and what became of the bars."""
    notes = [f"machine: {machine()}", *notes]
    if as_json:
        judged = [asdict(bar) | {"met": bar.met} for bar in bars]
        print(json.dumps({"title": title, "notes": notes, "rows": list(rows), "bars": judged}, indent=2))
        return
    print_table(title, notes, rows, bars)


def print_table(title: str, notes: Iterable[str], rows: Sequence[Mapping[str, Any]], bars: Sequence[Bar] = ()) -> None:
    """Print as ``show`` does, without the machine."""
    print(f"\n{title}")
    for note in notes:
        print(f"  {note}")
    print()
    if rows:
        head = list(rows[0])
        lines = [head, *([shown(row.get(name)) for name in head] for row in rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
        for number, line in enumerate(lines):
            print("  " + "  ".join(_laid(text, width, first) for text, width, first in _columns(line, widths)).rstrip())
            if number == 0:
                print("  " + "  ".join("-" * width for width in widths))
    for bar in bars:
        sign, verdict = ("≤" if bar.at_most else "≥"), ("met" if bar.met else "MISSED")
        print(f"\n  bar: {bar.name} {sign} {bar.limit:g}: {shown(bar.value)}  {verdict}", end="")
    print()


def markdown_table(
    title: str, notes: Iterable[str], rows: Sequence[Mapping[str, Any]], bars: Sequence[Bar] = ()
) -> str:
    """Return the same as Markdown, bars as a table of their own."""
    parts = [f"## {title}", *notes]
    if rows:
        parts.append(_markdown([list(rows[0]), *([shown(row.get(name)) for name in rows[0]] for row in rows)]))
    if bars:
        judged = [
            [bar.name, f"{'≤' if bar.at_most else '≥'} {bar.limit:g}", shown(bar.value), "met" if bar.met else "missed"]
            for bar in bars
        ]
        parts.append(_markdown([["bar", "limit", "value", ""], *judged]))
    return "\n\n".join(parts) + "\n"


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    rule = ["---"] * len(lines[0])
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], rule, *lines[1:]])


def _columns(line: Sequence[str], widths: Sequence[int]) -> Iterable[tuple[str, int, bool]]:
    return ((text, width, column == 0) for column, (text, width) in enumerate(zip(line, widths, strict=True)))


def _laid(text: str, width: int, first: bool) -> str:
    """Return names to the left and figures to the right."""
    return text.ljust(width) if first else text.rjust(width)


def shown(value: object) -> str:
    """Return a value as it stands in a table."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def machine() -> str:
    """Return processor, usable cores and whether it has the wide vector units that change the ratios."""
    model, flags = platform.processor() or platform.machine(), ""
    facts = Path("/proc/cpuinfo")
    if facts.is_file():
        lines = dict(line.split(":", 1) for line in facts.read_text().splitlines() if ":" in line)
        values = {key.strip(): value.strip() for key, value in lines.items()}
        model, flags = values.get("model name", model), values.get("flags", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    wide = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "no AVX2"
    load = f", load {os.getloadavg()[0]:.1f} at this moment" if hasattr(os, "getloadavg") else ""
    return f"{model}, {cores} cores, {wide}{load}"
