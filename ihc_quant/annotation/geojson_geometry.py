"""One GeoJSON geometry to points or an area, mended where that is safe and refused where it is not."""

from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, Polygon

from ihc_quant.domain.geometry import Point

Area: TypeAlias = Polygon | MultiPolygon
"""What has an inside; shapely's, in pixels of whatever plane the name of the variable says."""

MAX_COORDINATE_PX = 1e7
"""No slide is this wide: at 0.05 µm per pixel it would measure half a metre."""

CLOSED = "a ring that was not closed was closed"
MENDED = "an outline that crosses itself was mended"

LINES = frozenset({"LineString", "MultiLineString"})


class BadGeometry(ValueError):
    """What is wrong with a geometry and how to mend it: a clause that follows the name of the feature."""


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """Points, or an area, or (for a line) neither.

    Attributes
    ----------
    kind : str
        GeoJSON's type.
    points : ndarray, shape (n, 2), float64
        Of a Point or MultiPoint; empty for anything else.
    area : Polygon or MultiPolygon or None
        Valid, not empty; None for points and lines.
    repairs : tuple of str
        What was mended.
    """

    kind: str
    points: NDArray[np.float64]
    area: Area | None
    repairs: tuple[str, ...] = ()


def parse_geometry(value: object, offset: Point) -> Geometry:
    """Return the geometry, moved by ``offset``.

    Raises
    ------
    BadGeometry
        Where it is missing, of an unknown kind, not finite, absurdly large, or without area.
    """
    if not isinstance(value, dict):
        raise BadGeometry("has no geometry; delete it and export again")
    kind, coordinates = value.get("type"), value.get("coordinates")
    if not isinstance(kind, str) or kind not in _PARSERS:
        raise BadGeometry(f"is of the kind {kind!r:.40}, which is not read; draw it as points or as an area")
    if not isinstance(coordinates, list):
        raise BadGeometry("has no coordinates; delete it and export again")
    return _PARSERS[kind](kind, coordinates, np.array([offset.x, offset.y]))


def _points(kind: str, coordinates: list[Any], shift: NDArray[np.float64]) -> Geometry:
    return Geometry(kind, _places([coordinates] if kind == "Point" else coordinates) + shift, None)


def _line(kind: str, coordinates: list[Any], shift: NDArray[np.float64]) -> Geometry:
    for part in [coordinates] if kind == "LineString" else coordinates:
        _places(part)
    return Geometry(kind, np.empty((0, 2)) + shift, None)


def _area(kind: str, coordinates: list[Any], shift: NDArray[np.float64]) -> Geometry:
    parts = [coordinates] if kind == "Polygon" else coordinates
    repairs: dict[str, None] = {}
    polygons = []
    for rings in parts:
        if not isinstance(rings, list) or not rings:
            raise BadGeometry("has an empty outline; delete it and export again")
        shell, *holes = (_ring(ring, repairs) + shift for ring in rings)
        polygons.append(Polygon(shell, holes))
    area = polygons[0] if len(polygons) == 1 else MultiPolygon(polygons)
    if not area.is_valid:
        # By structure: loops of one outline that overlap are united, as the hand meant them; holes stay holes.
        area = _areas_of(shapely.make_valid(area, method="structure", keep_collapsed=False))
        repairs[MENDED] = None
    if area.is_empty or not area.area > 0:
        raise BadGeometry("encloses no area; draw it again")
    return Geometry(kind, np.empty((0, 2)), area, tuple(repairs))


def _areas_of(geometry: Any) -> Area:
    """Return the polygons of whatever the mending gave."""
    if isinstance(geometry, Polygon | MultiPolygon):
        return geometry
    polygons = [part for part in shapely.get_parts(geometry) if isinstance(part, Polygon)]
    return MultiPolygon(polygons)


def _ring(ring: object, repairs: dict[str, None]) -> NDArray[np.float64]:
    """Return a closed ring, shape (n, 2); note where it had to be closed."""
    places = _places(ring)
    if not np.array_equal(places[0], places[-1]):
        places = np.vstack([places, places[:1]])
        repairs[CLOSED] = None
    if len(places) < 4:
        raise BadGeometry("has an outline of fewer than three corners; draw it again")
    return places


def _places(values: object) -> NDArray[np.float64]:
    """Return coordinates (n, 2), n at least 1; a third coordinate is dropped."""
    if not isinstance(values, list) or not values:
        raise BadGeometry("has no coordinates; delete it and export again")
    # Types first: NumPy would read "12" and true as numbers.
    if set(map(type, values)) != {list} or not set(map(len, values)) <= {2, 3}:
        raise BadGeometry("has coordinates that are no pairs of numbers; export the annotations again")
    if not set(map(type, chain.from_iterable(values))) <= {int, float}:
        raise BadGeometry("has coordinates that are no pairs of numbers; export the annotations again")
    try:
        places = np.array([place[:2] for place in values], np.float64)
    except OverflowError:
        places = np.full((1, 2), np.inf)
    if not (np.isfinite(places).all() and np.abs(places).max() <= MAX_COORDINATE_PX):
        raise BadGeometry(
            f"has coordinates beyond {MAX_COORDINATE_PX:.0e} px or none at all; they must be pixels of the slide, "
            "so export the annotations again"
        )
    return places


_PARSERS = {
    "Point": _points,
    "MultiPoint": _points,
    "LineString": _line,
    "MultiLineString": _line,
    "Polygon": _area,
    "MultiPolygon": _area,
}
