"""Cells to GeoJSON, read back as any JSON reader would."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ihc_quant.annotation.cells_geojson import ROWS_PER_CHUNK, cells_to_geojson
from ihc_quant.domain.cell_table import CellTable, scalar_columns
from ihc_quant.domain.geometry import Mpp, Point

MPP = Mpp(0.25, 0.2)
ORIGIN = Point(0, 0)
SQUARE = np.array([[-40, -40], [40, -40], [40, 40], [-40, 40]], np.int16)
"""Ten network pixels wide and high."""


def painted_table(x_l0: NDArray[np.float64], y_l0: NDArray[np.float64]) -> CellTable:
    """Return cells of that many square nuclei."""
    n = len(x_l0)
    columns: dict[str, Any] = {column.name: np.full(n, 0.5).astype(column.dtype) for column in scalar_columns()}
    columns |= {"x_l0": x_l0, "y_l0": y_l0, "x_um": x_l0 * MPP.x, "y_um": y_l0 * MPP.y}
    return CellTable(outline_xy=np.tile(SQUARE, (n, 1)), outline_start=np.arange(n + 1, dtype=np.int64) * 4, **columns)


def written(table: CellTable, grade: NDArray[np.int8], offset: Point = ORIGIN) -> Any:
    return json.loads("".join(cells_to_geojson([(table, grade > 0, grade)], 0.5, MPP, offset, "CCR4")))


@given(
    st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1e5), st.integers(0, 3)), max_size=8),
    st.tuples(st.floats(0, 1e4), st.floats(0, 1e4)),
)
@settings(deadline=None)
def test_polygons_are_closed_and_stand_where_the_cells_are(
    cells: list[tuple[float, float, int]], corner: tuple[float, float]
) -> None:
    x, y = (np.array([cell[axis] for cell in cells], np.float64) for axis in (0, 1))
    grade = np.array([cell[2] for cell in cells], np.int8)
    document = written(painted_table(x, y), grade, Point(*corner))
    assert document["type"] == "FeatureCollection"
    assert len(document["features"]) == len(cells)
    for feature, (cell_x, cell_y, cell_grade) in zip(document["features"], cells, strict=True):
        (ring,) = feature["geometry"]["coordinates"]
        assert ring[0] == ring[-1]
        assert len(ring) == 5
        low, high = np.min(ring, axis=0), np.max(ring, axis=0)
        # Ten network pixels are 5 µm: 20 level-0 pixels along x and 25 along y.
        np.testing.assert_allclose(high - low, [20, 25], atol=0.02)
        np.testing.assert_allclose((high + low) / 2, [cell_x - corner[0], cell_y - corner[1]], atol=0.02)
        assert feature["properties"]["objectType"] == "detection"
        name = ("Negative", "1+", "2+", "3+")[cell_grade]
        assert feature["properties"]["classification"]["name"] == f"CCR4: {name}"
        assert feature["properties"]["classification"]["names"] == ["CCR4", name]
        assert feature["properties"]["measurements"]["od_cell"] == 0.5


def test_many_cells_come_in_pieces_of_bounded_size() -> None:
    n = 2 * ROWS_PER_CHUNK + 1
    table = painted_table(np.arange(n, dtype=np.float64), np.zeros(n))
    part = (table, np.ones(n, bool), np.ones(n, np.int8))
    pieces = list(cells_to_geojson([part], 0.5, MPP, ORIGIN, "CD4"))
    assert len(json.loads("".join(pieces))["features"]) == n
    assert max(len(piece) for piece in pieces) < 2_000_000


def test_parts_give_the_same_features_as_one_table() -> None:
    table = painted_table(np.arange(5, dtype=np.float64), np.zeros(5))
    grade = np.array([0, 1, 2, 3, 0], np.int8)
    rows = [np.arange(0, 2), np.arange(2, 2), np.arange(2, 5)]
    parts = [(table.take(row), grade[row] > 0, grade[row]) for row in rows]
    document = json.loads("".join(cells_to_geojson(parts, 0.5, MPP, ORIGIN, "CCR4")))
    assert document == written(table, grade)


def test_an_empty_table_is_an_empty_collection() -> None:
    assert written(CellTable.empty(), np.empty(0, np.int8))["features"] == []
    assert json.loads("".join(cells_to_geojson([], 0.5, MPP, ORIGIN, "CD4")))["features"] == []


def test_faulty_calls_are_refused() -> None:
    table = painted_table(np.zeros(2), np.zeros(2))
    for positive, grade, fault in (
        (np.ones(1, bool), np.ones(1, np.int8), "calls"),
        (np.zeros(2, bool), np.ones(2, np.int8), "positive exactly"),
    ):
        with pytest.raises(ValueError, match=fault):
            list(cells_to_geojson([(table, positive, grade)], 0.5, MPP, ORIGIN, "CD4"))
