"""Drawn regions: read from the annotation file once, kept in the slide's folder, read back from there ever after."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shapely.geometry import MultiPolygon, Polygon, mapping, shape

from ihc_quant.annotation.geojson import read_geojson
from ihc_quant.annotation.region_classes import RegionKind
from ihc_quant.annotation.regions import MACHINE_MADE, NO_REGIONS, Region, Regions, regions_of
from ihc_quant.batch.cell_store import reading
from ihc_quant.batch.outputs import write_whole
from ihc_quant.domain.geometry import Point
from ihc_quant.errors import SettingsError, SlideError

REGIONS_FILE = "regions.json"
"""Name of the kept regions in a slide's folder; it is not there where nothing was drawn."""

SCHEMA = "ihc_quant/regions/1"
"""Name and version of its layout."""

NAMED_FILE = Path("annotations")
"""How sentences in results call the annotation file, whose own name may be an accession number."""


@dataclass(frozen=True, slots=True, eq=False)
class KeptRegions:
    """The regions of a section and the file they come from.

    Attributes
    ----------
    regions : Regions
        In level-0 pixels; empty where nothing was drawn.
    file_sha256 : str or None
        Of the annotation file; None where there is none.
    """

    regions: Regions = NO_REGIONS
    file_sha256: str | None = None


def read_annotations(path: Path | None, slide: str, corner: Point) -> KeptRegions:
    """Read the regions that were drawn on a slide.

    Parameters
    ----------
    path : Path or None
        GeoJSON; None where nothing was drawn.
    slide : str
        The slide as the user named it, for messages.
    corner : Point
        Corner of the slide's bounds in level-0 pixels, from which QuPath counts.

    Raises
    ------
    SlideError
        Where the file cannot be used for regions; it concerns this slide alone.
    """
    if path is None:
        return KeptRegions()
    try:
        drawing = read_geojson(path, corner)
        regions = regions_of(drawing)
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except (SettingsError, OSError) as error:
        # The path stands in the message of the error only where a terminal shows it, not in a reason that is kept.
        reason = str(error).removesuffix(".").replace(f"{path}: ", "")
        raise SlideError(slide, f"the annotations cannot be used: {reason}") from error
    people = tuple(drawn for drawn in drawing.objects if drawn.object_type not in MACHINE_MADE)
    repairs = replace(drawing, path=NAMED_FILE, objects=people).repairs()
    return KeptRegions(replace(regions, repairs=repairs), digest)


def save_regions(folder: Path, kept: KeptRegions) -> None:
    """Write ``regions.json``; nothing where nothing was drawn.

    Raises
    ------
    OutputError
        Where it cannot be written.
    """
    if kept.file_sha256 is None:
        return
    values = {
        "schema": SCHEMA,
        "file_sha256": kept.file_sha256,
        "left_aside": kept.regions.left_aside,
        "repairs": list(kept.regions.repairs),
        "regions": [
            {
                "kind": region.kind.value,
                "class_name": region.class_name,
                "number": region.number,
                "proposed": region.proposed,
                "area_l0": mapping(region.area_l0),
            }
            for region in kept.regions.drawn
        ],
    }
    write_whole(folder / REGIONS_FILE, (json.dumps(values, allow_nan=False) + "\n").encode())


def load_regions(folder: Path) -> KeptRegions:
    """Return the kept regions of a slide, exactly; none where nothing was drawn.

    Raises
    ------
    OutputError
        Where they cannot be read back.
    """
    path = folder / REGIONS_FILE
    if not path.is_file():
        return KeptRegions()
    with reading(path):
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["schema"] != SCHEMA:
            raise ValueError("another version")
        drawn = tuple(_region(region) for region in values["regions"])
        repairs = tuple(str(sentence) for sentence in values["repairs"])
        return KeptRegions(Regions(drawn, int(values["left_aside"]), repairs), str(values["file_sha256"]))


def _region(values: dict[str, Any]) -> Region:
    area = shape(values["area_l0"])
    if not isinstance(area, Polygon | MultiPolygon) or area.is_empty or not area.is_valid:
        raise ValueError("a region has an area")
    return Region(
        RegionKind(values["kind"]), area, str(values["class_name"]), int(values["number"]), bool(values["proposed"])
    )
