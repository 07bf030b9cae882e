"""What people drew, read from GeoJSON as QuPath exports it.

QuPath counts pixels from the corner of the slide's bounds where a slide states bounds (OpenSlide's
``openslide.bounds-x`` and ``-y``), everything here from the corner of level-0 pixel (0, 0). The caller passes the
bounds' corner as ``offset`` and it is added; for slides without bounds it is (0, 0).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ihc_quant.annotation.geojson_file import read_features
from ihc_quant.annotation.geojson_geometry import LINES, Area, BadGeometry, Geometry, parse_geometry
from ihc_quant.domain.geometry import Point
from ihc_quant.errors import SettingsError

UNCLASSIFIED = "Unclassified"
"""Class of an object that has neither class nor name; QuPath shows it so."""

OLD_OBJECT_TYPES: Mapping[str, str] = {
    "PathAnnotationObject": "annotation",
    "PathDetectionObject": "detection",
    "PathCellObject": "cell",
    "PathTileObject": "tile",
    "PathRootObject": "root",
    "TMACoreObject": "tma_core",
}
"""Object types as QuPath 0.2 wrote them, in ``id``."""


SAME_TYPES: Mapping[str, str] = {"tmaCore": "tma_core", **OLD_OBJECT_TYPES}
"""Other names of object types: one that was spelled anew, and those of 0.2."""

LAID_OUT: frozenset[str] = frozenset({"tile", "tma_core"})
"""Objects that QuPath laid over a slide; they lie beside annotations where everything was exported."""

CLASSES_DEEP = 20
"""Classes that a class is derived from; QuPath's interface makes two or three."""


@dataclass(frozen=True, slots=True, eq=False)
class DrawnObject:
    """One thing that a person drew, or that a person let stand.

    Attributes
    ----------
    number : int
        Its place in the file, from 1; objects inside an object come after it.
    object_type : str
        QuPath's: ``"annotation"``, ``"detection"``, ``"cell"`` and others; ``"annotation"`` where none is stated.
    class_name : str
        QuPath's class, derived classes joined as in ``"Tumor: Positive"``; without one the object's name; without that
        ``UNCLASSIFIED``.
    geometry_kind : str
        GeoJSON's type.
    points_l0 : ndarray, shape (n, 2), float64
        x, y of a point or several in level-0 pixels; empty for anything else.
    area_l0 : Polygon or MultiPolygon or None
        In level-0 pixels; valid and not empty. None for points and lines.
    nucleus_l0 : Polygon or MultiPolygon or None
        Outline of the nucleus of a QuPath cell, where it states one; ``area_l0`` is then the whole cell.
    repairs : tuple of str
        What was mended in it.
    """

    number: int
    object_type: str
    class_name: str
    geometry_kind: str
    points_l0: NDArray[np.float64]
    area_l0: Area | None
    nucleus_l0: Area | None = None
    repairs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """The objects of one file.

    Attributes
    ----------
    path : Path
        For messages.
    objects : tuple of DrawnObject
        In the order of the file.
    """

    path: Path
    objects: tuple[DrawnObject, ...]

    def area_of(self, drawn: DrawnObject) -> Area:
        """Return the area of an object that must have one.

        Raises
        ------
        SettingsError
            Where it is a point or a line.
        """
        if drawn.area_l0 is None:
            what = "a line" if drawn.geometry_kind in LINES else "a point"
            raise SettingsError(
                f"{self.named(drawn)} is {what}, where an area is needed; "
                "draw it as a rectangle, polygon or with the brush."
            )
        return drawn.area_l0

    def named(self, drawn: DrawnObject) -> str:
        """Return how a message calls an object: file, number and class."""
        return f"{self.path}: feature {drawn.number} ({drawn.class_name})"

    def repairs(self) -> tuple[str, ...]:
        """Return a sentence for each object in which something was mended."""
        return tuple(f"{self.named(drawn)}: {'; '.join(drawn.repairs)}." for drawn in self.objects if drawn.repairs)


def read_geojson(path: Path, offset: Point) -> Drawing:
    """Read what was drawn on one slide or picture.

    Parameters
    ----------
    path : Path
        GeoJSON: a FeatureCollection, an array of features or one feature; ``.gz`` where it is packed.
    offset : Point
        Corner of the slide's bounds in level-0 pixels; added.

    Returns
    -------
    Drawing
        May hold no object.

    Raises
    ------
    SettingsError
        Where the file or one of its features cannot be used: names file, feature and cure.
    """
    features = read_features(path)
    objects = (_drawn(path, number, feature, offset) for number, feature in enumerate(features, start=1))
    return Drawing(path, tuple(drawn for drawn in objects if drawn is not None))


def _drawn(path: Path, number: int, feature: Mapping[str, Any], offset: Point) -> DrawnObject | None:
    """Return an object; None for the root of a hierarchy, which nobody drew."""
    try:
        properties = feature.get("properties")
        if properties is None:
            properties = {}
        if not isinstance(properties, dict):
            raise BadGeometry("has properties that are none; export the annotations again")
        object_type = _object_type(feature, properties)
        if object_type == "root":
            return None
        geometry = parse_geometry(feature.get("geometry"), offset)
        nucleus = _nucleus(feature, offset)
        class_name = _class_name(properties)
    except BadGeometry as fault:
        raise SettingsError(f"{path}: feature {number} {fault}.") from fault
    return DrawnObject(
        number,
        object_type,
        class_name,
        geometry.kind,
        geometry.points,
        geometry.area,
        nucleus.area if nucleus else None,
        tuple(dict.fromkeys((*geometry.repairs, *(nucleus.repairs if nucleus else ())))),
    )


def _nucleus(feature: Mapping[str, Any], offset: Point) -> Geometry | None:
    value = feature.get("nucleusGeometry")
    if value is None:
        return None
    nucleus = parse_geometry(value, offset)
    if nucleus.area is None:
        raise BadGeometry("has a nucleus without area; delete the cell and export again")
    return nucleus


def _object_type(feature: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    """Return the type, which QuPath has written in three ways over the years and reads in a fourth.

    ``objectType`` since 0.4, ``object_type`` in 0.3, the name of a class in ``id`` in 0.2; where neither is there, the
    property ``type``, if it names one. QuPath takes what names none for an annotation.
    """
    for value in (properties.get("objectType"), properties.get("object_type")):
        if isinstance(value, str) and value:
            return SAME_TYPES.get(value, value)
    alias = properties.get("type")
    if isinstance(alias, str) and (alias in SAME_TYPES or alias in OLD_OBJECT_TYPES.values()):
        return SAME_TYPES.get(alias, alias)
    return OLD_OBJECT_TYPES.get(str(feature.get("id")), "annotation")


def _derived_name(classification: Mapping[str, Any]) -> object:
    """Return the name of a class; up to 0.3 that of a derived one does not hold its parents', which lie inside it."""
    name, parent = classification.get("name"), classification.get("parentClass")
    parents: list[str] = []
    while isinstance(parent, dict) and len(parents) < CLASSES_DEEP:
        above = parent.get("name")
        if isinstance(above, str) and above.strip():
            parents.insert(0, above.strip())
        parent = parent.get("parentClass")
    return ": ".join([*parents, name.strip()]) if parents and isinstance(name, str) else name


def _class_name(properties: Mapping[str, Any]) -> str:
    """Return the class: QuPath's ``name`` with its parents' or, since 0.4, ``names``; else the object's name."""
    classification = properties.get("classification")
    if isinstance(classification, dict):
        name, names = _derived_name(classification), classification.get("names")
        if isinstance(names, list) and names and all(isinstance(part, str) for part in names):
            name = ": ".join(part.strip() for part in names)
    else:
        name = classification
    for candidate in (name, properties.get("name")):
        if candidate is not None and not isinstance(candidate, str):
            raise BadGeometry("has a class that is no text; export the annotations again")
        if candidate and candidate.strip():
            return candidate.strip()
    return UNCLASSIFIED
