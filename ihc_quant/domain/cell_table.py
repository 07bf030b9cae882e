"""The cell table: one row a cell, measurements only. The one expensive result; everything else is derived from it.

The schema is written here once. The Parquet file, the data dictionary and the empty table all follow ``COLUMNS``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

OUTLINE_STEPS_PER_PX = 8
"""Outline offsets are counted in eighths of a network pixel."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the cell table.

    Attributes
    ----------
    name, dtype, unit, meaning : str
        ``dtype`` is a NumPy name; ``"outline"`` stands for a list of int16.
    per_chromogen : bool
        Whether a second chromogen adds the column again with the suffix ``_2``.
    """

    name: str
    dtype: str
    unit: str
    meaning: str
    per_chromogen: bool = False


COLUMNS: tuple[Column, ...] = (
    Column("x_um", "float64", "µm", "centroid, origin at the corner of level-0 pixel (0, 0), OpenSlide's plane"),
    Column("y_um", "float64", "µm", "centroid, as x_um"),
    Column("x_l0", "float64", "level-0 px", "centroid in level-0 pixels, the same plane"),
    Column("y_l0", "float64", "level-0 px", "centroid, as x_l0"),
    Column("area_um2", "float32", "µm²", "area of the nucleus"),
    Column("p_positive", "float32", "1", "the network's probability that the cell carries the marker", True),
    Column("od_nucleus", "float32", "OD, log10", "mean chromogen density over the nucleus", True),
    Column("od_ring", "float32", "OD, log10", "mean over the 2 µm ring that no neighbour owns", True),
    Column("od_cell", "float32", "OD, log10", "mean over nucleus and ring", True),
    Column("od_nucleus_p90", "float32", "OD, log10", "90th percentile over the nucleus", True),
    Column("od_ring_p90", "float32", "OD, log10", "90th percentile over the ring", True),
    Column("od_cell_p90", "float32", "OD, log10", "90th percentile over nucleus and ring", True),
    Column("membrane_completeness", "float32", "1", "share of 16 sectors of the membrane band above OD 0.2", True),
    Column("outline", "outline", "1/8 network px", "x, y, x, y … of the nucleus, offsets from the centroid"),
    Column("tile", "int32", "", "index of the tile that owns the cell"),
    Column("fragment", "int16", "", "number of the tissue fragment, from 1"),
)
"""The measured columns, in the order of the file."""

DERIVED_COLUMNS: tuple[Column, ...] = (
    Column("positive", "bool", "", "call at the run's settings", True),
    Column("grade", "int8", "", "0 negative, 1 = 1+, 2 = 2+, 3 = 3+ at the run's settings", True),
)
"""Columns that ``rescore`` writes again."""


@dataclass(frozen=True, slots=True, eq=False)
class CellTable:
    """Measured columns of ``n`` cells; equal lengths, finite values. Columns are described in ``COLUMNS``.

    Attributes
    ----------
    outline_xy : ndarray, shape (m, 2), int16
        Outlines of all cells one after the other, in eighths of a network pixel from the cell's centroid.
    outline_start : ndarray, shape (n + 1,), int64
        Outline of cell i is ``outline_xy[outline_start[i]:outline_start[i + 1]]``.
    """

    x_um: NDArray[np.float64]
    y_um: NDArray[np.float64]
    x_l0: NDArray[np.float64]
    y_l0: NDArray[np.float64]
    area_um2: NDArray[np.float32]
    p_positive: NDArray[np.float32]
    od_nucleus: NDArray[np.float32]
    od_ring: NDArray[np.float32]
    od_cell: NDArray[np.float32]
    od_nucleus_p90: NDArray[np.float32]
    od_ring_p90: NDArray[np.float32]
    od_cell_p90: NDArray[np.float32]
    membrane_completeness: NDArray[np.float32]
    outline_xy: NDArray[np.int16]
    outline_start: NDArray[np.int64]
    tile: NDArray[np.int32]
    fragment: NDArray[np.int16]

    def __post_init__(self) -> None:
        n = len(self.x_um)
        for column in scalar_columns():
            values = getattr(self, column.name)
            if values.shape != (n,) or values.dtype != np.dtype(column.dtype):
                raise ValueError(
                    f"column {column.name} must be {column.dtype} of length {n}, got {values.dtype} {values.shape}"
                )
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise ValueError(f"column {column.name} holds values that are not finite")
        if self.outline_start.shape != (n + 1,) or self.outline_xy.ndim != 2 or self.outline_xy.shape[1] != 2:
            raise ValueError("outlines are (m, 2) points with n + 1 starts")
        if self.outline_start[0] != 0 or self.outline_start[-1] != len(self.outline_xy):
            raise ValueError("outline starts run from 0 to the number of points")

    def __len__(self) -> int:
        return len(self.x_um)

    @classmethod
    def empty(cls) -> "CellTable":
        """Return a table without rows."""
        scalars: dict[str, Any] = {column.name: np.empty(0, column.dtype) for column in scalar_columns()}
        return cls(outline_xy=np.empty((0, 2), np.int16), outline_start=np.zeros(1, np.int64), **scalars)

    @classmethod
    def concatenate(cls, tables: "Sequence[CellTable]") -> "CellTable":
        """Return the rows of all tables, in order."""
        if not tables:
            return cls.empty()
        scalars: dict[str, Any] = {
            column.name: np.concatenate([getattr(table, column.name) for table in tables])
            for column in scalar_columns()
        }
        starts = [np.zeros(1, np.int64)]
        points = 0
        for table in tables:
            starts.append(table.outline_start[1:] + points)
            points += len(table.outline_xy)
        return cls(
            outline_xy=np.concatenate([table.outline_xy for table in tables]),
            outline_start=np.concatenate(starts),
            **scalars,
        )

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> "CellTable":
        """Return the chosen rows (indices or a mask), in the order given."""
        chosen = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows.astype(np.intp)
        scalars: dict[str, Any] = {column.name: getattr(self, column.name)[chosen] for column in scalar_columns()}
        lengths = np.diff(self.outline_start)[chosen]
        start = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
        within = np.arange(start[-1]) - np.repeat(start[:-1], lengths)
        points = np.repeat(self.outline_start[:-1][chosen], lengths) + within
        return CellTable(outline_xy=self.outline_xy[points], outline_start=start, **scalars)


def scalar_columns() -> tuple[Column, ...]:
    """Return the measured columns that hold one number a cell."""
    return tuple(column for column in COLUMNS if column.dtype != "outline")


assert {column.name for column in scalar_columns()} <= {field.name for field in fields(CellTable)}
