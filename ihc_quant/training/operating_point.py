"""At which thresholds and with which calibration the network works: chosen on the validation patients alone."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from ihc_quant.cells.find import CellSettings
from ihc_quant.evaluation.matching import ClassDetection
from ihc_quant.training.assessment import (
    QUICK_CENTRE,
    QUICK_THRESHOLD,
    FieldCells,
    FieldMaps,
    cells_of,
    detect_by_source,
    detect_cells,
    matched_calls,
)
from ihc_quant.training.calibration import MatchedCalls, PlattScaling, fit_platt, log_loss

CENTRE_THRESHOLDS = np.round(np.arange(0.3, 0.651, 0.025), 3)
"""Heights of a centre peak that are tried."""
PRESENCE_THRESHOLDS = np.concatenate([[0.0], np.round(np.arange(0.3, 0.951, 0.05), 2)])
"""Least extents around a peak that are tried; 0 asks for none."""
POSITIVE_THRESHOLDS = np.round(np.arange(0.3, 0.71, 0.05), 2)
"""Calibrated probabilities that are tried as the threshold of a positive cell. Not far from one half: beyond, the
wrongly found cells of one patient would overrule the calibration, and other tissues would be counted short."""
LEAST_F1_GAIN = 0.005
"""A smaller gain of F1 does not decide between thresholds: it is less than one run differs from the next."""
CALIBRATION_ROUNDS = 8
"""Most corrections that are tried."""
LEAST_GAIN = 0.01
"""Share of the log loss that a correction must save to be taken."""
UNCERTAIN_ERROR = 0.2
"""Share of wrong calls from which a call is uncertain: one in five."""
MOST_PAINTED = 100
"""Painted fields that take part in the choice; more take time and change nothing, as each source weighs the same."""
PEAK_ROUNDS = 4
"""Most times that presence and height are chosen by turns; two have sufficed so far."""


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
    uncertain : tuple of float
        Band of calibrated probability in which a call is uncertain, see ``uncertain_band``.
    """

    cells: CellSettings
    scaling: PlattScaling
    positive: float
    uncertain: tuple[float, float]


QUICK_POINT = OperatingPoint(
    CellSettings(centre_threshold=QUICK_CENTRE),
    PlattScaling(),
    QUICK_THRESHOLD,
    (UNCERTAIN_ERROR, 1 - UNCERTAIN_ERROR),
)
"""Where a network works for which nothing was chosen: thresholds as in training, probabilities as they come."""


class Trials:
    """What was found on each field with each setting: folds choose on nearly the same fields, one after the other."""

    def __init__(self) -> None:
        self._known: dict[tuple[FieldMaps, CellSettings], ClassDetection] = {}

    def detections(
        self, results: Sequence[FieldMaps], pixel_um: float, cells: CellSettings
    ) -> dict[str, ClassDetection]:
        """Return the matches over all fields of each source, calls at ``QUICK_THRESHOLD``."""
        totals: dict[str, ClassDetection] = {}
        for result in results:
            if (result, cells) not in self._known:
                found = cells_of([result], pixel_um, cells)[0]
                self._known[result, cells] = detect_cells(found, QUICK_THRESHOLD)
            source = result.field.source
            totals[source] = totals.get(source, ClassDetection()) + self._known[result, cells]
        return totals


def choose_operating_point(
    validation: Sequence[FieldMaps], pixel_um: float, trials: Trials | None = None
) -> OperatingPoint:
    """Choose the cells to find, then the calibration of their probabilities, then the threshold of a positive one.

    The band of uncertain calls follows from the same cells. At most ``MOST_PAINTED`` painted fields take part.

    Parameters
    ----------
    validation : sequence of FieldMaps
    pixel_um : float
    trials : Trials, optional
        Kept from one choice to the next where they share fields.
    """
    painted = [result for result in validation if result.field.source == "painted"]
    # By a number of each name, so that folds, whose fields overlap, choose on the same ones.
    chosen = sorted(painted, key=lambda result: zlib.crc32(result.field.name.encode()))[:MOST_PAINTED]
    results = [result for result in validation if result.field.source != "painted"] + chosen
    cells = choose_peaks(results, pixel_um, trials or Trials())
    scaling = calibrate(results, pixel_um, cells)
    found = cells_of(results, pixel_um, cells, scaling)
    positive = choose_positive(found)
    return OperatingPoint(cells, scaling, positive, uncertain_band(*balanced_calls(found), positive))


def choose_peaks(results: Sequence[FieldMaps], pixel_um: float, trials: Trials) -> CellSettings:
    """Return the presence and height of a peak that give the best F1, averaged over sources and over the two calls.

    Presence is chosen at the usual height, then the height, then presence anew, until neither moves. The calls weigh
    the same, lest the many negative cells decide how many of the positive ones are found. Painted fields are a source
    like the others: people leave out what they are unsure of, and only painted crowds are marked to the last cell. Of
    heights that are as good but for ``LEAST_F1_GAIN`` that one is taken at which the sources' numbers of found cells
    are on average nearest to those marked, as densities ask for their number.
    """

    def detections(cells: CellSettings) -> list[ClassDetection]:
        return list(trials.detections(results, pixel_um, cells).values())

    def score(cells: CellSettings) -> float:
        return float(np.mean([(each.positive.f1 or 0.0, each.negative.f1 or 0.0) for each in detections(cells)]))

    def at_heights(cells: CellSettings) -> list[CellSettings]:
        return [replace(cells, centre_threshold=float(height)) for height in CENTRE_THRESHOLDS]

    chosen = CellSettings(centre_threshold=QUICK_CENTRE)
    for _ in range(PEAK_ROUNDS):
        before = chosen
        tried = [replace(chosen, presence_threshold=float(presence)) for presence in PRESENCE_THRESHOLDS]
        present = max(tried, key=score)
        chosen = max(at_heights(present), key=score)
        if chosen == before:
            break
    good = [cells for cells in at_heights(chosen) if score(cells) > score(chosen) - LEAST_F1_GAIN]
    return min(good, key=lambda cells: abs(surplus(detections(cells))))


def surplus(detections: Sequence[ClassDetection]) -> float:
    """Return the logarithm of found over marked cells, averaged over sources; 0 where nothing that is marked is found.

    Examples
    --------
    >>> from ihc_quant.evaluation.matching import Detection
    >>> round(surplus([ClassDetection(either=Detection(tp=8, fp=2))]), 3)
    0.223
    """
    either = [each.either for each in detections if each.either.tp]
    ratios = [(each.tp + each.fp) / (each.tp + each.fn) for each in either]
    return float(np.mean(np.log(ratios or [1.0])))


def calibrate(results: Sequence[FieldMaps], pixel_um: float, settings: CellSettings) -> PlattScaling:
    """Return the scaling of the pixels after which the probabilities of the cells are calibrated.

    A cell's probability is a mean over its pixels, and scaling a mean is not the mean of scaled values. What was fitted
    to cells is therefore applied to pixels, measured again and corrected, for as long as that makes the cells'
    probabilities better. Of a network whose calls are no better than chance the slope would not be positive; its
    probabilities stay as they are.
    """
    best, tried, loss = PlattScaling(), PlattScaling(), np.inf
    for _ in range(CALIBRATION_ROUNDS):
        calls, weight = balanced_calls(cells_of(results, pixel_um, settings, tried))
        # Where the pixels of a cell disagree, ever steeper scalings would gain ever less.
        if not log_loss(calls, weight) < loss * (1 - LEAST_GAIN):
            break
        best, loss = tried, log_loss(calls, weight)
        tried = best.then(fit_platt(calls, weight))
        if not round(tried.slope, 5) > 0:
            break
    return PlattScaling(round(best.slope, 5), round(best.intercept, 5))


def balanced_calls(found: Sequence[FieldCells]) -> tuple[MatchedCalls, NDArray[np.float64]]:
    """Return the matched cells of all sources and weights (n,) with which each source weighs the same."""
    sources = dict.fromkeys(one.field.source for one in found)
    parts = [matched_calls([one for one in found if one.field.source == source]) for source in sources]
    weights = [np.full(len(part), 1 / max(1, len(part))) for part in parts]
    return MatchedCalls.concatenate(parts), np.concatenate([np.empty(0), *weights])


def choose_positive(found: Sequence[FieldCells]) -> float:
    """Return the calibrated probability from which a cell is positive.

    One half is what the calibration means; another threshold is taken only where the mean F1 of positive cells over the
    sources gains ``LEAST_F1_GAIN`` by it, and then no farther from one half than it takes.
    """
    scores = [
        np.mean([each.positive.f1 or 0.0 for each in detect_by_source(found, float(threshold)).values()])
        for threshold in POSITIVE_THRESHOLDS
    ]
    good = POSITIVE_THRESHOLDS[np.array(scores) > max(scores) - LEAST_F1_GAIN]
    return float(good[np.argmin(np.abs(good - 0.5))])


def uncertain_band(calls: MatchedCalls, weight: NDArray[np.float64], positive: float) -> tuple[float, float]:
    """Return the band of calibrated probability around the threshold in which more than one call in five is wrong.

    The share of truly positive cells at each probability is estimated from the cells themselves, as the
    non-decreasing step function that fits them best (isotonic regression). Below the threshold a cell is called
    negative, and is wrong as often as cells of its probability are positive; from the threshold on it is the other way
    round. The band ends where that error falls to ``UNCERTAIN_ERROR``. A network that tells cells apart well gets a
    narrow band and one that does not a wide one, whatever its probabilities look like; the band says nothing of cells
    that were missed, or found where there are none.

    Parameters
    ----------
    calls : MatchedCalls
        Cells with calibrated probabilities, of patients that the network did not learn from.
    weight : ndarray, shape (n,), float64
        Weight of each cell.
    positive : float
        Threshold of a positive cell, in the band whatever the cells say.

    Returns
    -------
    tuple of float

    Examples
    --------
    >>> said, was = np.array([0.1, 0.4, 0.45, 0.6, 0.9]), np.array([False, True, False, True, True])
    >>> uncertain_band(MatchedCalls(said, was), np.ones(5), 0.5)
    (0.4, 0.5)
    """
    if len(calls) == 0:
        return QUICK_POINT.uncertain
    order = np.argsort(calls.p_positive, kind="stable")
    p = calls.p_positive[order]
    share = isotonic_regression(calls.positive[order].astype(np.float64), weights=weight[order]).x
    wrong = p[np.where(p >= positive, 1 - share, share) > UNCERTAIN_ERROR]
    low, high = wrong.min(initial=positive), wrong.max(initial=positive)
    return (float(np.floor(low * 1000) / 1000), float(np.ceil(high * 1000) / 1000))
