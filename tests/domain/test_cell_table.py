"""Rows of the cell table: taking, joining, refusing."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihc_quant.domain.cell_table import COLUMNS, CellTable, scalar_columns


def random_table(rows: int, seed: int) -> CellTable:
    rng = np.random.default_rng(seed)
    scalars: dict[str, Any] = {
        column.name: (rng.random(rows) * 100).astype(column.dtype) for column in scalar_columns()
    }
    lengths = rng.integers(0, 6, rows)
    start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    outlines = rng.integers(-80, 80, (int(start[-1]), 2)).astype(np.int16)
    return CellTable(outline_xy=outlines, outline_start=start, **scalars)


def rows_of(table: CellTable) -> list[tuple[Any, ...]]:
    """Return each row as plain values, its outline as bytes."""
    outlines = [
        table.outline_xy[table.outline_start[i] : table.outline_start[i + 1]].tobytes() for i in range(len(table))
    ]
    return list(zip(*(getattr(table, c.name).tolist() for c in scalar_columns()), outlines, strict=True))


tables = st.builds(random_table, st.integers(0, 12), st.integers(0, 10**6))


@given(st.lists(tables, max_size=4))
@settings(deadline=None)
def test_joining_keeps_every_row_in_order(parts: list[CellTable]) -> None:
    joined = CellTable.concatenate(parts)
    assert rows_of(joined) == [row for part in parts for row in rows_of(part)]


@given(tables, tables, tables)
@settings(deadline=None)
def test_joining_is_associative_and_the_empty_table_adds_nothing(a: CellTable, b: CellTable, c: CellTable) -> None:
    left = CellTable.concatenate([CellTable.concatenate([a, b]), c])
    right = CellTable.concatenate([a, CellTable.concatenate([b, c])])
    assert rows_of(left) == rows_of(right)
    assert rows_of(CellTable.concatenate([CellTable.empty(), a])) == rows_of(a)


@given(tables, st.data())
@settings(deadline=None)
def test_taking_rows_takes_their_outlines(table: CellTable, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(table) - 1), max_size=20)) if len(table) else []
    taken = table.take(np.array(rows, np.intp))
    assert rows_of(taken) == [rows_of(table)[row] for row in rows]


@given(tables, st.data())
@settings(deadline=None)
def test_a_mask_and_its_complement_part_the_table(table: CellTable, data: st.DataObject) -> None:
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(table), max_size=len(table))), np.bool_)
    assert rows_of(table.take(mask)) == [row for row, kept in zip(rows_of(table), mask, strict=True) if kept]
    assert len(table.take(mask)) + len(table.take(~mask)) == len(table)


def replaced(table: CellTable, **changes: Any) -> CellTable:
    values = {
        name: getattr(table, name) for name in (*(c.name for c in scalar_columns()), "outline_xy", "outline_start")
    }
    return CellTable(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"area_um2": np.zeros(4, np.float32)}, "area_um2 must be float32 of length 3"),
        ({"area_um2": np.zeros(3, np.float64)}, "area_um2 must be float32"),
        ({"od_cell": np.array([0, np.nan, 0], np.float32)}, "od_cell holds values that are not finite"),
        ({"x_um": np.array([0, np.inf, 0])}, "x_um holds values that are not finite"),
        ({"outline_start": np.zeros(3, np.int64)}, "n \\+ 1 starts"),
        ({"outline_xy": np.zeros((50, 2), np.int16)}, "run from 0"),
    ],
)
def test_a_table_that_breaks_its_schema_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replaced(random_table(3, 7), **changes)


def test_every_measured_column_has_a_meaning() -> None:
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)
    assert all(column.meaning for column in COLUMNS)
