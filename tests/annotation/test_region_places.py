"""A place belongs to exactly one region, by the stated rules, however drawings overlap."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, Polygon, box

from ihc_quant.annotation.geojson_geometry import Area
from ihc_quant.annotation.region_classes import COMPARTMENTS, RegionKind
from ihc_quant.annotation.region_places import (
    PLACE_OF_COMPARTMENT,
    Place,
    assign,
    is_analysed,
    partition,
    places_on_grid,
    tissue_areas_um2,
)
from ihc_quant.annotation.regions import NO_REGIONS, Region, Regions
from ihc_quant.domain.geometry import Grid, Mpp


def regions(*drawn: tuple[RegionKind, Area]) -> Regions:
    return Regions(tuple(Region(kind, area, kind.value, number) for number, (kind, area) in enumerate(drawn, start=1)))


def at(*places: tuple[float, float]) -> NDArray[np.float64]:
    return np.array(places, np.float64).reshape(-1, 2)


def names(points: NDArray[np.float64], drawn: Regions) -> list[str]:
    return [Place(code).name for code in assign(points, drawn)]


WIDE, NARROW, CORNER = box(0, 0, 100, 100), box(20, 20, 60, 60), box(50, 50, 90, 90)


def test_without_drawings_everything_is_analysed_and_unassigned() -> None:
    assert names(at((5, 5), (-1e6, 1e6)), NO_REGIONS) == ["UNASSIGNED", "UNASSIGNED"]
    assert assign(at(), NO_REGIONS).shape == (0,)
    assert is_analysed(assign(at((1, 1)), NO_REGIONS)).all()


def test_the_smaller_compartment_wins_in_either_order_of_drawing() -> None:
    dermis, infiltrate = (RegionKind.DERMIS, WIDE), (RegionKind.INFILTRATE, NARROW)
    for drawn in (regions(dermis, infiltrate), regions(infiltrate, dermis)):
        assert names(at((40, 40), (10, 10), (200, 0)), drawn) == ["INFILTRATE", "DERMIS", "UNASSIGNED"]


def test_of_drawings_of_one_size_the_first_in_the_file_wins() -> None:
    tumour, infiltrate = (RegionKind.TUMOUR, NARROW), (RegionKind.INFILTRATE, CORNER)
    assert names(at((55, 55)), regions(tumour, infiltrate)) == ["TUMOUR"]
    assert names(at((55, 55)), regions(infiltrate, tumour)) == ["INFILTRATE"]


def test_exclusion_wins_over_everything_and_control_tissue_over_the_rest() -> None:
    small = box(25, 25, 30, 30)
    drawn = regions(
        (RegionKind.INFILTRATE, small),
        (RegionKind.CONTROL_TISSUE, NARROW),
        (RegionKind.EXCLUDE, CORNER),
        (RegionKind.ANALYSE, box(0, 0, 30, 30)),
    )
    assert names(at((27, 27), (55, 55), (80, 80), (50, 40), (5, 5), (99, 5)), drawn) == [
        "CONTROL_TISSUE", "EXCLUDED", "EXCLUDED", "CONTROL_TISSUE", "UNASSIGNED", "OUTSIDE",
    ]  # fmt: skip


def test_areas_to_analyse_limit_compartments() -> None:
    drawn = regions((RegionKind.ANALYSE, NARROW), (RegionKind.DERMIS, CORNER))
    codes = assign(at((55, 55), (80, 80), (30, 30)), drawn)
    assert [Place(code).name for code in codes] == ["DERMIS", "OUTSIDE", "UNASSIGNED"]
    assert is_analysed(codes).tolist() == [True, False, True]


def test_holes_are_outside_and_islands_in_them_inside() -> None:
    ring = Polygon(WIDE.exterior.coords, [NARROW.exterior.coords])
    drawn = regions((RegionKind.EPIDERMIS, MultiPolygon([ring, box(35, 35, 45, 45)])))
    assert names(at((10, 10), (25, 25), (40, 40)), drawn) == ["EPIDERMIS", "UNASSIGNED", "EPIDERMIS"]


def test_a_point_on_a_common_border_has_one_place() -> None:
    left, right = box(0, 0, 10, 10), box(10, 0, 30, 10)
    drawn = regions((RegionKind.DERMIS, right), (RegionKind.EPIDERMIS, left))
    assert names(at((10, 5), (10, 0), (0, 0), (30, 10)), drawn) == ["EPIDERMIS", "EPIDERMIS", "EPIDERMIS", "DERMIS"]
    drawn = regions((RegionKind.DERMIS, left), (RegionKind.EXCLUDE, right))
    assert names(at((10, 5)), drawn) == ["EXCLUDED"]


@pytest.mark.parametrize(
    "points", [np.zeros(4), np.zeros((2, 3)), np.array([[0.0, np.nan]]), np.array([[np.inf, 0.0]])]
)
def test_points_must_be_finite_pairs(points: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="points"):
        assign(points, NO_REGIONS)


def plain_rules(x: float, y: float, drawn: Regions) -> Place:
    """Return the place of one point, told rule by rule."""
    hit = [region for region in drawn.drawn if shapely.intersects_xy(region.area_l0, x, y)]
    kinds = {region.kind for region in hit}
    if RegionKind.EXCLUDE in kinds:
        return Place.EXCLUDED
    if RegionKind.CONTROL_TISSUE in kinds:
        return Place.CONTROL_TISSUE
    if drawn.of_kind(RegionKind.ANALYSE) and RegionKind.ANALYSE not in kinds:
        return Place.OUTSIDE
    compartments = [region for region in hit if region.kind in COMPARTMENTS]
    if not compartments:
        return Place.UNASSIGNED
    # min keeps the first of equals.
    return PLACE_OF_COMPARTMENT[min(compartments, key=lambda region: region.area_l0.area).kind]


whole = st.integers(0, 40)
boxes = st.tuples(whole, whole, st.integers(1, 20), st.integers(1, 20)).map(
    lambda box_of: box(box_of[0], box_of[1], box_of[0] + box_of[2], box_of[1] + box_of[3])
)
drawings = st.lists(st.tuples(st.sampled_from(RegionKind), boxes), max_size=8).map(lambda drawn: regions(*drawn))


@given(drawn=drawings, points=st.lists(st.tuples(whole, whole), min_size=1, max_size=40))
@settings(max_examples=40, deadline=None)
def test_assignment_follows_the_rules_on_borders_too(drawn: Regions, points: list[tuple[int, int]]) -> None:
    assert [Place(code) for code in assign(at(*points), drawn)] == [plain_rules(x, y, drawn) for x, y in points]


@given(drawn=drawings, seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_order_and_company_of_points_do_not_matter(drawn: Regions, seed: int) -> None:
    points = np.random.default_rng(seed).uniform(-5, 65, (10, 2))
    codes = assign(points, drawn)
    assert np.array_equal(assign(points[::-1], drawn)[::-1], codes)
    assert np.array_equal(np.concatenate([assign(point[None], drawn) for point in points]), codes)


@given(drawn=drawings)
@settings(max_examples=20, deadline=None)
def test_partition_and_assignment_agree(drawn: Regions) -> None:
    parts = partition(drawn)
    inside = (np.indices((62, 62)).reshape(2, -1).T + 0.5).astype(np.float64)
    codes = assign(inside, drawn)
    assert all(area.is_valid for area in parts.values())
    for place in Place:
        expected = float(np.count_nonzero(codes == place))
        if place == Place.OUTSIDE or (place == Place.UNASSIGNED and not drawn.of_kind(RegionKind.ANALYSE)):
            assert place not in parts
        else:  # whole squares: pixels are exact
            assert (parts[place].area if place in parts else 0.0) == pytest.approx(expected)
    union = shapely.union_all(list(parts.values()))
    assert union.area == pytest.approx(sum(area.area for area in parts.values()))


def test_a_compartment_that_only_touches_what_is_analysed_has_no_part() -> None:
    drawn = regions(
        (RegionKind.ANALYSE, box(0, 3, 1, 4)),
        (RegionKind.ANALYSE, box(2, 0, 3, 1)),
        (RegionKind.EXCLUDE, box(0, 0, 1, 1)),
        (RegionKind.EPIDERMIS, box(0, 0, 1, 2)),
        (RegionKind.EPIDERMIS, box(0, 2, 1, 3)),
    )
    areas = {place: area.area for place, area in partition(drawn).items()}
    assert areas == {Place.EXCLUDED: 1.0, Place.UNASSIGNED: 2.0}


def test_areas_of_tissue_add_up_to_each_fragment() -> None:
    grid = Grid(8.0, Mpp(0.25, 0.5))
    fragments = np.zeros((40, 50), np.int16)
    fragments[2:20, 3:45], fragments[25:38, 10:30] = 1, 2
    disc = shapely.Point(20 * grid.scale_x, 12 * grid.scale_y).buffer(150)
    drawn = regions((RegionKind.INFILTRATE, disc), (RegionKind.EXCLUDE, box(0, 0, 10 * grid.scale_x, 1000)))
    places = places_on_grid(drawn, grid, fragments > 0)
    areas = tissue_areas_um2(places, fragments, grid.pixel_um)
    assert areas.shape == (2, len(Place))
    assert areas.sum(axis=1) == pytest.approx(np.bincount(fragments.ravel())[1:] * 64.0)
    # Exactly the columns left of x = 10 are excluded: 7 of 42 in fragment 1.
    assert areas[0, Place.EXCLUDED] == pytest.approx(7 * 18 * 64.0)
    assert areas[1, Place.EXCLUDED] == 0
    assert areas[0, Place.INFILTRATE] == pytest.approx(disc.area * 0.25 * 0.5, rel=0.05)
    assert (places[fragments == 0] == Place.OUTSIDE).all()


def test_where_nothing_was_drawn_all_tissue_is_analysed() -> None:
    mask = np.zeros((4, 5), np.bool_)
    mask[1:3, 2:] = True
    places = places_on_grid(NO_REGIONS, Grid(8.0, Mpp.square(0.5)), mask)
    assert places.dtype == np.int8
    assert np.array_equal(places, np.where(mask, Place.UNASSIGNED, Place.OUTSIDE))


def test_areas_of_a_slide_without_tissue() -> None:
    nothing = np.zeros((4, 5), np.int16)
    places = places_on_grid(NO_REGIONS, Grid(8.0, Mpp.square(0.5)), nothing > 0)
    assert tissue_areas_um2(places, nothing, 8.0).shape == (0, len(Place))
    with pytest.raises(ValueError, match="share a shape"):
        tissue_areas_um2(places, nothing[:2], 8.0)
