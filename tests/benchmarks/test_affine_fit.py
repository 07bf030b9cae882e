"""One section in two scans: the affine map is found from cells alone, and cells have their partners."""

import math

import numpy as np
import pytest
from affine_fit import fit_affine
from numpy.typing import NDArray
from scored_pictures import FoundCells
from two_scanners import compared

RNG = np.random.default_rng(5)


def section(side_um: float = 400.0, spacing_um: float = 9.0) -> NDArray[np.float64]:
    """Return cells on a jittered lattice with a third of them missing."""
    line = np.arange(spacing_um, side_um - spacing_um, spacing_um)
    places = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    places = places + RNG.uniform(-3.5, 3.5, places.shape)
    return places[RNG.random(len(places)) > 0.33]


@pytest.mark.parametrize(
    ("turn", "stretch", "shift"), [(0.0, 1.0, (0.0, 0.0)), (91.5, 1.01, (430.0, -7.0)), (-3.0, 0.985, (12.0, 30.0))]
)
def test_the_map_between_two_scans_is_found(turn: float, stretch: float, shift: tuple[float, float]) -> None:
    fixed = section()
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    matrix = stretch * np.array([[cos, -sin], [sin, cos]])
    moving = (fixed - np.array(shift)) @ np.linalg.inv(matrix).T
    # Each scan misses a tenth of the cells, finds some that are none, and places cells to half a µm.
    kept = moving[RNG.random(len(moving)) > 0.1] + RNG.normal(0, 0.5, 2)
    noisy = np.concatenate([kept + RNG.normal(0, 0.4, kept.shape), moving[:40] + 5.0])
    fit = fit_affine(noisy, fixed[RNG.random(len(fixed)) > 0.1])
    off = np.linalg.norm(fit(moving) - fixed, axis=1)
    assert np.median(off) < 1.2
    assert fit.turn_degrees == pytest.approx(turn, abs=0.3)
    assert fit.scales == pytest.approx((stretch, stretch), abs=0.01)


def test_scans_of_different_tissue_are_not_called_the_same() -> None:
    first, second = section(), section()
    positive, other = np.zeros(len(first), np.bool_), np.zeros(len(second), np.bool_)
    figures = compared(FoundCells(first, positive), (400, 400), FoundCells(second, other), (400, 400))
    assert figures["f1"] < 0.75


def test_two_scans_of_one_section_agree() -> None:
    places = section()
    positive = RNG.random(len(places)) < 0.2
    seen = RNG.random(len(places)) > 0.05
    moving = FoundCells(places[seen] + RNG.normal(0, 0.4, (int(seen.sum()), 2)), positive[seen])
    figures = compared(FoundCells(places, positive), (400, 400), moving, (400, 400))
    assert figures["f1"] > 0.95
    assert figures["same_call"] > 0.98
    assert figures["recall_of_the_half_that_was_not_fitted"] > 0.95
    assert figures["points_apart"] == pytest.approx(0, abs=2)


def test_scans_without_common_cells_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        fit_affine(np.array([[0.0, 0], [5, 5], [9, 1]]), np.array([[0.0, 0], [50, 5]]))
