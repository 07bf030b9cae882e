"""Cells as GeoJSON that QuPath opens in the right place.

QuPath counts pixels from the corner of the slide's bounds where a slide states bounds (OpenSlide's
``openslide.bounds-x`` and ``-y``); the cell table counts from the corner of level-0 pixel (0, 0). The caller passes the
bounds' corner as ``offset`` and it is subtracted here; for slides without bounds it is (0, 0).
"""

import json
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.cell_table import OUTLINE_STEPS_PER_PX, CellTable
from ihc_quant.domain.geometry import Mpp, Point

GRADE_NAMES: tuple[str, ...] = ("Negative", "1+", "2+", "3+")
"""QuPath's names of the intensity classes; it computes positive percentages and H-scores from them."""

GRADE_COLOURS: tuple[tuple[int, int, int], ...] = ((112, 112, 225), (255, 215, 0), (242, 119, 40), (179, 16, 16))
"""Red, green, blue; near to QuPath's own colours of these classes."""

MEASUREMENTS: tuple[str, ...] = (
    "area_um2",
    "p_positive",
    "od_nucleus",
    "od_ring",
    "od_cell",
    "od_nucleus_p90",
    "od_ring_p90",
    "od_cell_p90",
    "membrane_completeness",
    "fragment",
)
"""Columns that QuPath shows in its measurement table, to three decimals, which is finer than the measurement."""

ROWS_PER_CHUNK = 1000
"""Cells in one piece of text, about 1 MB."""


CalledCells = tuple[CellTable, NDArray[np.bool_], NDArray[np.int8]]
"""Measured cells with their calls: positive (n,) and grade (n,), 0 negative, 1 to 3."""


def cells_to_geojson(
    parts: Iterable[CalledCells],
    grid_pixel_um: float,
    mpp: Mpp,
    offset: Point,
    marker: str,
) -> Iterator[str]:
    """Write cells as a GeoJSON FeatureCollection, piece by piece, in bounded memory.

    Each cell is a QuPath detection: a polygon around its nucleus in level-0 pixels, the class ``"<marker>: <grade>"``,
    and its measurements, named as in the cell table.

    Parameters
    ----------
    parts : iterable of CalledCells
        Cells with their calls, for example tile by tile; only one part is held at a time.
    grid_pixel_um : float
        Pixel of the network's grid, µm, in eighths of which the outlines are counted.
    mpp : Mpp
        Of the slide.
    offset : Point
        Corner of the slide's bounds in level-0 pixels; subtracted.
    marker : str
        First part of the class.

    Yields
    ------
    str
        Pieces which together are one JSON document.

    Raises
    ------
    ValueError
        Where calls and cells differ in number, or calls contradict grades.
    """
    scale = np.array([grid_pixel_um / mpp.x, grid_pixel_um / mpp.y]) / OUTLINE_STEPS_PER_PX
    # QuPath states a class that is derived from another by its names since 0.4, and by one name before.
    classes = [
        _text({"name": f"{marker}: {name}", "names": [marker, name], "color": list(colour)})
        for name, colour in zip(GRADE_NAMES, GRADE_COLOURS, strict=True)
    ]
    yield '{"type":"FeatureCollection","features":['
    separator = "\n"
    for table, positive, grade in parts:
        _require_calls(table, positive, grade)
        for begin in range(0, len(table), ROWS_PER_CHUNK):
            rows = np.arange(begin, min(begin + ROWS_PER_CHUNK, len(table)))
            yield separator + ",\n".join(_features(table.take(rows), grade[rows], classes, scale, offset))
            separator = ",\n"
    yield "\n]}\n"


def _require_calls(table: CellTable, positive: NDArray[np.bool_], grade: NDArray[np.int8]) -> None:
    if len(positive) != len(table) or len(grade) != len(table):
        raise ValueError(f"{len(table)} cells cannot carry {len(positive)} calls and {len(grade)} grades")
    if not np.array_equal(positive, grade > 0):
        raise ValueError("a cell is positive exactly where its grade is above 0")


def _features(
    table: CellTable, grade: NDArray[np.int8], classes: list[str], scale: NDArray[np.float64], offset: Point
) -> Iterator[str]:
    """Yield the cells of a short table as GeoJSON features."""
    centre = np.stack([table.x_l0 - offset.x, table.y_l0 - offset.y], axis=1)
    corners = np.repeat(centre, np.diff(table.outline_start), axis=0) + table.outline_xy * scale
    # A hundredth of a level-0 pixel is finer than the outline itself and keeps the text short.
    places = np.round(corners, 2).tolist()
    start = table.outline_start.tolist()
    measured = zip(
        *(np.round(getattr(table, name).astype(np.float64), 3).tolist() for name in MEASUREMENTS), strict=True
    )
    for row, (values, level) in enumerate(zip(measured, grade.tolist(), strict=True)):
        ring = places[start[row] : start[row + 1]]
        ring.append(ring[0])
        yield (
            f'{{"type":"Feature","geometry":{{"type":"Polygon","coordinates":[{_text(ring)}]}},"properties":'
            f'{{"objectType":"detection","classification":{classes[level]},'
            f'"measurements":{_text(dict(zip(MEASUREMENTS, values, strict=True)))}}}}}'
        )


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
