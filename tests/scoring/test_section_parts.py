"""Regions and fragments become parts of a section that add up, whatever was drawn how."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shapely.geometry import box

from ihc_quant.annotation.region_classes import COMPARTMENTS, RegionKind
from ihc_quant.annotation.region_places import Place, is_analysed
from ihc_quant.annotation.regions import NO_REGIONS, Region, Regions
from ihc_quant.domain.geometry import Grid, Mpp
from ihc_quant.domain.outcome import WHOLE, LeftOut
from ihc_quant.domain.serial_sections import AnalysedRegion
from ihc_quant.scoring.calls import CallRule
from ihc_quant.scoring.score import ScoreSettings
from ihc_quant.scoring.section_parts import Scoring, SectionParts, median_nucleus_um, score_section
from ihc_quant.scoring.section_places import off_tissue, place_cells, place_tissue

GRID = Grid(10.0, Mpp.square(0.5))
PIXEL_L0 = 20.0
SCORING = Scoring("CCR4", ScoreSettings(draws=100, measurement_draws=100), (), (0.4, 0.6), CallRule())
SIDE = 120


def glass() -> NDArray[np.int16]:
    """Return two fragments of 100 × 50 pixels of 10 µm, side by side."""
    fragments = np.zeros((SIDE, SIDE), np.int16)
    fragments[10:110, 5:55], fragments[10:110, 65:115] = 1, 2
    return fragments


def cells_on(fragments: NDArray[np.int16], count: int = 2000, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Return cells at random on the tissue."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, SIDE * 10.0, (2, 4 * count))
    at = fragments[(y // 10).astype(int), (x // 10).astype(int)]
    x, y, at = (values[at > 0][:count] for values in (x, y, at))
    n = len(x)
    return {
        "x_um": x, "y_um": y, "x_l0": x / 0.5, "y_l0": y / 0.5, "fragment": at,
        "area_um2": rng.uniform(15, 60, n).astype(np.float32),
        "p_positive": rng.uniform(0, 1, n).astype(np.float32),
        "grade": rng.integers(0, 4, n).astype(np.int8),
    }  # fmt: skip


def region(kind: RegionKind, x0: float, y0: float, x1: float, y1: float, number: int = 1) -> Region:
    """Return a box in pixels of the map."""
    return Region(kind, box(*(PIXEL_L0 * side for side in (x0, y0, x1, y1))), kind.value, number)


def parts_of(
    cells: dict[str, NDArray[Any]], regions: Regions, named: tuple[int, ...] = (), *, propose: bool = False
) -> tuple[SectionParts, tuple[LeftOut, ...], NDArray[np.int8]]:
    fragments = glass()
    places = place_cells(cells["x_l0"], cells["y_l0"], cells["fragment"], regions, named)
    tissue, left_out = place_tissue(fragments, GRID, regions, named)
    return score_section(cells, places, tissue, GRID, regions, named, SCORING, propose=propose), left_out, places


coordinate = st.floats(-10, 130, allow_nan=False)
drawn_boxes = st.lists(
    st.tuples(st.sampled_from(RegionKind), st.tuples(coordinate, coordinate, coordinate, coordinate)), max_size=6
)


@settings(max_examples=60)
@given(drawn_boxes, st.sampled_from([(), (1,), (2,), (1, 2)]))
def test_parts_add_up_however_regions_overlap(
    drawn: list[tuple[RegionKind, tuple[float, float, float, float]]], named: tuple[int, ...]
) -> None:
    boxes = [
        region(kind, min(a, c), min(b, d), max(a, c) + 0.01, max(b, d) + 0.01, number)
        for number, (kind, (a, b, c, d)) in enumerate(drawn, start=1)
    ]
    cells = cells_on(glass(), 300)
    result, left_out, places = parts_of(cells, Regions(tuple(boxes)), named)
    whole, *compartments = result.parts
    unassigned = int((places == Place.UNASSIGNED).sum())
    assert whole.score.counts.total == sum(one.score.counts.total for one in compartments) + unassigned
    assert whole.score.counts.area_um2 >= sum(one.score.counts.area_um2 for one in compartments)
    assert whole.score.counts.area_um2 + sum(one.area_um2 for one in left_out) == 2 * 100 * 50 * 100.0
    assert sum(counts.total for _, counts in result.fragments) == whole.score.counts.total
    assert sum(counts.area_um2 for _, counts in result.fragments) == whole.score.counts.area_um2
    for part, blocks in zip(result.parts, result.blocks, strict=True):
        assert blocks.total().total == part.score.counts.total
        assert blocks.total().area_um2 == pytest.approx(part.score.counts.area_um2)
    assert [one.area_um2 for one in left_out] == sorted((one.area_um2 for one in left_out), reverse=True)
    drawn_kinds = {one.kind for one in boxes}
    assert [one.region.kind for one in compartments] == [kind for kind in COMPARTMENTS if kind in drawn_kinds]
    assert (result.control is not None) == (RegionKind.CONTROL_TISSUE in drawn_kinds)


def test_without_drawing_everything_is_analysed() -> None:
    cells = cells_on(glass())
    result, left_out, _ = parts_of(cells, NO_REGIONS)
    assert result.parts[0].region == WHOLE
    assert result.parts[0].score.counts.total == len(cells["grade"])
    assert left_out == ()
    assert [number for number, _ in result.fragments] == [1, 2]


def test_an_infiltrate_within_the_dermis_is_infiltrate_and_an_exclusion_is_neither() -> None:
    cells = cells_on(glass())
    regions = Regions(
        (
            region(RegionKind.DERMIS, 0, 0, 60, 120, 1),
            region(RegionKind.INFILTRATE, 20, 40, 40, 60, 2),
            region(RegionKind.EXCLUDE, 30, 40, 40, 60, 3),
        )
    )
    result, left_out, _ = parts_of(cells, regions, propose=True)
    areas = {part.region: part.score.counts.area_um2 for part in result.parts}
    assert areas[AnalysedRegion("infiltrate", "drawn")] == 10 * 20 * 100
    assert areas[AnalysedRegion("dermis", "drawn")] == (50 * 100 - 20 * 20) * 100
    assert left_out == (LeftOut("drawn exclusion", 10 * 20 * 100.0),)
    assert result.proposed is None, "where an infiltrate was drawn, none is proposed"


def test_control_tissue_is_scored_apart_also_on_a_fragment_that_is_not_named() -> None:
    cells = cells_on(glass())
    cells["grade"][cells["fragment"] == 2] = 3
    cells["grade"][cells["fragment"] == 1] = 0
    regions = Regions((region(RegionKind.CONTROL_TISSUE, 60, 0, 120, 60),))
    result, left_out, places = parts_of(cells, regions, (1,))
    assert result.parts[0].score.counts.positive == 0
    assert result.control is not None
    assert result.control.counts.negative == 0
    assert result.control.counts.total == (places == Place.CONTROL_TISSUE).sum() > 300
    assert {one.cause: one.area_um2 for one in left_out} == {
        "control tissue": 50 * 50 * 100.0,
        "fragments that are not named": 50 * 50 * 100.0,
    }
    assert not is_analysed(places[cells["fragment"] == 2]).any()


def test_an_area_to_analyse_limits_everything_and_is_named() -> None:
    regions = Regions((region(RegionKind.ANALYSE, 0, 0, 30, 120), region(RegionKind.DERMIS, 0, 0, 120, 120, 2)))
    result, left_out, _ = parts_of(cells_on(glass()), regions)
    whole, dermis = result.parts
    assert whole.region == AnalysedRegion("analysed area", "drawn")
    assert dermis.score.counts == whole.score.counts
    assert left_out == (LeftOut("outside the drawn area", 75 * 100 * 100.0),)


def test_a_region_off_the_tissue_has_reasons_and_is_named() -> None:
    regions = Regions((region(RegionKind.DERMIS, 500, 500, 600, 600, 7), region(RegionKind.EPIDERMIS, 0, 0, 60, 60)))
    result, _, _ = parts_of(cells_on(glass()), regions)
    dermis = next(part for part in result.parts if part.region.kind == "dermis")
    assert dermis.score.positive_fraction.value is None
    assert dermis.score.positive_density_per_mm2.reason
    assert [one.number for one in off_tissue(regions, glass() > 0, GRID)] == [7]


def test_cells_of_a_sliver_without_a_pixel_centre_are_counted() -> None:
    cells = cells_on(glass(), 3000)
    # Fragment 2 begins at pixel 65; the box ends before the centre of that pixel.
    regions = Regions((region(RegionKind.DERMIS, 0, 0, 65.4, 120),))
    result, _, places = parts_of(cells, regions)
    chosen = places == Place.DERMIS
    assert (cells["fragment"][chosen] == 2).any()
    assert result.blocks[1].total().total == chosen.sum()
    assert result.blocks[1].area_um2[result.blocks[1].fragment == 2].sum() == 0


def test_a_proposed_infiltrate_lies_over_drawn_dermis_and_never_over_drawn_epidermis() -> None:
    cells = cells_on(glass(), 6000)
    cells["area_um2"][:] = 25.0
    regions = Regions((region(RegionKind.EPIDERMIS, 0, 0, 120, 30), region(RegionKind.DERMIS, 0, 30, 120, 120, 2)))
    drawn, _, _ = parts_of(cells, regions)
    result, _, places = parts_of(cells, regions, propose=True)
    *others, proposed = result.parts
    assert tuple(others) == drawn.parts, "a proposal changes no figure of what was drawn"
    assert proposed.region == AnalysedRegion("infiltrate", "proposed")
    assert "not reviewed" in proposed.region.label
    assert proposed.score.counts.total == (places == Place.DERMIS).sum()
    assert result.proposed is not None
    assert result.proposed.proposed
    assert result.proposed.area_l0.bounds[1] >= 30 * PIXEL_L0


def test_the_size_of_nuclei_is_that_of_positive_ones() -> None:
    cells = cells_on(glass())
    cells["area_um2"][:] = np.where(cells["grade"] > 0, np.pi * 9, np.pi * 100)
    assert parts_of(cells, NO_REGIONS)[0].parts[0].nucleus_um == pytest.approx(6.0)
    assert median_nucleus_um(np.empty(0, np.float32)) is None
