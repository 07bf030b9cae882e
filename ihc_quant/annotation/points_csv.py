"""Points that people set on images, as a plain table: image, x_px, y_px, label."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ihc_quant.annotation.faults import first_of
from ihc_quant.errors import SettingsError

POINT_COLUMNS: tuple[str, ...] = ("image", "x_px", "y_px", "label")
"""Header of a points table."""

LABELS: tuple[str, ...] = ("positive", "negative", "unknown")
"""What a label may be; unknown is a cell whose marker nobody judged."""

DELIMITERS = ",;\t"
"""What may lie between columns: a spreadsheet writes semicolons where numbers have decimal commas."""

MOST_LINES = 5
"""Faulty lines that a message names; of the others it tells the number."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPoints:
    """Cells that a person marked on one image.

    Attributes
    ----------
    xy_px : ndarray, shape (n, 2), float64
        x and y in pixels of that image.
    positive : ndarray, shape (n,), bool
        Whether the person called the cell positive.
    judged : ndarray, shape (n,), bool
        Whether the person called the cell at all.
    """

    xy_px: NDArray[np.float64]
    positive: NDArray[np.bool_]
    judged: NDArray[np.bool_]


def read_points_csv(path: Path) -> dict[str, LabelledPoints]:
    """Read a points table.

    Parameters
    ----------
    path : Path
        CSV with the header ``POINT_COLUMNS``, separated by one of ``DELIMITERS``; ``label`` is one of ``LABELS``. Upper
        case and blanks around a header or label do not matter, nor do other columns.

    Returns
    -------
    dict of str to LabelledPoints
        By image name.

    Raises
    ------
    SettingsError
        Where the table cannot be read; the message names the file, and the faulty lines or the columns that were found.
    """
    rows: dict[str, list[tuple[float, float, str]]] = {}
    faults: list[str] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            head = stream.readline()
            stream.seek(0)
            reader = csv.reader(stream, delimiter=max(DELIMITERS, key=head.count))
            places = _places(path, [name.strip() for name in next(reader, [])])
            for row in reader:
                if not any(cell.strip() for cell in row):
                    continue
                image, x, y, label = (row[place].strip() if place < len(row) else "" for place in places)
                x_px, y_px, label = _number(x), _number(y), label.casefold()
                if label not in LABELS:
                    faults.append(
                        f"line {reader.line_num}: the label must be positive, negative or unknown, not {label!r:.40}"
                    )
                elif x_px is None or y_px is None or not image:
                    faults.append(
                        f"line {reader.line_num}: image must be a name, x_px and y_px must be numbers with a decimal "
                        f"point, not {image!r:.40}, {x!r:.20} and {y!r:.20}"
                    )
                else:
                    rows.setdefault(image, []).append((x_px, y_px, label))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"{path}: the points table cannot be read; check that it is a UTF-8 CSV file.") from error
    if faults:
        raise SettingsError(f"{path}: {'; '.join(first_of(faults, MOST_LINES))}.")
    return {image: _points(of_image) for image, of_image in rows.items()}


def _places(path: Path, header: list[str]) -> list[int]:
    """Return where each of ``POINT_COLUMNS`` stands in a header."""
    names = [name.casefold() for name in header]
    missing = [name for name in POINT_COLUMNS if name not in names]
    if missing:
        found = ", ".join(map(repr, header)) or "none"
        raise SettingsError(
            f"{path}: a points table has the columns {', '.join(POINT_COLUMNS)}; found were {found[:200]}, so rename "
            f"columns to {', '.join(missing)} or add them."
        )
    if twice := [name for name in POINT_COLUMNS if names.count(name) > 1]:
        raise SettingsError(f"{path}: the column {twice[0]} stands there twice; remove or rename one.")
    return [names.index(name) for name in POINT_COLUMNS]


def _points(rows: list[tuple[float, float, str]]) -> LabelledPoints:
    return LabelledPoints(
        np.array([row[:2] for row in rows], np.float64),
        np.array([row[2] == "positive" for row in rows], np.bool_),
        np.array([row[2] != "unknown" for row in rows], np.bool_),
    )


def _number(text: str) -> float | None:
    """Return a finite number; None where the text is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
