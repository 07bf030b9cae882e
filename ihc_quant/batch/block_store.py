"""Cells and tissue of a slide by block, kept so that figures over several sections need no cell table."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ihc_quant.batch.arrow_columns import from_column, to_column
from ihc_quant.batch.cell_store import reading
from ihc_quant.batch.outputs import write_whole
from ihc_quant.scoring.blocks import BlockCounts

BLOCKS_FILE = "blocks.parquet"
"""Name of the block table in a slide's folder."""

GRADE_COLUMNS: tuple[str, ...] = ("negative", "one_plus", "two_plus", "three_plus")
"""Columns of the counts, grade 0 first."""

PARTS_KEY = b"parts"
"""Key of the Parquet metadata under which the number of parts stands; a part without blocks has no row."""


def save_blocks(folder: Path, parts: tuple[BlockCounts, ...]) -> None:
    """Write ``blocks.parquet``: one row a block and part.

    Columns: ``part`` (place in ``Scored.parts``, from 0), ``fragment``, ``row`` and ``col`` of the block, cells of each
    grade, and ``area_um2``, the part's tissue in the block.

    Raises
    ------
    OutputError
        Where it cannot be written.
    """
    if any(blocks.row is None or blocks.col is None for blocks in parts):
        raise ValueError("blocks are kept with their places")
    whole: dict[str, list[NDArray[Any]]] = {
        "part": [np.full(len(blocks), number, np.int32) for number, blocks in enumerate(parts)],
        "fragment": [blocks.fragment for blocks in parts],
        "row": [blocks.row for blocks in parts if blocks.row is not None],
        "col": [blocks.col for blocks in parts if blocks.col is not None],
    }
    columns: dict[str, NDArray[Any]] = {name: np.concatenate(pieces).astype(np.int32) for name, pieces in whole.items()}
    grades = np.concatenate([blocks.grades for blocks in parts])
    columns |= {name: grades[:, grade].astype(np.int64) for grade, name in enumerate(GRADE_COLUMNS)}
    columns["area_um2"] = np.concatenate([blocks.area_um2 for blocks in parts])
    table = pa.table({name: to_column(values) for name, values in columns.items()})
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata({PARTS_KEY: str(len(parts)).encode()}), sink, compression="zstd")
    write_whole(folder / BLOCKS_FILE, sink.getvalue().to_pybytes())


def read_blocks(folder: Path) -> tuple[BlockCounts, ...]:
    """Return the blocks of each part of a scored slide, in the order of ``Scored.parts``.

    Raises
    ------
    OutputError
        Where the file is missing or damaged.
    """
    path = folder / BLOCKS_FILE
    with reading(path), pq.ParquetFile(path) as file:
        table = file.read()
        count = int((table.schema.metadata or {})[PARTS_KEY])
        part, fragment, row, col = (
            from_column(table.column(name)).astype(np.int64) for name in ("part", "fragment", "row", "col")
        )
        grades = np.stack([from_column(table.column(name)).astype(np.int64) for name in GRADE_COLUMNS], axis=1)
        area_um2 = from_column(table.column("area_um2")).astype(np.float64)
        if len(part) and not 0 <= part.min() <= part.max() < count:
            raise ValueError("a block belongs to no part")
        chosen = [part == number for number in range(count)]
        return tuple(BlockCounts(fragment[of], grades[of], area_um2[of], row[of], col[of]) for of in chosen)
