"""The network's own error carried into figures over grades: the H-score and the fractions of cells 1+, 2+ and 3+.

Such a figure is the fraction of positive cells times the mean weight of a positive cell: its grade for the H-score, 1
or 0 for the fraction of one grade. Both parts err, and the card of the weights knows of the first alone.

- **Calls.** The positive fraction is drawn as in ``ihc_quant.scoring.network_error``, by each way to see its error.
- **Grades.** How far grades are off was never measured. In its place the cuts of optical density are moved by a quarter
  either way: the mean weight moves as it does with these cuts, and the interval reaches over both. Cells that were
  missed or called wrongly are taken to be graded like the others, which was not measured either.

So this interval is always marked: it says how far the figure moves, not how often that is far enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.measurement_error import MeasurementError
from ihc_quant.domain.score import CellCounts, Estimate
from ihc_quant.scoring.error_sets import known_error
from ihc_quant.scoring.network_error import (
    MEASUREMENT_DRAWS,
    OTHER_CALLS,
    draw_fraction,
    quantiles,
    spread_of_points,
    true_fractions,
    with_measurement,
)

NOT_MEASURED = "error of grades not measured: the cuts moved by ±25 % stand for it"
"""Note of every such interval."""

NOT_MOVED = "measurement error unknown: cells were not graded with moved cuts"

H_SCORE_WEIGHTS = (1.0, 2.0, 3.0)
"""What a cell of 1+, 2+ and 3+ counts in the H-score."""

GRADE_WEIGHTS = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
"""What it counts in the fraction of each grade."""


@dataclass(frozen=True, slots=True)
class GradedCells:
    """A section's cells by grade, and by grade with moved cuts.

    Attributes
    ----------
    marker : str
        One of ``ihc_quant.domain.stain.MARKERS``.
    counts : CellCounts
    moved : tuple of CellCounts
        The same cells, called alike, with each pair of moved cuts; empty where nobody graded them so.
    fraction : Estimate
        The positive fraction, with its intervals of sampling alone.
    errors : sequence of MeasurementError or None
        What the weights' card states; None where these calls are not those it was measured with.
    """

    marker: str
    counts: CellCounts
    moved: tuple[CellCounts, ...]
    fraction: Estimate
    errors: Sequence[MeasurementError] | None

    def __post_init__(self) -> None:
        calls = {(counts.total, counts.positive) for counts in (self.counts, *self.moved)}
        if len(calls) > 1:
            raise ValueError(f"moved cuts change grades, not which cells are positive; got {sorted(calls)}")


def grade_error_statement(cells: GradedCells) -> str:
    """Return what is known of the error of grades, in words."""
    if cells.errors is None:
        return OTHER_CALLS
    if not known_error(cells.marker, cells.errors, spread_of_points).drawn:
        return "measurement error unknown, as that of the percentage"
    if not cells.moved:
        return NOT_MOVED
    return (
        "not measured; H-scores and fractions of grades carry the error of the percentage, and the cuts of optical "
        "density moved by ±25 % stand for that of grades"
    )


def carry_grade_error(
    figure: Estimate,
    scale: float,
    weights: tuple[float, float, float],
    cells: GradedCells,
    *,
    level: float = 0.95,
    draws: int = MEASUREMENT_DRAWS,
    seed: int = 0,
) -> Estimate:
    """Carry the network's error into a figure over grades.

    Parameters
    ----------
    figure : Estimate
        With the intervals of sampling.
    scale : float
        Of the figure: 100 for the H-score, 1 for a fraction.
    weights : tuple of float
        What a cell of 1+, 2+ and 3+ counts in it, before ``scale``.
    cells : GradedCells
    level, draws, seed
        As ``ihc_quant.scoring.network_error.carry_error`` takes them.

    Returns
    -------
    Estimate
        The same figure; where the error of the percentage is known and cells were graded with moved cuts, its last
        interval is "sampling + measurement". It holds the others, and is always marked as unreliable.
    """
    if not cells.errors or not cells.moved or figure.value is None or cells.fraction.value is None:
        return figure
    known = known_error(cells.marker, cells.errors, spread_of_points)
    if not known.drawn:
        return figure
    sampled = draw_fraction(cells.fraction, level, draws, seed)
    weight = np.full(draws, max(weights))
    if cells.counts.positive:
        weight = _sampled_weight(figure, scale, weights, sampled, level, draws, seed)
    as_scored = _mean_weight(cells.counts, weights)
    trues = [true for error, spread in known.drawn for true in true_fractions(error, spread, sampled, seed)]
    moved = [
        np.clip(weight + _mean_weight(counts, weights) - as_scored, min(weights), max(weights))
        for counts in (cells.counts, *cells.moved)
    ]
    limits = [quantiles(scale * true * each, level) for true in trues for each in moved]
    note = f"{known.note}; {NOT_MEASURED}" if known.note else NOT_MEASURED
    return with_measurement(figure, limits, level, draws, note)


def _sampled_weight(
    figure: Estimate,
    scale: float,
    weights: tuple[float, float, float],
    sampled: NDArray[np.float64],
    level: float,
    draws: int,
    seed: int,
) -> NDArray[np.float64]:
    """Return draws (n,) of the mean weight of a positive cell under sampling, together with those of the fraction.

    The most that a cell may count where a draw has no positive one.
    """
    most = scale * max(weights)
    drawn = most * draw_fraction(_as_fraction(figure, most), level, draws, seed)
    some = sampled > 0
    return np.clip(
        np.where(some, drawn / scale / np.where(some, sampled, 1.0), max(weights)), min(weights), max(weights)
    )


def _as_fraction(figure: Estimate, most: float) -> Estimate:
    """Return a figure and its intervals over the largest that it can be."""
    intervals = tuple(replace(each, low=each.low / most, high=each.high / most) for each in figure.intervals)
    return Estimate((figure.value or 0.0) / most, "fraction", intervals)


def _mean_weight(counts: CellCounts, weights: tuple[float, float, float]) -> float:
    """Return the mean weight of a positive cell; the most where none is, because unseen ones may be of any grade."""
    if not counts.positive:
        return max(weights)
    one, two, three = weights
    return (one * counts.one_plus + two * counts.two_plus + three * counts.three_plus) / counts.positive
