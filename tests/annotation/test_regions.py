"""Drawings become regions by the names of their classes; what is none is refused in a sentence."""

import json
from pathlib import Path
from typing import Any

import pytest
from shapely.geometry import box

from ihc_quant.annotation.geojson import read_geojson
from ihc_quant.annotation.region_classes import KIND_OF_NAME, SYNONYMS, RegionKind, region_kind
from ihc_quant.annotation.regions import NO_REGIONS, Regions, regions_of
from ihc_quant.domain.geometry import Mpp, Point
from ihc_quant.errors import SettingsError

SQUARE = [[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]]


def feature(name: str | None, kind: str = "Polygon", coordinates: object = SQUARE, what: str = "annotation") -> Any:
    properties: dict[str, object] = {"objectType": what}
    if name is not None:
        properties["classification"] = {"name": name}
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


def drawn(tmp_path: Path, *features: Any, offset: Point = Point(0, 0)) -> Regions:  # noqa: B008 - a frozen value
    path = tmp_path / "drawn.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
    return regions_of(read_geojson(path, offset))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Region*", RegionKind.ANALYSE),
        ("Ignore*", RegionKind.EXCLUDE),
        ("Necrosis", RegionKind.EXCLUDE),
        ("Tumor", RegionKind.TUMOUR),
        ("TUMOUR", RegionKind.TUMOUR),
        ("Immune cells", RegionKind.INFILTRATE),
        ("control_tissue", RegionKind.CONTROL_TISSUE),
        ("On-slide control", RegionKind.CONTROL_TISSUE),
        ("T-zone", RegionKind.INTERFOLLICULAR),
        (" epidermis ", RegionKind.EPIDERMIS),
        ("Tumor: Positive", None),
        ("Unclassified", None),
        ("", None),
    ],
)
def test_classes_are_known_by_their_names(name: str, kind: RegionKind | None) -> None:
    assert region_kind(name) is kind


def test_no_name_stands_for_two_kinds_and_each_kind_knows_its_own() -> None:
    assert len(KIND_OF_NAME) == sum(map(len, SYNONYMS.values()))
    assert all(region_kind(name) is kind for kind, names in SYNONYMS.items() for name in (kind.value, *names))


def test_regions_stand_where_they_were_drawn_on_slides_with_bounds(tmp_path: Path) -> None:
    regions = drawn(tmp_path, feature("Dermis"), offset=Point(1000, 2000))
    (region,) = regions.drawn
    assert region.area_l0.equals(box(1000, 2000, 1010, 2010))
    assert (region.kind, region.class_name, region.number, region.proposed) == (RegionKind.DERMIS, "Dermis", 1, False)
    assert region.area_um2(Mpp(0.5, 0.25)) == pytest.approx(12.5)


def test_what_a_machine_found_is_left_aside_and_counted(tmp_path: Path) -> None:
    regions = drawn(
        tmp_path, feature("Tumor: Positive", what="detection"), feature("Infiltrate"), feature(None, what="cell")
    )
    assert [region.kind for region in regions.drawn] == [RegionKind.INFILTRATE]
    assert regions.left_aside == 2


def test_mended_outlines_are_told(tmp_path: Path) -> None:
    bow_tie = [[[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]]]
    (sentence,) = drawn(tmp_path, feature("Dermis", coordinates=bow_tie)).repairs
    assert "mended" in sentence


def test_all_unknown_classes_are_named_at_once_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        drawn(tmp_path, feature("Adnexa"), feature(None), feature("Adnexa"), feature("Dermis"))
    message = str(caught.value)
    assert "'Adnexa' (2), 'Unclassified' (1)" in message
    assert all(kind.value in message for kind in RegionKind)


@pytest.mark.parametrize(
    ("kind", "coordinates", "word"),
    [("Point", [1, 2], "a point"), ("LineString", [[0, 0], [1, 1]], "a line")],
)
def test_points_and_lines_are_no_regions(tmp_path: Path, kind: str, coordinates: object, word: str) -> None:
    with pytest.raises(SettingsError, match=f"feature 1 \\(Dermis\\) is {word}, where an area is needed"):
        drawn(tmp_path, feature("Dermis", kind, coordinates))


def test_a_file_without_areas_is_refused(tmp_path: Path) -> None:
    for features in ([], [feature("x", what="cell")]):
        with pytest.raises(SettingsError, match="holds no drawn area"):
            drawn(tmp_path, *features)
    assert NO_REGIONS.drawn == ()
