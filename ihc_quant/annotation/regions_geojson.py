"""Regions as GeoJSON that QuPath opens and that is read back as annotations.

QuPath counts pixels from the corner of the slide's bounds where a slide states bounds; regions count from the corner of
level-0 pixel (0, 0). The caller passes the bounds' corner as ``offset`` and it is subtracted here, as reading adds it.
"""

import json
from collections.abc import Sequence
from typing import Any

import shapely
from shapely.geometry import mapping

from ihc_quant.annotation.geojson_geometry import Area
from ihc_quant.annotation.region_classes import RegionKind
from ihc_quant.annotation.regions import Region
from ihc_quant.domain.geometry import Point

CLASS_OF_PROPOSED = "Infiltrate"
"""Class of a proposed infiltrate: the one of a drawn infiltrate, because naming the file as annotations confirms it."""

PROPOSED_OBJECT = "proposed by the software: correct or delete"
"""Name of its objects, which QuPath shows beside the class."""

COLOURS: dict[RegionKind, tuple[int, int, int]] = {
    RegionKind.ANALYSE: (0, 0, 0),
    RegionKind.EXCLUDE: (180, 180, 180),
    RegionKind.CONTROL_TISSUE: (120, 90, 60),
    RegionKind.EPIDERMIS: (230, 120, 200),
    RegionKind.DERMIS: (80, 140, 220),
    RegionKind.INTERFOLLICULAR: (90, 180, 120),
    RegionKind.INFILTRATE: (160, 60, 180),
    RegionKind.TUMOUR: (200, 0, 0),
}
"""Red, green, blue of the class in QuPath."""


def regions_to_geojson(regions: Sequence[Region], offset: Point) -> str:
    """Return regions as a GeoJSON FeatureCollection of QuPath annotations.

    A drawn region is one object with the class that the person wrote. Each piece of a proposed infiltrate is an object
    of its own, so that a wrong piece can be deleted and another corrected.

    Parameters
    ----------
    regions : sequence of Region
        In level-0 pixels, in the order in which they are written.
    offset : Point
        Corner of the slide's bounds in level-0 pixels; subtracted.
    """
    features = [feature for region in regions for feature in _features(region, offset)]
    lines = ",\n".join(json.dumps(feature, allow_nan=False, ensure_ascii=False) for feature in features)
    return f'{{"type":"FeatureCollection","features":[\n{lines}\n]}}\n'


def _features(region: Region, offset: Point) -> list[dict[str, Any]]:
    name = CLASS_OF_PROPOSED if region.proposed else region.class_name
    properties: dict[str, Any] = {
        "objectType": "annotation",
        "classification": {"name": name, "color": list(COLOURS[region.kind])},
        "isLocked": False,
    }
    areas: list[Area] = [region.area_l0]
    if region.proposed:
        properties["name"] = PROPOSED_OBJECT
        areas = list(shapely.get_parts(region.area_l0))
    moved = (shapely.transform(area, lambda places: places - [offset.x, offset.y]) for area in areas)
    return [{"type": "Feature", "geometry": mapping(area), "properties": properties} for area in moved]
