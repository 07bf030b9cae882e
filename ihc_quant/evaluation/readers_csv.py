"""What readers stated of slides or biopsies, as a plain table: slide_id or biopsy_id, reader, value, category."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.agreement import Measure
from ihc_quant.errors import SettingsError

TARGET_COLUMNS: tuple[str, ...] = ("slide_id", "biopsy_id")
"""A table has one of them."""
STATED_COLUMNS: tuple[str, ...] = ("value", "category")
"""A table has one of them or both."""
KNOWN_COLUMNS: tuple[str, ...] = (*TARGET_COLUMNS, "reader", *STATED_COLUMNS, "comment")

MOST_FAULTS = 20
"""Faults that are told at once."""


@dataclass(frozen=True, slots=True, eq=False)
class ReaderTable:
    """Readings of targets by readers.

    Attributes
    ----------
    path : Path
        For messages.
    target_kind : str
        ``"slide_id"`` or ``"biopsy_id"``.
    targets, readers : tuple of str
        n and k, in the order of the table.
    values : ndarray, shape (n, k), float64, or None
        NaN where a reader gave none; None where the table has no such column.
    categories : ndarray, shape (n, k), of str, or None
        Empty where a reader gave none; None where the table has no such column.
    """

    path: Path
    target_kind: str
    targets: tuple[str, ...]
    readers: tuple[str, ...]
    values: NDArray[np.float64] | None
    categories: NDArray[np.str_] | None

    def with_reader(self, name: str, values: Mapping[str, float]) -> "ReaderTable":
        """Return the table with one more reader.

        Parameters
        ----------
        name : str
        values : mapping of target to figure
            Targets that are not in the table are left out; those without a figure count as not judged.

        Raises
        ------
        SettingsError
            Where the table has that reader already, holds no values, or shares no target with them.
        """
        if name in self.readers:
            raise SettingsError(
                f"{self.path}: the reader {name!r} stands in the table already; "
                "name the machine otherwise with --machine-reader, or remove those rows."
            )
        if self.values is None:
            raise SettingsError(f"{self.path}: the machine gives values; add a column value beside the categories.")
        if not set(self.targets) & set(values):
            named = ", ".join(sorted(values)[:3]) or "none"
            raise SettingsError(
                f"{self.path}: the machine has a figure for no {self.target_kind} of this table, only for {named}; "
                "write the same identifiers in both."
            )
        column = np.array([[values.get(target, math.nan)] for target in self.targets])
        categories = self.categories
        if categories is not None:
            categories = np.hstack([categories, np.full((len(self.targets), 1), "")])
        return replace(
            self, readers=(*self.readers, name), values=np.hstack([self.values, column]), categories=categories
        )


@dataclass(slots=True)
class _Reading:
    line: int
    value: float
    category: str


@dataclass(slots=True)
class _Parsed:
    readings: dict[tuple[str, str], _Reading] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def read_readers_csv(path: Path, measure: Measure) -> ReaderTable:
    """Read what readers stated.

    Parameters
    ----------
    path : Path
        CSV in UTF-8: ``slide_id`` or ``biopsy_id``; ``reader``; ``value``, ``category`` or both; ``comment`` if wanted.
        A row for each reading. An empty value or category is one that the reader did not give.
    measure : Measure
        What the values are; decides which are possible.

    Raises
    ------
    SettingsError
        With the faults on a line each: line, column and cure.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            header = list(reader.fieldnames or ())
            rows = [(reader.line_num, row) for row in reader]
    except FileNotFoundError as error:
        raise SettingsError(f"{path}: there is no such table of readers; check the path.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"{path}: the table of readers cannot be read; it must be a CSV file in UTF-8.") from error
    refuse(path, header_faults(header))
    kind = next(column for column in TARGET_COLUMNS if column in header)
    parsed = _Parsed()
    for line, row in rows:
        _take(parsed, line, row, kind, measure)
    if not rows:
        parsed.faults.append("there are no rows; add one for each reading")
    refuse(path, parsed.faults)
    return _table(path, kind, header, parsed.readings)


def refuse(path: Path, faults: Sequence[str]) -> None:
    """Raise one error that tells the faults, a sentence and a line each; none for no faults."""
    if faults:
        told = [f"{path}: {fault}." for fault in faults[:MOST_FAULTS]]
        if len(faults) > MOST_FAULTS:
            told.append(f"{path}: {len(faults) - MOST_FAULTS} further faults; mend these first.")
        raise SettingsError("\n".join(told))


def header_faults(header: Sequence[str]) -> list[str]:
    """Return what is wrong with a header, each with its cure."""
    if len(header) == 1 and ";" in header[0]:
        return ["the header has semicolons between its columns; save the file with commas"]
    faults = [f"the column {name!r} is unknown; use {', '.join(KNOWN_COLUMNS)}" for name in header
              if name not in KNOWN_COLUMNS]  # fmt: skip
    faults += [f"the column {name!r} stands there more than once; keep one" for name in dict.fromkeys(header)
               if header.count(name) > 1]  # fmt: skip
    if "reader" not in header:
        faults.append("the column reader is missing; add it, with the name or initials of who judged")
    for columns, most in ((TARGET_COLUMNS, 1), (STATED_COLUMNS, 2)):
        found = [column for column in columns if column in header]
        if not found:
            faults.append(f"the column {' or '.join(columns)} is missing; add it")
        elif len(found) > most:
            faults.append(f"the columns {' and '.join(found)} are both there; keep the one that readers judged")
    return faults


def parse_value(text: str, measure: Measure) -> float:
    """Return a figure that the measure allows, NaN for an empty text.

    Raises
    ------
    ValueError
        Says what is wrong and the cure, as a clause.
    """
    if not text:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is no number; write for example 12.5, or leave it empty where it was not judged")
    least, most = measure.allowed
    if not least <= value <= most:
        limits = f"from {least:g} to {most:g}" if math.isfinite(most) else f"from {least:g} on"
        raise ValueError(f"{text} is not possible for {measure}, which runs {limits}; correct it or name another "
                         "--measure")  # fmt: skip
    return value


def _take(parsed: _Parsed, line: int, row: Mapping[str | None, Any], kind: str, measure: Measure) -> None:
    """Add a row to the readings, or what is wrong with it to the faults."""
    if row.get(None):
        parsed.faults.append(f"line {line}: it has more cells than the header; remove the surplus or quote commas")
        return
    text = {column: (cell or "").strip() for column, cell in row.items() if column is not None}
    faults = [f"{column}: it is empty; fill it in" for column in (kind, "reader") if not text[column]]
    value = math.nan
    try:
        value = parse_value(text.get("value", ""), measure)
    except ValueError as fault:
        faults.append(f"value: {fault}")
    reading = _Reading(line, value, text.get("category", ""))
    first = parsed.readings.setdefault((text[kind], text["reader"]), reading)
    if not faults and first is not reading:
        faults.append(
            f"reader: {text['reader']!r} judged {text[kind]!r} already in line {first.line}; keep one of the two, or "
            "name the repeat as a reader of its own"
        )
    parsed.faults += [f"line {line}, {fault}" for fault in faults]


def _table(path: Path, kind: str, header: Sequence[str], readings: Mapping[tuple[str, str], _Reading]) -> ReaderTable:
    targets = tuple(dict.fromkeys(target for target, _ in readings))
    readers = tuple(dict.fromkeys(reader for _, reader in readings))
    values = np.full((len(targets), len(readers)), np.nan)
    words = [[""] * len(readers) for _ in targets]
    row_of, column_of = ({name: number for number, name in enumerate(names)} for names in (targets, readers))
    for (target, reader), reading in readings.items():
        values[row_of[target], column_of[reader]] = reading.value
        words[row_of[target]][column_of[reader]] = reading.category
    return ReaderTable(
        path,
        kind,
        targets,
        readers,
        values if "value" in header else None,
        np.array(words, np.str_) if "category" in header else None,
    )
