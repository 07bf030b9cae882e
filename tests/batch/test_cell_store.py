"""The cell table on disk: what is written is read back, and damage is told in one sentence."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ihc_quant.batch.cell_store import (
    CellWriter,
    arrow_schema,
    read_called_tiles,
    read_columns,
    read_metadata,
    read_outlines,
    read_tiles,
)
from ihc_quant.domain.cell_table import COLUMNS, DERIVED_COLUMNS, CellTable, scalar_columns
from ihc_quant.errors import OutputError
from ihc_quant.scoring.calls import CallRule, call_cells

RULE = CallRule()


def call(table: CellTable) -> tuple[NDArray[np.bool_], NDArray[np.int8]]:
    return call_cells(table, RULE)


@st.composite
def cell_tables(draw: st.DrawFn, tile: int = 0) -> CellTable:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(0, 30))
    start = np.concatenate([[0], np.cumsum(rng.integers(0, 12, n))]).astype(np.int64)
    scalars: dict[str, Any] = {
        column.name: rng.uniform(0, 1000, n).astype(column.dtype) for column in scalar_columns()
    } | {"tile": np.full(n, tile, np.int32), "p_positive": rng.random(n).astype(np.float32)}
    points = rng.integers(-(2**15), 2**15, (int(start[-1]), 2)).astype(np.int16)
    return CellTable(outline_xy=points, outline_start=start, **scalars)


def assert_equal(one: CellTable, other: CellTable) -> None:
    for name in (*(column.name for column in scalar_columns()), "outline_xy", "outline_start"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
        assert getattr(one, name).dtype == getattr(other, name).dtype


@settings(max_examples=30, deadline=None)
@given(st.lists(cell_tables(), max_size=4))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, tables: list[CellTable]) -> None:
    path = tmp_path_factory.mktemp("cells") / "cells.parquet"
    metadata = {"slots": {"1": {"marker": "CCR4"}}, "µ": [1, None]}
    with CellWriter(path, call, metadata) as writer:
        for table in tables:
            writer.write(table)
    filled = [table for table in tables if len(table)]
    everything = CellTable.concatenate(tables)
    assert writer.rows == len(everything)
    assert pq.ParquetFile(path).num_row_groups == len(filled)
    for read, (called, positive, grade), table in zip(read_tiles(path), read_called_tiles(path), filled, strict=True):
        assert_equal(read, table)
        assert_equal(called, table)
        np.testing.assert_array_equal(positive, call(table)[0])
        np.testing.assert_array_equal(grade, call(table)[1])
    assert read_metadata(path) == metadata
    columns = read_columns(path, ["x_um", "grade", "fragment"])
    np.testing.assert_array_equal(columns["x_um"], everything.x_um)
    rows = np.arange(0, len(everything), 3)
    for row, outline in zip(rows, read_outlines(path, rows), strict=True):
        first, last = everything.outline_start[row : row + 2]
        np.testing.assert_array_equal(outline, everything.outline_xy[first:last])


def test_schema_follows_the_domain() -> None:
    schema = arrow_schema({})
    assert schema.names == [column.name for column in (*COLUMNS, *DERIVED_COLUMNS)]
    for column in (*COLUMNS, *DERIVED_COLUMNS):
        entry = schema.field(column.name)
        assert not entry.nullable
        assert entry.metadata == {b"unit": column.unit.encode(), b"meaning": column.meaning.encode()}
        if column.dtype != "outline":
            assert entry.type == pa.from_numpy_dtype(np.dtype(column.dtype))


def _written(path: Path) -> bytes:
    with CellWriter(path, call, {}) as writer:
        writer.write(CellTable.empty())
    return path.read_bytes()


@pytest.mark.parametrize("damage", ["missing", "folder", "empty", "text", "cut", "flipped", "other table"])
def test_damage_is_one_sentence(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "cells.parquet"
    whole = _written(path)
    path.unlink()
    match damage:
        case "folder":
            path.mkdir()
        case "empty":
            path.touch()
        case "text":
            path.write_text("x,y\n1,2\n")
        case "cut":
            path.write_bytes(whole[: len(whole) // 2])
        case "flipped":
            path.write_bytes(bytes(byte ^ 0x55 for byte in whole))
        case "other table":
            pq.write_table(pa.table({"a": [1, 2]}), path)
    for read in (
        read_metadata,
        lambda path: read_columns(path, ["x_um"]),
        lambda path: list(read_tiles(path)),
        lambda path: list(read_called_tiles(path)),
        lambda path: read_outlines(path, np.array([0])),
    ):
        with pytest.raises(OutputError, match=r"cells\.parquet: these results cannot be read back; score .* again\.$"):
            read(path)


def test_error_of_the_body_wins_over_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = CellWriter(tmp_path / "cells.parquet", call, {})
    inner = writer._writer

    def full() -> None:
        pq.ParquetWriter.close(inner)
        raise OSError(28, "full")

    def fail() -> None:
        with writer:
            raise ZeroDivisionError

    monkeypatch.setattr(inner, "close", full)
    with pytest.raises(ZeroDivisionError):
        fail()
