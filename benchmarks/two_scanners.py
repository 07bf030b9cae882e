"""One section on two scanners: whether they agree on the percentage, and on the cells.

The affine map between the scans is fitted on half of the cells of one scan, drawn at random, against all of the other
(``affine_fit``); F1 is then stated for all cells of the area that both scans show, and for the other half alone, whose
cells had no part in the fit.
"""

from typing import Any

import numpy as np
from affine_fit import AffineMap, fit_affine
from material import SHARED_DATA
from numpy.typing import NDArray
from scored_pictures import FoundCells, Scorer

from ihc_quant.evaluation.matching import MATCH_RADIUS_UM, detect_by_class, match_points
from ihc_quant.slide.opening import open_slide

FIXED, MOVING = (SHARED_DATA / "slides" / f"OS-2-{scanner}.ome.tif" for scanner in ("ndpi", "vsi"))
EDGE_UM = MATCH_RADIUS_UM
"""Width of the rim of either scan in which a cell needs no partner: it may lie just outside of the other."""
SEED = 0

Extent = tuple[float, float]
"""Width and height of a scan, µm."""


def two_scanner_figures(scorer: Scorer) -> dict[str, Any]:
    """Score both scans and compare them."""
    fixed, moving = scorer.score(FIXED), scorer.score(MOVING)
    return compared(fixed, _extent_um(FIXED), moving, _extent_um(MOVING))


def compared(fixed: FoundCells, fixed_um: Extent, moving: FoundCells, moving_um: Extent) -> dict[str, Any]:
    """Return percentages, the fit, and how many cells have a partner.

    Raises
    ------
    ValueError
        Where the scans do not fit.
    """
    half = np.random.default_rng(SEED).random(len(moving.places_um)) < 0.5
    fit = fit_affine(moving.places_um[half], fixed.places_um)
    moved = fit(moving.places_um)
    inverse = np.linalg.inv(fit.matrix)
    in_both_fixed = within((fixed.places_um - fit.shift_um) @ inverse.T, moving_um) & within(fixed.places_um, fixed_um)
    in_both_moving = within(moved, fixed_um) & within(moving.places_um, moving_um)
    detection = detect_by_class(
        fixed.places_um, fixed.positive, moved, moving.positive, found_counts=in_both_fixed, true_counts=in_both_moving
    )
    pairs = match_points(fixed.places_um, moved)
    same = fixed.positive[pairs.found] == moving.positive[pairs.true]
    held_out = in_both_moving & ~half
    found_partner = np.zeros(len(moved), np.bool_)
    found_partner[pairs.true] = True
    return {
        "percent": [fixed.percent, moving.percent],
        "percent_common": [_percent(fixed.positive[in_both_fixed]), _percent(moving.positive[in_both_moving])],
        "points_apart": _apart(fixed.percent, moving.percent),
        "cells": [len(fixed.positive), len(moving.positive)],
        "cells_common": [int(in_both_fixed.sum()), int(in_both_moving.sum())],
        "f1": detection.either.f1,
        "f1_positive": detection.positive.f1,
        "f1_negative": detection.negative.f1,
        "recall_of_the_half_that_was_not_fitted": float(found_partner[held_out].mean()) if held_out.any() else None,
        "recall_of_the_fitted_half": float(found_partner[in_both_moving & half].mean()),
        "same_call": float(same.mean()) if len(pairs) else None,
        "median_distance_um": float(np.median(pairs.distance)) if len(pairs) else None,
        "fit": fit_in_words(fit),
    }


def within(places_um: NDArray[np.float64], extent_um: Extent) -> NDArray[np.bool_]:
    """Return which places lie inside a scan, its rim left out."""
    inside = (places_um >= EDGE_UM) & (places_um < np.array(extent_um) - EDGE_UM)
    return np.asarray(inside.all(axis=1), np.bool_)


def fit_in_words(fit: AffineMap) -> str:
    """Return what a map does."""
    large, small = fit.scales
    x, y = fit.shift_um
    return f"turned {fit.turn_degrees:.2f}°, stretched {small:.4f} to {large:.4f}, shifted {x:.1f}, {y:.1f} µm"


def _extent_um(path: Any) -> Extent:
    with open_slide(path) as reader:
        size, mpp = reader.info.size, reader.info.require_mpp()
        return size.width * mpp.x, size.height * mpp.y


def _percent(positive: NDArray[np.bool_]) -> float | None:
    return 100 * float(positive.mean()) if len(positive) else None


def _apart(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else abs(one - other)
