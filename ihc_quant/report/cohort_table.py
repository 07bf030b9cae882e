"""The cohort as a table, one row a biopsy: CSV that a spreadsheet opens safely, Parquet, and a data dictionary.

Spreadsheets take a cell that begins with ``=``, ``+``, ``-`` or ``@`` as a formula, even in quotes. The rule here:

- A number is written as a number, a truth as ``true`` or ``false``, without quotes. ``-14`` stays ``-14``.
- Text is quoted. One apostrophe is put in front of it where its first character that is no blank is one of
  ``= + - @``, their full-width forms or an apostrophe, or where it begins with a tab or a line break. The same holds
  after every semicolon, tab and line break inside it, because a spreadsheet may split there. Taking away one
  apostrophe at these places gives the text back.
- What is missing is an empty cell without quotes, never 0.

Parquet needs none of this and holds the text as it is, but for what UTF-8 cannot hold.
"""

import math
import re
from collections.abc import Iterable, Sequence

import pyarrow as pa
from pyarrow import parquet

from ihc_quant.domain.provenance import RESEARCH_USE_ONLY
from ihc_quant.report.cohort_entry import Cell, CohortColumn, CohortEntry

_FORMULA = "=+\\-@＝＋－＠'"
_SPLITS = ";\\t\\r\\n"
_NEUTRALISE = re.compile(f"(?:\\A(?=[\\t\\r\\n])|(?:\\A|(?<=[{_SPLITS}]))(?=[ \\u00a0]*[{_FORMULA}]))")
_RESTORE = re.compile(f"(?:\\A|(?<=[{_SPLITS}]))'")

_ARROW = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "truth": pa.bool_()}

DICTIONARY_HEADER = ("column", "type", "unit", "meaning", "missing")


def cohort_rows(entries: Sequence[CohortEntry], columns: Sequence[CohortColumn]) -> list[list[Cell]]:
    """Return the cells of a cohort table, row by row.

    Raises
    ------
    ValueError
        Where a biopsy stands there twice, or a cell does not have its column's type or is not finite.
    """
    names = [entry.report.biopsy_id for entry in entries]
    if len(set(names)) < len(names):
        raise ValueError(f"a biopsy has one row, got {names}")
    return [[_checked(column.value(entry), column) for column in columns] for entry in entries]


def cohort_csv(entries: Sequence[CohortEntry], columns: Sequence[CohortColumn]) -> str:
    """Return the cohort as CSV, by the rule at the top of this module; the same entries give the same text.

    Raises
    ------
    ValueError
        As ``cohort_rows``.
    """
    return _csv([column.name for column in columns], cohort_rows(entries, columns))


def cohort_arrow(entries: Sequence[CohortEntry], columns: Sequence[CohortColumn]) -> pa.Table:
    """Return the cohort as an Arrow table whose fields carry unit, meaning and missing value as metadata.

    Raises
    ------
    ValueError
        As ``cohort_rows``.
    """
    rows = cohort_rows(entries, columns)
    schema = pa.schema(
        [
            pa.field(
                column.name,
                _ARROW[column.kind],
                metadata={"unit": column.unit, "meaning": column.meaning, "missing": column.missing},
            )
            for column in columns
        ],
        metadata={"notice": RESEARCH_USE_ONLY},
    )
    arrays = [pa.array([row[place] for row in rows], field.type) for place, field in enumerate(schema)]
    return pa.Table.from_arrays(arrays, schema=schema)


def cohort_parquet(entries: Sequence[CohortEntry], columns: Sequence[CohortColumn]) -> bytes:
    """Return the cohort as the bytes of a Parquet file; the same entries and pyarrow give the same bytes.

    Raises
    ------
    ValueError
        As ``cohort_rows``.
    """
    sink = pa.BufferOutputStream()
    parquet.write_table(cohort_arrow(entries, columns), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def dictionary_csv(columns: Sequence[CohortColumn]) -> str:
    """Return the data dictionary as CSV: for each column its type, unit, meaning, and when it is missing."""
    return _csv(
        DICTIONARY_HEADER,
        [[column.name, column.kind, column.unit or None, column.meaning, column.missing] for column in columns],
    )


def neutralise(text: str) -> str:
    """Return text that no spreadsheet takes as a formula.

    Examples
    --------
    >>> neutralise("=1+1"), neutralise("P-7"), neutralise("a;@SUM(A1)")
    ("'=1+1", 'P-7', "a;'@SUM(A1)")
    """
    return _NEUTRALISE.sub("'", text)


def restore(text: str) -> str:
    """Return the text that ``neutralise`` was given.

    Examples
    --------
    >>> restore("'=1+1"), restore("''s-Gravenhage")
    ('=1+1', "'s-Gravenhage")
    """
    return _RESTORE.sub("", text)


def _csv(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    lines = [header, *rows]
    return "".join(",".join(map(_csv_cell, line)) + "\n" for line in lines)


def _csv_cell(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "true" if cell else "false"
        case str():
            return '"' + neutralise(cell).replace('"', '""') + '"'
    return repr(cell)


def _checked(cell: Cell, column: CohortColumn) -> Cell:
    """Return a cell as its column's type has it."""
    match column.kind, cell:
        case _, None:
            if column.missing == "never":
                raise ValueError(f"{column.name} is never missing")
            return None
        case "text", str():
            # Half characters, as odd file names have, and NUL cannot stand in every table.
            return cell.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd") or None
        case "truth", bool():
            return cell
        case "integer", int() if not isinstance(cell, bool):
            return cell
        case "number", int() | float() if not isinstance(cell, bool) and math.isfinite(cell):
            return float(cell) + 0.0  # −0 becomes 0
    raise ValueError(f"{column.name} cannot be {cell!r}")
