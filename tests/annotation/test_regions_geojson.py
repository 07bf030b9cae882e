"""Regions written for QuPath are read back as the same regions, and a proposed infiltrate as a drawn one."""

import json
from pathlib import Path

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, Polygon, box

from ihc_quant.annotation.geojson import read_geojson
from ihc_quant.annotation.region_classes import COMPARTMENTS, RegionKind, region_kind
from ihc_quant.annotation.regions import Region, Regions, regions_of
from ihc_quant.annotation.regions_geojson import CLASS_OF_PROPOSED, COLOURS, regions_to_geojson
from ihc_quant.domain.geometry import Point

HOLED = Polygon([(100, 100), (900, 100), (900, 700), (100, 700)], [[(300, 300), (500, 300), (500, 500), (300, 500)]])
PIECES = MultiPolygon([box(1000, 0, 1200, 80), box(1400.5, 20.25, 1600, 90)])
DRAWN = (
    Region(RegionKind.EXCLUDE, box(5, 5, 60, 70), "Ignore*", 1),
    Region(RegionKind.DERMIS, HOLED, "Dermis", 2),
    Region(RegionKind.TUMOUR, PIECES, "Tumor", 3),
)
PROPOSED = Region(RegionKind.INFILTRATE, PIECES, "proposed infiltrate", 0, proposed=True)


def back(regions: tuple[Region, ...], offset: Point, folder: Path) -> Regions:
    path = folder / "regions.geojson"
    path.write_text(regions_to_geojson(regions, offset), encoding="utf-8")
    return regions_of(read_geojson(path, offset))


@pytest.mark.parametrize("offset", [Point(0, 0), Point(4321, 987)])
def test_drawn_regions_come_back_as_they_were(tmp_path: Path, offset: Point) -> None:
    read = back(DRAWN, offset, tmp_path)
    assert read.repairs == ()
    for before, after in zip(DRAWN, read.drawn, strict=True):
        assert (after.kind, after.class_name, after.number) == (before.kind, before.class_name, before.number)
        assert shapely.normalize(after.area_l0) == shapely.normalize(before.area_l0)


def test_a_proposed_infiltrate_comes_back_as_a_drawn_one_piece_by_piece(tmp_path: Path) -> None:
    read = back((*DRAWN, PROPOSED), Point(60, 35), tmp_path)
    pieces = read.of_kind(RegionKind.INFILTRATE)
    assert len(pieces) == 2
    assert not any(piece.proposed for piece in pieces)
    assert shapely.union_all([piece.area_l0 for piece in pieces]).equals(PIECES)
    objects = json.loads((tmp_path / "regions.geojson").read_text())["features"]
    assert [each["properties"].get("name", "") for each in objects[3:]] == [
        "proposed by the software: correct or delete"
    ] * 2
    assert objects[3]["geometry"]["coordinates"][0][0][0] >= 940, "QuPath counts from the corner of the bounds"


def test_every_class_that_is_written_is_understood() -> None:
    assert region_kind(CLASS_OF_PROPOSED) == RegionKind.INFILTRATE
    assert set(COLOURS) == set(RegionKind) >= set(COMPARTMENTS)


@given(
    st.tuples(*[st.floats(0, 1e5, allow_nan=False)] * 2),
    st.tuples(*[st.floats(1, 1e4, allow_nan=False)] * 2),
    st.tuples(*[st.integers(0, 100_000)] * 2),
)
def test_areas_survive_any_offset(
    tmp_path_factory: pytest.TempPathFactory,
    corner: tuple[float, ...],
    size: tuple[float, ...],
    offset: tuple[int, ...],
) -> None:
    area = box(*corner, corner[0] + size[0], corner[1] + size[1])
    region = Region(RegionKind.INFILTRATE, area, "Infiltrate", 1)
    (read,) = back((region,), Point(*offset), tmp_path_factory.mktemp("offset")).drawn
    assert read.area_l0.bounds == pytest.approx(area.bounds, abs=1e-6)
