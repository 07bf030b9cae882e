"""How far percentage, density and H-score move with the thresholds they are made with."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.score import CellCounts, Estimate
from ihc_quant.domain.sensitivity import ThresholdSensitivity, Variant
from ihc_quant.scoring.calls import CallRule, call_values
from ihc_quant.scoring.counts import NO_CELLS, count_cells
from ihc_quant.scoring.score import NO_AREA, h_score, positive_density_per_mm2, positive_fraction
from ihc_quant.scoring.uncertain import off_band

OD_FACTORS: tuple[float, float] = (0.75, 1.25)
"""The cuts of optical density are moved by a quarter either way."""

CUTS_GRADE_ONLY = (
    "Cells are called by the network's probability: the cuts of optical density move grades and H-score, not the "
    "percentage."
)
"""Note for calls of the network."""

NO_BAND = "Cells are called by optical density: there is no band of uncertain calls."
"""Note for calls by optical density."""


def threshold_sensitivity(
    p_positive: NDArray[np.float32],
    od: NDArray[np.float32],
    rule: CallRule,
    band: tuple[float, float],
    area_um2: float,
) -> ThresholdSensitivity:
    """Score the same cells under other thresholds.

    Parameters
    ----------
    p_positive : ndarray, shape (n,), float32
        The network's probability of each cell.
    od : ndarray, shape (n,), float32
        Optical density (log10) from the column ``rule.od_column``.
    rule : CallRule
        As the section is scored.
    band : tuple of float
        Band of uncertain calls, as ``ihc_quant.scoring.uncertain.count_uncertain`` takes it.
    area_um2 : float
        Area in which the cells were found.

    Returns
    -------
    ThresholdSensitivity
        Cuts of optical density times 0.75 and 1.25 and, where the network calls, the threshold at the lower and at the
        upper end of the band: all uncertain calls positive, and none. A band that does not hold the rule's threshold
        is left out, and a note says so.

    Raises
    ------
    ValueError
        Where the band does not run upwards within 0 to 1.

    Examples
    --------
    A cut of 0.2 falls to 0.15 and takes one more of four cells in.

    >>> p, od = np.float32([0.1, 0.1, 0.9, 0.9]), np.float32([0.1, 0.17, 0.3, 0.7])
    >>> moved = threshold_sensitivity(p, od, CallRule(mode="od"), (0.4, 0.6), 1e6)
    >>> moved.chosen.positive_fraction.value, moved.others[0].positive_fraction.value
    (0.5, 0.75)
    """
    (low, high), apart = band, off_band(rule.p_threshold, band)
    named = [(f"OD cuts × {factor:g}", moved) for factor, moved in zip(OD_FACTORS, moved_rules(rule), strict=True)]
    notes = [CUTS_GRADE_ONLY if rule.mode == "network" else NO_BAND]
    if rule.mode == "network" and apart:
        notes.append(f"What uncertain calls would change cannot be said: {apart}.")
    elif rule.mode == "network":
        named.append(("uncertain calls all positive", replace(rule, p_threshold=low)))
        named.append(("uncertain calls all negative", replace(rule, p_threshold=high)))
    others = tuple(_variant(name, p_positive, od, moved, area_um2) for name, moved in named)
    return ThresholdSensitivity(_variant("as scored", p_positive, od, rule, area_um2), others, tuple(notes))


def fraction_by_threshold(values: NDArray[np.float32], thresholds: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the fraction of cells that reach each threshold; never rises with the threshold.

    Parameters
    ----------
    values : ndarray, shape (n,), float32
        Probabilities or optical densities of at least one cell.
    thresholds : ndarray, shape (t,), float32
        Compared with ≥, as calls are.

    Raises
    ------
    ValueError
        Where there are no cells.

    Examples
    --------
    >>> fraction_by_threshold(np.float32([0.1, 0.2, 0.2, 0.9]), np.float32([0.0, 0.2, 0.5])).tolist()
    [1.0, 0.75, 0.25]
    """
    if len(values) == 0:
        raise ValueError("no cells reach no threshold")
    below = np.searchsorted(np.sort(values), thresholds, side="left")
    return np.asarray(1 - below / len(values), np.float64)


def moved_rules(rule: CallRule) -> tuple[CallRule, ...]:
    """Return the rule with its cuts of optical density times each of ``OD_FACTORS``."""
    one, two, three = rule.cuts_od
    return tuple(replace(rule, cuts_od=(one * factor, two * factor, three * factor)) for factor in OD_FACTORS)


def _variant(
    name: str, p_positive: NDArray[np.float32], od: NDArray[np.float32], rule: CallRule, area_um2: float
) -> Variant:
    counts = count_cells(call_values(p_positive, od, rule)[1], area_um2)
    threshold = rule.p_threshold if rule.mode == "network" else None
    return Variant(name, threshold, rule.cuts_od, counts, *_figures(counts))


def _figures(counts: CellCounts) -> tuple[Estimate, Estimate, Estimate]:
    """Return fraction, density and H-score; without cells there is none, also no density."""
    if counts.total == 0:
        return (
            Estimate(None, "fraction", reason=NO_CELLS),
            _no_density(NO_CELLS),
            Estimate(None, "H-score", reason=NO_CELLS),
        )
    density = positive_density_per_mm2(counts)
    return (
        Estimate(positive_fraction(counts), "fraction"),
        _no_density(NO_AREA) if density is None else Estimate(density, "cells/mm²"),
        Estimate(h_score(counts), "H-score"),
    )


def _no_density(reason: str) -> Estimate:
    return Estimate(None, "cells/mm²", reason=reason)
