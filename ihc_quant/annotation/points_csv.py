"""Points that people set on images, as a plain table: image, x_px, y_px, label."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ihc_quant.errors import SettingsError

POINT_COLUMNS: tuple[str, ...] = ("image", "x_px", "y_px", "label")
"""Header of a points table."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPoints:
    """Cells that a person marked on one image.

    Attributes
    ----------
    xy_px : ndarray, shape (n, 2), float64
        x and y in pixels of that image.
    positive : ndarray, shape (n,), bool
        Whether the person called the cell positive.
    """

    xy_px: NDArray[np.float64]
    positive: NDArray[np.bool_]


def read_points_csv(path: Path) -> dict[str, LabelledPoints]:
    """Read a points table.

    Parameters
    ----------
    path : Path
        CSV with the header ``POINT_COLUMNS``; ``label`` is ``positive`` or ``negative``.

    Returns
    -------
    dict of str to LabelledPoints
        By image name.

    Raises
    ------
    SettingsError
        Where the table cannot be read; the message names the file and the line.
    """
    rows: dict[str, list[tuple[float, float, bool]]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            if not set(POINT_COLUMNS) <= set(reader.fieldnames or ()):
                raise SettingsError(f"{path}: a points table has the columns {', '.join(POINT_COLUMNS)}.")
            for row in reader:
                if row["label"] not in ("positive", "negative"):
                    raise SettingsError(
                        f"{path}: line {reader.line_num}: the label must be positive or negative, not {row['label']!r}."
                    )
                x_px, y_px = _number(row["x_px"]), _number(row["y_px"])
                if x_px is None or y_px is None or not row["image"]:
                    raise SettingsError(
                        f"{path}: line {reader.line_num}: image must be a name, x_px and y_px must be numbers."
                    )
                rows.setdefault(row["image"], []).append((x_px, y_px, row["label"] == "positive"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"{path}: the points table cannot be read; check that it is a UTF-8 CSV file.") from error
    return {
        image: LabelledPoints(
            np.array([point[:2] for point in points], np.float64), np.array([point[2] for point in points], np.bool_)
        )
        for image, points in rows.items()
    }


def _number(text: str | None) -> float | None:
    """Return a finite number; None where the text is none, or the row was too short to have it."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
