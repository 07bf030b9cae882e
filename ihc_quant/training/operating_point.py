"""At which thresholds and with which calibration the network works: chosen on the validation patients alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ihc_quant.cells.find import CellSettings
from ihc_quant.training.assessment import (
    QUICK_THRESHOLD,
    FieldCells,
    FieldMaps,
    cells_of,
    detect_by_source,
    matched_calls,
)
from ihc_quant.training.calibration import MatchedCalls, PlattScaling, fit_platt, log_loss

CENTRE_THRESHOLDS = np.round(np.arange(0.15, 0.61, 0.05), 2)
"""Heights of a centre peak that are tried."""
POSITIVE_THRESHOLDS = np.round(np.arange(0.3, 0.71, 0.05), 2)
"""Calibrated probabilities that are tried as the threshold of a positive cell. Not far from one half: beyond, the
wrongly found cells of one patient would overrule the calibration, and other tissues would be counted short."""
CALIBRATION_ROUNDS = 8
"""Most corrections that are tried."""
LEAST_GAIN = 0.01
"""Share of the log loss that a correction must save to be taken."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Where the network works.

    Attributes
    ----------
    cells : CellSettings
        With the chosen height of a centre peak.
    scaling : PlattScaling
        Calibration of the positivity of each pixel.
    positive : float
        Least calibrated probability of a positive cell.
    """

    cells: CellSettings
    scaling: PlattScaling
    positive: float


def choose_operating_point(validation: Sequence[FieldMaps], pixel_um: float) -> OperatingPoint:
    """Choose the peak height, then the calibration of the cells it finds, then the threshold of a positive one."""
    cells = CellSettings(centre_threshold=choose_centre(validation, pixel_um))
    scaling = calibrate(validation, pixel_um, cells)
    return OperatingPoint(cells, scaling, choose_positive(validation, pixel_um, cells, scaling))


def choose_centre(results: Sequence[FieldMaps], pixel_um: float) -> float:
    """Return the height of a centre peak that gives the best mean F1 of detection over the sources."""
    scores = []
    for threshold in CENTRE_THRESHOLDS:
        found = cells_of(results, pixel_um, CellSettings(centre_threshold=float(threshold)))
        scores.append(np.mean([each.either.f1 or 0.0 for each in detect_by_source(found, QUICK_THRESHOLD).values()]))
    return float(CENTRE_THRESHOLDS[int(np.argmax(scores))])


def calibrate(results: Sequence[FieldMaps], pixel_um: float, settings: CellSettings) -> PlattScaling:
    """Return the scaling of the pixels after which the probabilities of the cells are calibrated.

    A cell's probability is a mean over its pixels, and scaling a mean is not the mean of scaled values. What was fitted
    to cells is therefore applied to pixels, measured again and corrected, for as long as that makes the cells'
    probabilities better.
    """
    best, tried, loss = PlattScaling(), PlattScaling(), np.inf
    for _ in range(CALIBRATION_ROUNDS):
        calls, weight = balanced_calls(cells_of(results, pixel_um, settings, tried))
        # Where the pixels of a cell disagree, ever steeper scalings would gain ever less.
        if not log_loss(calls, weight) < loss * (1 - LEAST_GAIN):
            break
        best, loss = tried, log_loss(calls, weight)
        tried = best.then(fit_platt(calls, weight))
    return PlattScaling(round(best.slope, 5), round(best.intercept, 5))


def balanced_calls(found: Sequence[FieldCells]) -> tuple[MatchedCalls, NDArray[np.float64]]:
    """Return the matched cells of all sources and weights (n,) with which each source weighs the same."""
    sources = dict.fromkeys(one.field.source for one in found)
    parts = [matched_calls([one for one in found if one.field.source == source]) for source in sources]
    weights = [np.full(len(part), 1 / max(1, len(part))) for part in parts]
    return MatchedCalls.concatenate(parts), np.concatenate([np.empty(0), *weights])


def choose_positive(
    results: Sequence[FieldMaps], pixel_um: float, settings: CellSettings, scaling: PlattScaling
) -> float:
    """Return the calibrated probability that gives the best mean F1 of positive cells over the sources."""
    found = cells_of(results, pixel_um, settings, scaling)
    scores = [
        np.mean([each.positive.f1 or 0.0 for each in detect_by_source(found, float(threshold)).values()])
        for threshold in POSITIVE_THRESHOLDS
    ]
    return float(POSITIVE_THRESHOLDS[int(np.argmax(scores))])
