"""From a manifest's bytes to its header and lines, whichever program saved it."""

import csv
import io
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ihc_quant.errors import ManifestError

MAX_BYTES = 16 * 1024 * 1024
"""A manifest of ten thousand sections is smaller."""

DELIMITERS = (",", ";", "\t")
"""Excel separates by the semicolon where the comma is the decimal mark, and its "Unicode text" by tabs."""

COMMENT = "#"
"""Lines above the header that begin so are for people."""

NO_CSV = "the manifest cannot be read; it must be a CSV file in UTF-8"
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""First bytes of .xlsx (and .ods) and of .xls."""
INVISIBLE = "\ufeff\u200b\u2060"
"""Byte-order mark and widthless spaces, which come with text pasted from web pages."""


@dataclass(frozen=True, slots=True)
class ManifestTable:
    """What stands in a manifest, not yet judged.

    Attributes
    ----------
    header : tuple of str
        Names of the columns, in small letters; "" for a column without a name. Columns at the end that have neither
        name nor content are left out.
    lines : tuple of (int, tuple of str)
        Number of the line in the file, from 1, and its cells without the space around them; lines that are empty are
        left out. A line may have more or fewer cells than the header.
    """

    header: tuple[str, ...]
    lines: tuple[tuple[int, tuple[str, ...]], ...]


def read_table(path: Path, known: Collection[str]) -> ManifestTable:
    """Read a manifest's table.

    Parameters
    ----------
    path : Path
        CSV as spreadsheet programs save it: UTF-8 or UTF-16, with or without a byte-order mark, separated by comma,
        semicolon or tab.
    known : collection of str
        Names of columns, by which the separator is recognised.

    Raises
    ------
    ManifestError
        Where it is no such file.
    """
    text = _text_of(path)
    separator = max(DELIMITERS, key=lambda mark: _known_columns(text, mark, known))
    try:
        lines = _lines_of(text, separator)
    except csv.Error as error:
        raise ManifestError(f"{path}: {NO_CSV}, and its quotes must be closed ({error}).") from error
    if not lines:
        raise ManifestError(f"{path}: it is empty; start one with 'ihc-quant manifest init'.")
    header = [name.casefold() for name in lines[0][1]]
    while header and not header[-1] and not any(any(cells[len(header) - 1 :]) for _, cells in lines[1:]):
        header.pop()
    return ManifestTable(tuple(header), tuple(lines[1:]))


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ManifestError(f"{path}: there is no such manifest; check the path.") from error
    except OSError as error:
        raise ManifestError(f"{path}: {NO_CSV}.") from error
    if len(content) > MAX_BYTES:
        raise ManifestError(f"{path}: it is too large for a manifest (over {MAX_BYTES // 1024**2} MB); check the path.")
    if content.startswith(WORKBOOKS):
        raise ManifestError(f'{path}: it is a workbook; save it from the program as "CSV UTF-8".')
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ManifestError(f'{path}: line {line} is not in UTF-8; save the file as "CSV UTF-8".') from error


def _lines_of(text: str, separator: str, most: int | None = None) -> list[tuple[int, tuple[str, ...]]]:
    """Return the header and the lines under it, or the first ``most`` of them; comments above the header fall away."""
    # Strict: a quote that is never closed would swallow all lines after it into one cell.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    found: list[tuple[int, tuple[str, ...]]] = []
    begin = 1
    for row in reader:
        cells = tuple(cell.strip().strip(INVISIBLE).strip() for cell in row)
        is_comment = not found and cells and (cells[0].startswith(COMMENT) or cells[0].casefold().startswith("sep="))
        if any(cells) and not is_comment:
            found.append((begin, cells))
        begin = reader.line_num + 1
        if most is not None and len(found) == most:
            break
    return found


def _known_columns(text: str, separator: str, known: Collection[str]) -> int:
    """Return how many columns the header has with this separator."""
    try:
        lines = _lines_of(text, separator, most=1)
    except csv.Error:
        return -1
    return len({name.casefold() for name in lines[0][1]} & set(known)) if lines else 0
