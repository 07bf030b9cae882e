"""The cell table on disk: ``cells.parquet``, one row group a tile, written while the slide is read.

The measured columns and their types come from ``ihc_quant.domain.cell_table``; the derived ones (the calls at the run's
settings) stand beside them, so that every reader finds one table.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ihc_quant.batch.arrow_columns import from_column, to_column
from ihc_quant.batch.outputs import final_place, writing
from ihc_quant.domain.cell_table import COLUMNS, DERIVED_COLUMNS, CellTable, scalar_columns
from ihc_quant.errors import OutputError

CELLS_FILE = "cells.parquet"
"""Name of the cell table in a slide's folder."""

METADATA_KEY = b"ihc_quant"
"""Key of the Parquet metadata under which slots, settings and digests stand, as JSON."""

Call = Callable[[CellTable], tuple[NDArray[np.bool_], NDArray[np.int8]]]
"""From cells to (positive, grade)."""


def arrow_schema(metadata: Mapping[str, Any]) -> pa.Schema:
    """Return the Arrow schema of the cell table, generated from the columns of the domain."""
    fields = [
        pa.field(
            column.name,
            pa.list_(pa.int16()) if column.dtype == "outline" else pa.from_numpy_dtype(np.dtype(column.dtype)),
            nullable=False,
            metadata={"unit": column.unit, "meaning": column.meaning},
        )
        for column in (*COLUMNS, *DERIVED_COLUMNS)
    ]
    text = json.dumps(metadata, sort_keys=True, ensure_ascii=False)
    return pa.schema(fields, metadata={METADATA_KEY: text.encode()})


def to_arrow(table: CellTable, positive: NDArray[np.bool_], grade: NDArray[np.int8], schema: pa.Schema) -> pa.Table:
    """Return cells and their calls as an Arrow table."""
    arrays: dict[str, pa.Array[Any]] = {
        column.name: to_column(getattr(table, column.name)) for column in scalar_columns()
    }
    values = to_column(table.outline_xy.reshape(-1))
    offsets = to_column((2 * table.outline_start).astype(np.int32))
    arrays["outline"] = pa.ListArray.from_arrays(cast("pa.Int32Array", offsets), values)
    arrays["positive"], arrays["grade"] = to_column(positive), to_column(grade)
    return pa.Table.from_arrays([arrays[name] for name in schema.names], schema=schema)


def from_arrow(arrow: pa.Table) -> CellTable:
    """Return the measured columns of an Arrow table."""
    scalars: dict[str, Any] = {
        column.name: from_column(arrow.column(column.name)).astype(column.dtype, copy=False)
        for column in scalar_columns()
    }
    outlines = cast("pa.ListArray[Any]", arrow.column("outline").combine_chunks())
    lengths = from_column(outlines.value_lengths()).astype(np.int64) // 2
    start = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    points = from_column(outlines.flatten()).reshape(-1, 2)
    return CellTable(outline_xy=points, outline_start=start, **scalars)


class CellWriter:
    """Writes ``cells.parquet`` tile by tile; a context manager.

    Parameters
    ----------
    path : Path
        File to write.
    call : callable
        Gives the derived columns.
    metadata : mapping
        JSON values that are kept in the file.

    Raises
    ------
    OutputError
        Where the file cannot be written, here or in any method.
    """

    def __init__(self, path: Path, call: Call, metadata: Mapping[str, Any]) -> None:
        self._path = path
        self._schema = arrow_schema(metadata)
        self._call = call
        with writing(path):
            self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            with writing(self._path):
                self._writer.close()
        else:
            # The body's own error is the one to tell; the file is dropped with its folder.
            with suppress(OSError):
                self._writer.close()

    def write(self, table: CellTable) -> None:
        """Add the cells of a tile as a row group; a tile without cells adds none."""
        if len(table):
            positive, grade = self._call(table)
            with writing(self._path):
                self._writer.write_table(to_arrow(table, positive, grade, self._schema), row_group_size=len(table))
            self.rows += len(table)


def read_metadata(path: Path) -> dict[str, Any]:
    """Return what a cell table says of itself.

    Raises
    ------
    OutputError
        Where the file is missing, damaged or no cell table.
    """
    with reading(path):
        schema = pq.read_schema(path)
        values = json.loads((schema.metadata or {})[METADATA_KEY])
        return dict(values)


def read_columns(path: Path, names: list[str]) -> dict[str, NDArray[Any]]:
    """Return some scalar columns of a cell table as arrays.

    Raises
    ------
    OutputError
        Where the file is missing, damaged or no cell table.
    """
    # One column after the other: all at once would stand in memory twice, as Arrow's and as ours.
    with reading(path), pq.ParquetFile(path) as file:
        return {name: from_column(file.read(columns=[name]).column(name)) for name in names}


def read_tiles(path: Path) -> Iterator[CellTable]:
    """Yield the cells of one row group after the other, so that memory does not grow with the slide.

    Raises
    ------
    OutputError
        Where the file is missing, damaged or no cell table.
    """
    with reading(path), pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            yield from_arrow(file.read_row_group(group))


def read_called_tiles(path: Path) -> Iterator[tuple[CellTable, NDArray[np.bool_], NDArray[np.int8]]]:
    """Yield the cells of one row group after the other with their calls: table, positive and grade.

    Raises
    ------
    OutputError
        Where the file is missing, damaged or no cell table.
    """
    with reading(path), pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            arrow = file.read_row_group(group)
            positive, grade = (from_column(arrow.column(name)) for name in ("positive", "grade"))
            yield from_arrow(arrow), positive, grade


def read_outlines(path: Path, rows: NDArray[np.int64]) -> list[NDArray[np.int16]]:
    """Return the outlines of some cells, each (m, 2) in eighths of a network pixel from the centroid.

    Parameters
    ----------
    path : Path
        A cell table.
    rows : ndarray, shape (k,), int64
        Ascending row numbers.

    Raises
    ------
    OutputError
        Where the file is missing, damaged or no cell table.
    """
    outlines: list[NDArray[np.int16]] = []
    first = 0
    with reading(path), pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            last = first + file.metadata.row_group(group).num_rows
            wanted = rows[(rows >= first) & (rows < last)] - first
            if len(wanted):
                column = file.read_row_group(group, columns=["outline"]).column("outline")
                outlines += [np.array(column[int(row)].as_py(), np.int16).reshape(-1, 2) for row in wanted]
            first = last
    return outlines


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Translate a failure to read results back into one sentence.

    Raises
    ------
    OutputError
        Where the body cannot make sense of the file.
    """
    try:
        yield
    except (OSError, pa.ArrowException, AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise OutputError(f"{final_place(path)}: these results cannot be read back; score the slide again.") from error
