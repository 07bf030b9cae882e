"""The network's own error carried into the percentage: the interval "sampling + measurement" and a corrected value.

The card of the weights states, for each image set, how far the percentage of an image was off (mean and spread over
the images) and how often a found cell was called as people called it. Both are errors of the same calls, seen twice, so
they are not added: each gives an interval, and the wider end counts on either side.

- **Images.** The error of a new patient is drawn from mean and spread over the images
  (``ihc_quant.scoring.error_sets``). Taking patients for images allows for images of one patient that err alike. The
  spread over small images also holds their own sampling, so this is too wide for a slide rather than too narrow. It is
  in points, and was measured at the percentages of those images.
- **Cells.** Sensitivity and specificity are drawn from Beta(hits + ½, misses + ½) and the percentage is corrected by
  them (Rogan and Gladen 1978, 10.1093/oxfordjournals.aje.a112510). That follows the percentage of the slide, where the
  first cannot: missed positives weigh more the more there are. Hits and misses are those of as many cells as say the
  same of one more patient (``effective_cells``), where the card has figures by patient; elsewhere cells are taken as
  independent, and what rests on that alone is marked. It knows nothing of cells that were not found, nor of found ones
  that are none.

Sampling is drawn from a two-piece normal distribution with the limits of the widest sampling interval. Which image sets
speak stands in ``ihc_quant.scoring.error_sets``; the interval reaches over all of them, an error as large as in the
worst.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, ndtri

from ihc_quant.domain.measurement_error import MeasurementError
from ihc_quant.domain.score import UNKNOWN_ERROR, CorrectedFraction, Estimate, Interval, NetworkError
from ihc_quant.scoring.error_sets import Spread, images_of, known_error, place_of
from ihc_quant.scoring.intervals import outer_limits

MEASUREMENT_DRAWS = 20_000
"""Draws; their own noise then moves a limit by about a hundredth of the interval's width."""

MEASUREMENT_METHOD = "sampling + measurement"
"""How the method of an interval begins that holds the network's own error too; others hold sampling alone."""

OTHER_CALLS = (
    "measurement error unknown: it was measured with the calls of the weights' card; cells are called otherwise here"
)
"""What a page says where a threshold or a rule was chosen that nobody measured."""

AS_INDEPENDENT = "cells of one patient taken as independent, as no figures by patient were stored with these results"
"""Note of a correction that rests on too many cells."""
LEAST_PATIENTS = 4
"""Fewer patients hardly tell how patients differ, and the correction is marked."""
AGREEING = 0.2
"""How often patients may agree as much as they do though they differ more than is taken.

Of five simulated patients with 200 cells each the share of a sixth then lies in the range in 0.94 to 0.95 of cases
(nominal 0.95) where the mean is 0.9, in 0.79 to 0.85 where it is 0.97 to 0.998; with Kleinman's estimate and t in 0.86
to 0.91 and 0.71 to 0.79."""


def carry_error(
    fraction: Estimate,
    marker: str,
    errors: Sequence[MeasurementError] | None,
    *,
    level: float = 0.95,
    draws: int = MEASUREMENT_DRAWS,
    seed: int = 0,
) -> tuple[Estimate, NetworkError]:
    """Carry the network's error into a positive fraction.

    Parameters
    ----------
    fraction : Estimate
        With the intervals of sampling.
    marker : str
        One of ``ihc_quant.domain.stain.MARKERS``.
    errors : sequence of MeasurementError or None
        What the weights' card states, in any order; None where these calls are not those it was measured with.
    level : float
        Confidence.
    draws, seed : int
        Of the simulation.

    Returns
    -------
    Estimate
        The same fraction; where the error is known, its last interval is "sampling + measurement" and holds the others.
    NetworkError
        What the error was measured on, and the corrected fractions.
    """
    if not errors:
        return fraction, NetworkError(OTHER_CALLS) if errors is None else UNKNOWN_ERROR
    known = known_error(marker, errors, spread_of_points)
    statement = known.statement(_details)
    if fraction.value is None:
        return fraction, NetworkError(statement)
    sampled = draw_fraction(fraction, level, draws, seed)
    corrected = tuple(
        CorrectedFraction(place_of(error), _corrected_fraction(fraction, error, known.elsewhere, sampled, level, seed))
        for error in known.used
    )
    if not known.drawn:
        return fraction, NetworkError(statement, corrected=corrected)
    limits = [
        quantiles(true, level) for error, spread in known.drawn for true in true_fractions(error, spread, sampled, seed)
    ]
    return with_measurement(fraction, limits, level, draws, known.note), NetworkError(statement, corrected=corrected)


def spread_of_points(error: MeasurementError) -> Spread:
    """Return the error of the percentage on a set, as a fraction."""
    return Spread(error.bias_points / 100, error.sd_points / 100, error.patients)


def true_fractions(
    error: MeasurementError, spread: Spread, sampled: NDArray[np.float64], seed: int
) -> list[NDArray[np.float64]]:
    """Return draws (n,) of the true fraction behind sampled ones (n,), by each way to see the error of a set."""
    ways = [np.clip(sampled - spread.draw(len(sampled), _generator(seed + 1)), 0, 1)]
    by_cell = draw_corrected(error, sampled, _generator(seed + 2))
    return ways if by_cell is None else [*ways, by_cell]


def with_measurement(
    estimate: Estimate, limits: Sequence[tuple[float, float]], level: float, draws: int, note: str
) -> Estimate:
    """Return a figure with "sampling + measurement" as its last interval, which holds all others and all limits.

    Parameters
    ----------
    estimate : Estimate
        With a value and its intervals of sampling.
    limits : sequence of (low, high)
        One for each way to see the error.
    level : float
    draws : int
    note : str
        Why the error may not hold here; empty where it does.
    """
    # What holds an interval that cannot be trusted cannot be trusted either.
    notes = [note] if note else []
    notes += dict.fromkeys(each.note for each in estimate.intervals if not each.reliable)
    ends = [*limits, outer_limits(estimate)]
    interval = Interval(
        min(low for low, _ in ends),
        max(high for _, high in ends),
        level,
        f"{MEASUREMENT_METHOD}, simulated, {draws} draws",
        reliable=not notes,
        note="; ".join(notes),
    )
    return Estimate(estimate.value, estimate.unit, (*estimate.intervals, interval))


def by_what_they_hold(intervals: Sequence[Interval]) -> tuple[list[Interval], list[Interval]]:
    """Return the intervals that hold sampling alone, and those that hold the network's own error too."""
    both = [interval for interval in intervals if interval.method.startswith(MEASUREMENT_METHOD)]
    return [interval for interval in intervals if interval not in both], both


def rogan_gladen(fraction: float, sensitivity: float, specificity: float) -> float | None:
    """Return the true fraction behind an apparent one, (p + sp − 1) / (se + sp − 1); may lie outside 0 to 1.

    None where the calls say nothing, that is where both add up to 1 or less.

    Notes
    -----
    Rogan and Gladen 1978, 10.1093/oxfordjournals.aje.a112510.

    Examples
    --------
    1,000 cells, 100 of them positive, sensitivity 0.9 and specificity 0.8: 90 + 180 are called positive.

    >>> round(rogan_gladen(0.27, 0.9, 0.8), 12)
    0.1
    """
    informed = sensitivity + specificity - 1
    return (fraction + specificity - 1) / informed if informed > 0 else None


def _details(error: MeasurementError) -> str:
    bias = f"{error.bias_points:+.1f}".replace("-", "−")
    return (
        f"{place_of(error)} ({images_of(error.images, error.patients)}, {error.how}: {bias} points on average, "
        f"standard deviation {error.sd_points:.1f}{_rates(error)})"
    )


def _rates(error: MeasurementError) -> str:
    """Return how often found cells are called as people did."""
    rates = (("sensitivity", error.sensitivity), ("specificity", error.specificity))
    known = [f"{name} {rate:.3f}" for name, rate in rates if rate is not None]
    return f", {' and '.join(known)} of found cells" if known else ""


def draw_fraction(fraction: Estimate, level: float, draws: int, seed: int) -> NDArray[np.float64]:
    """Return draws of the fraction under sampling alone, of which ``level`` lie in the widest interval."""
    value = fraction.value or 0.0
    low, high = outer_limits(fraction)
    z = _generator(seed).standard_normal(draws) / float(ndtri(0.5 + level / 2))
    return np.asarray(np.clip(value + np.where(z < 0, value - low, high - value) * z, 0, 1), np.float64)


def draw_corrected(
    error: MeasurementError, sampled: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.float64] | None:
    """Return draws (n,) of the fraction, corrected by drawn sensitivities and specificities.

    None where the set has no positive or no negative cells to measure them on.
    """
    if error.sensitivity is None or error.specificity is None:
        return None
    positive = [(each.positive_cells, each.sensitivity) for each in error.by_patient if each.sensitivity is not None]
    negative = [(each.negative_cells, each.specificity) for each in error.by_patient if each.specificity is not None]
    sensitive = _share(random, error.sensitivity, effective_cells(positive) or error.positive_cells, len(sampled))
    specific = _share(random, error.specificity, effective_cells(negative) or error.negative_cells, len(sampled))
    informed = sensitive + specific - 1
    told = informed > 1e-9
    true = (sampled + specific - 1) / np.where(told, informed, 1.0)
    # Where calls say nothing, the true fraction may be anything.
    return np.asarray(np.where(told, np.clip(true, 0, 1), random.random(len(sampled))), np.float64)


def effective_cells(by_patient: Sequence[tuple[int, float]]) -> float | None:
    """Return how many independent cells say as little of one more patient as these cells of a few patients do.

    Parameters
    ----------
    by_patient : sequence of (int, float)
        Of each patient the number of cells, at least one, and the share that was called rightly.

    Returns
    -------
    float or None
        At most the number of cells; None for fewer than two patients, of which nothing can be said.

    Notes
    -----
    Shares are taken to vary over patients with variance ρ p (1 − p), as those of a beta-binomial distribution do. The
    weighted sum of squares of the patients' shares is then about 1 + ρ m times a chi-square with as many degrees of
    freedom as patients less one, where Kleinman's moment estimate of ρ (1973, J. Am. Stat. Assoc. 68, 46–54) divides by
    its mean. Patients who happen to agree must not count as cells of one, so it is divided by the ``AGREEING`` quantile
    instead. The share of one more patient varies by ρ p (1 − p) and by the variance of the pooled share, p (1 − p) (1 +
    ρ (Σ n² / N − 1)) / N; that of independent cells by p (1 − p) / cells.

    Examples
    --------
    Of two patients one is called rightly in 90 of 100 cells and the other in all: that says next to nothing of a third.
    Where both are called alike, all cells count, and who reads the number is told how few patients there were.

    >>> round(effective_cells([(100, 0.9), (100, 1.0)]), 1)
    0.7
    >>> round(effective_cells([(100, 0.9), (100, 0.9)]))
    200
    """
    if len(by_patient) < 2:
        return None
    cells, shares = np.array(by_patient, np.float64).T
    total = float(cells.sum())
    # Half a cell more of each call: patients who are all called rightly still vary.
    pooled = (float((cells * shares).sum()) + 0.5) / (total + 1)
    uneven = float((cells**2).sum()) / total
    freedom, alike = len(cells) - 1, 0.0
    # One cell of each patient tells nothing of how alike two of the same are.
    if (per_patient := (total - uneven) / freedom - 1) > 0:
        apart = float((cells * (shares - pooled) ** 2).sum()) / (pooled * (1 - pooled))
        alike = min(max((apart / float(chdtri(freedom, 1 - AGREEING)) - 1) / per_patient, 0.0), 1.0)
    return 1 / (1 / total + alike * (1 + (uneven - 1) / total))


def _share(random: np.random.Generator, share: float, cells: float, draws: int) -> NDArray[np.float64]:
    return random.beta(share * cells + 0.5, (1 - share) * cells + 0.5, draws)


def _corrected_fraction(
    fraction: Estimate,
    error: MeasurementError,
    elsewhere: str,
    sampled: NDArray[np.float64],
    level: float,
    seed: int,
) -> Estimate:
    """Return the fraction corrected for the miscalls of one set, or why it cannot be.

    ``elsewhere`` says for what the set is not validated; empty where it is.
    """
    value = fraction.value or 0.0
    by_cell = draw_corrected(error, sampled, _generator(seed + 2))
    if by_cell is None or error.sensitivity is None or error.specificity is None:
        lacking = "positive" if error.sensitivity is None else "negative"
        return Estimate(None, "fraction", reason=f"no {lacking} cells were there to measure miscalls on")
    corrected = rogan_gladen(value, error.sensitivity, error.specificity)
    if corrected is None:
        rates = f"sensitivity {error.sensitivity:.2f} and specificity {error.specificity:.2f}"
        return Estimate(None, "fraction", reason=f"{rates} add up to 1 or less: the calls say nothing")
    if not 0 <= corrected <= 1:
        percent = f"{100 * corrected:.1f}".replace("-", "−")
        return Estimate(None, "fraction", reason=f"the correction leads to {percent} %, which is impossible")
    low, high = quantiles(by_cell, level)
    # What rests on an interval that cannot be trusted, or on another marker, cannot be trusted either.
    notes = ["measured on a single patient"] if error.patients == 1 else []
    notes += [AS_INDEPENDENT] if error.patients > 1 and len(error.by_patient) < 2 else []
    notes += [f"measured on {error.patients} patients"] if 1 < error.patients < LEAST_PATIENTS else []
    notes += [elsewhere] if elsewhere else []
    notes += dict.fromkeys(each.note for each in fraction.intervals if not each.reliable)
    interval = Interval(
        min(low, corrected),
        max(high, corrected),
        level,
        "sampling + miscalls, simulated",
        reliable=not notes,
        note="; ".join(notes),
    )
    return Estimate(corrected, "fraction", (interval,))


def quantiles(values: NDArray[np.float64], level: float) -> tuple[float, float]:
    """Return the limits that hold so much of the values (n,), the same left out on either side."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))
