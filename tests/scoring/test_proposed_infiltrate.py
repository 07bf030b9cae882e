"""The proposed infiltrate: where small nuclei lie close together, along pixel edges, and nowhere else."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ihc_quant.annotation.region_classes import RegionKind
from ihc_quant.domain.geometry import Grid, Mpp
from ihc_quant.scoring.proposed_infiltrate import pixel_outline, propose_infiltrate

GRID = Grid(4.0, Mpp.square(0.25))
TISSUE = np.ones((250, 250), np.bool_)  # 1 mm × 1 mm

Cells = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32]]


def strewn(left: float, right: float, per_mm2: float, area_um2: float, seed: int = 0) -> Cells:
    """Return cells at random in a strip of the square from ``left`` to ``right`` µm."""
    rng = np.random.default_rng(seed)
    count = int(per_mm2 * (right - left) * 1000 / 1e6)
    return rng.uniform(left, right, count), rng.uniform(0, 1000, count), np.full(count, area_um2, np.float32)


def together(*groups: Cells) -> Cells:
    x, y, area = (np.concatenate(columns) for columns in zip(*groups, strict=True))
    return x, y, area


def test_a_crowd_of_small_nuclei_is_proposed_and_the_rest_is_not() -> None:
    cells = together(strewn(0, 1000, 400, 45.0), strewn(300, 600, 6000, 25.0, seed=1))
    proposal = propose_infiltrate(*cells, TISSUE, GRID)
    assert proposal is not None
    region = proposal.region
    assert region.kind is RegionKind.INFILTRATE
    assert region.proposed
    strip = shapely.box(300 / 0.25, 0, 600 / 0.25, 1000 / 0.25)
    assert region.area_l0.intersection(strip).area > 0.97 * strip.area
    assert region.area_l0.difference(strip).area < 0.15 * strip.area


@pytest.mark.parametrize(
    "cells",
    [
        strewn(0, 1000, 1500, 25.0),  # too sparse
        strewn(0, 1000, 8000, 60.0),  # dense and large, as epidermis
        together(strewn(0, 1000, 4000, 25.0), strewn(0, 1000, 4000, 60.0, seed=1)),  # mixed
        together(strewn(0, 1000, 200, 25.0), (np.full(9, 500.0), np.full(9, 500.0), np.full(9, 25.0, np.float32))),
        (np.empty(0), np.empty(0), np.empty(0, np.float32)),
    ],
    ids=["sparse", "large", "mixed", "nine cells", "none"],
)
def test_other_tissue_is_not(cells: Cells) -> None:
    assert propose_infiltrate(*cells, TISSUE, GRID) is None


def test_it_stays_in_the_tissue_and_reaches_its_edge() -> None:
    tissue = TISSUE.copy()
    tissue[:, 100:] = False  # right of 400 µm
    proposal = propose_infiltrate(*strewn(0, 400, 6000, 25.0), tissue, GRID)
    assert proposal is not None
    assert proposal.region.area_l0.bounds == (0, 0, 400 / 0.25, 1000 / 0.25)
    assert propose_infiltrate(*strewn(0, 400, 6000, 25.0), np.zeros_like(tissue), GRID) is None


def test_its_pixels_hold_the_cells_that_its_outline_holds() -> None:
    cells = together(strewn(0, 1000, 400, 45.0), strewn(300, 600, 6000, 25.0, seed=1))
    proposal = propose_infiltrate(*cells, TISSUE, GRID)
    assert proposal is not None
    x_l0, y_l0 = np.random.default_rng(2).uniform(-400, 4400, (2, 2000))
    within = shapely.contains_xy(proposal.region.area_l0, x_l0, y_l0)
    assert 0 < within.sum() < len(within)
    assert np.array_equal(proposal.holds(x_l0, y_l0), within)


@given(arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_an_outline_holds_the_pixels_of_the_mask_and_no_others(mask: NDArray[np.bool_]) -> None:
    area = pixel_outline(mask)
    assert area.is_valid
    assert area.area == mask.sum()
    row, column = np.indices(mask.shape)
    inside = shapely.contains_xy(area, column.ravel() + 0.5, row.ravel() + 0.5)
    assert np.array_equal(inside.reshape(mask.shape), mask)
