"""The regions of a section: what a person drew, as areas in level-0 pixels that say what they are for."""

from collections import Counter
from dataclasses import dataclass

from ihc_quant.annotation.geojson import LAID_OUT, Drawing
from ihc_quant.annotation.geojson_geometry import Area
from ihc_quant.annotation.region_classes import SYNONYMS, RegionKind, region_kind
from ihc_quant.domain.geometry import Mpp
from ihc_quant.errors import SettingsError

MACHINE_MADE: frozenset[str] = frozenset({"detection", "cell"}) | LAID_OUT
"""Objects of QuPath that a machine found or laid out; they lie beside annotations where everything was exported."""


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """One drawn area.

    Attributes
    ----------
    kind : RegionKind
    area_l0 : Polygon or MultiPolygon
        In level-0 pixels; valid and not empty.
    class_name : str
        As the person wrote it.
    number : int
        Its place in the file, from 1.
    proposed : bool
        Whether software proposed it and nobody reviewed it.
    """

    kind: RegionKind
    area_l0: Area
    class_name: str
    number: int
    proposed: bool = False

    def area_um2(self, mpp: Mpp) -> float:
        """Return the area of the drawing in µm², whatever else covers it and wherever tissue lies."""
        return float(self.area_l0.area) * mpp.x * mpp.y


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """All regions of one section.

    Attributes
    ----------
    drawn : tuple of Region
        In the order of the file; empty where nothing was drawn, and then all tissue is analysed.
    left_aside : int
        Objects of the file that a machine made (detections, cells, tiles); they are no regions.
    repairs : tuple of str
        A sentence for each outline that was mended.
    """

    drawn: tuple[Region, ...]
    left_aside: int = 0
    repairs: tuple[str, ...] = ()

    def of_kind(self, kind: RegionKind) -> tuple[Region, ...]:
        """Return the regions of one kind."""
        return tuple(region for region in self.drawn if region.kind == kind)


NO_REGIONS = Regions(())
"""Of a section on which nothing was drawn."""


def regions_of(drawing: Drawing) -> Regions:
    """Return the regions that a drawing holds.

    Parameters
    ----------
    drawing : Drawing
        From ``read_geojson``, which moves what QuPath counts from the bounds' corner.

    Raises
    ------
    SettingsError
        Where it holds no region, a class that is not known, or a point or line where an area is needed. All unknown
        classes are named at once, with the names that are understood.
    """
    objects = [drawn for drawn in drawing.objects if drawn.object_type not in MACHINE_MADE]
    if not objects:
        raise SettingsError(f"{drawing.path}: it holds no drawn area; draw regions, or leave the annotations out.")
    kinds = [region_kind(drawn.class_name) for drawn in objects]
    unknown = Counter(drawn.class_name for drawn, kind in zip(objects, kinds, strict=True) if kind is None)
    if unknown:
        named = ", ".join(f"{name!r} ({count})" for name, count in sorted(unknown.items()))
        known = ", ".join(names[0] for names in SYNONYMS.values())
        raise SettingsError(
            f"{drawing.path}: these classes are no regions: {named}; set the class of each to one of {known}, or "
            "export without them."
        )
    regions = tuple(
        Region(kind, drawing.area_of(drawn), drawn.class_name, drawn.number)
        for drawn, kind in zip(objects, kinds, strict=True)
        if kind is not None
    )
    return Regions(regions, len(drawing.objects) - len(objects), drawing.repairs())
