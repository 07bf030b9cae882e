"""The network's own error carried into densities and their ratios: their interval "sampling + measurement".

The card of the weights states, for each image set, how far the number of positive cells of an image was off, on the
logarithmic scale, and the same of all cells. As with the percentage (``network_error``) the error is seen in two ways,
each gives an interval, and the wider end counts on either side.

- **Images.** ln(found / true) of a new patient is drawn (``ihc_quant.scoring.error_sets``), and the density is divided
  by its exponential. Images with few true cells were left out, so this says nothing of tissue with hardly any positive
  cells.
- **Cells.** The share of positive cells is corrected by drawn sensitivities and specificities (Rogan and Gladen 1978,
  10.1093/oxfordjournals.aje.a112510) and multiplied by the density of all cells, itself divided by the drawn error of
  their number. There each false positive weighs more the fewer positive cells there are.

Sampling is drawn from a two-piece normal distribution with the limits of the widest sampling interval, of the logarithm
where the lower limit is above 0. Which sets are taken, and how far the interval reaches, is as with the percentage. Of
the density of all cells only their own number errs.

The errors of the two densities of a ratio are drawn apart, each section's from any of the sets. Both come from one
network, so that a part of them cancels in truth; how much is not known for two markers on two sections, and errors
taken as independent give the wider interval.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import expm1

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ihc_quant.domain.measurement_error import LogCountError, MeasurementError
from ihc_quant.domain.score import CellCounts, Estimate
from ihc_quant.scoring.error_sets import KnownError, Spread, images_of, known_error, place_of, places_of
from ihc_quant.scoring.intervals import outer_limits
from ihc_quant.scoring.network_error import (
    MEASUREMENT_DRAWS,
    MEASUREMENT_METHOD,
    OTHER_CALLS,
    draw_corrected,
    with_measurement,
)

HIGHEST_LOG = 300.0
"""A drawn error beyond e to this changes no limit, and would be no number of cells."""


@dataclass(frozen=True, slots=True)
class CountedDensity:
    """A density of positive cells or of all cells, and what is known of the error of their number.

    Attributes
    ----------
    marker : str
        One of ``ihc_quant.domain.stain.MARKERS``.
    counts : CellCounts
    density : Estimate
        With the intervals of sampling; one that holds the network's error already is not drawn from.
    errors : sequence of MeasurementError or None
        What the weights' card states, in any order; None where these calls are not those it was measured with.
    """

    marker: str
    counts: CellCounts
    density: Estimate
    errors: Sequence[MeasurementError] | None


def carry_density_error(
    counted: CountedDensity, *, level: float = 0.95, draws: int = MEASUREMENT_DRAWS, seed: int = 0
) -> tuple[Estimate, str]:
    """Carry the network's error into a density.

    Parameters
    ----------
    counted : CountedDensity
    level : float
        Confidence.
    draws, seed : int
        Of the simulation.

    Returns
    -------
    Estimate
        The same density; where the error is known, its last interval is "sampling + measurement" and holds the others.
    str
        What the error was measured on, or that it is not known.
    """
    if counted.errors is None:
        return counted.density, OTHER_CALLS
    known = _known(counted)
    statement = known.statement(partial(_details, _positive_count, "such cells"))
    if counted.density.value is None or not known.drawn:
        return counted.density, statement
    limits = [_limits(true, level) for true in _true_densities(counted, known, level, draws, (seed, 0))]
    return with_measurement(counted.density, limits, level, draws, known.note), statement


def carry_cell_density_error(
    counted: CountedDensity, *, level: float = 0.95, draws: int = MEASUREMENT_DRAWS, seed: int = 0
) -> tuple[Estimate, str]:
    """Carry the network's error into the density of all nucleated cells, positive or not.

    Parameters and returns are those of ``carry_density_error``; ``counted.density`` is that of all cells. How cells are
    called makes no difference to it, but a card states one error for all its calls, so it is not known without these.
    """
    if counted.errors is None:
        return counted.density, OTHER_CALLS
    known = known_error(counted.marker, counted.errors, lambda error: _spread(_cell_count(error)))
    statement = known.statement(partial(_details, _cell_count, "cells"))
    if counted.density.value is None or not known.drawn:
        return counted.density, statement
    sampled = _sampled(counted.density, level, draws, _generator(seed, 3, 0))
    limits = [_limits(_undo(sampled, spread, _generator(seed, 3, 1)), level) for _, spread in known.drawn]
    return with_measurement(counted.density, limits, level, draws, known.note), statement


def carry_ratio_error(
    ratio: Estimate,
    numerator: CountedDensity,
    denominator: CountedDensity,
    *,
    level: float = 0.95,
    draws: int = MEASUREMENT_DRAWS,
    seed: int = 0,
) -> Estimate:
    """Carry the network's error into a ratio of two densities.

    Parameters
    ----------
    ratio : Estimate
        With a value and the intervals of sampling.
    numerator, denominator : CountedDensity
        Of different markers, both densities above 0.
    level : float
    draws, seed : int

    Returns
    -------
    Estimate
        The same ratio; where the error of both sides is known, its last interval is "sampling + measurement" and holds
        the others. The inverse ratio has the inverse limits.
    """
    sides = [(counted, _known(counted)) for counted in (numerator, denominator)]
    if not all(known.drawn for _, known in sides):
        return ratio
    # The stream goes with the section, not with its place in the ratio, so that the inverse has the inverse limits.
    first = numerator.marker < denominator.marker
    above, below = (
        [np.log(np.maximum(true, _half_a_cell(counted))) for true in _true_densities(counted, known, level, draws, key)]
        for (counted, known), key in zip(sides, ((seed, 1 + first), (seed, 2 - first)), strict=True)
    )
    limits = [_limits(one - other, level) for one in above for other in below]
    doubtful = [known for _, known in sides if known.doubt]
    places = places_of([error for known in doubtful for error, _ in known.drawn])
    doubts = "".join(dict.fromkeys(known.doubt for known in doubtful))
    note = f"measured on {places}{doubts}" if doubtful else ""
    ends = [(float(np.exp(low)), float(np.exp(high))) for low, high in limits]
    return with_measurement(ratio, ends, level, draws, note)


def _known(counted: CountedDensity) -> KnownError:
    """Return what is known of the error of the number of positive cells."""
    return known_error(counted.marker, counted.errors or (), lambda error: _spread(_positive_count(error)))


def _spread(count: LogCountError | None) -> Spread | None:
    return None if count is None else Spread(count.bias_log, count.sd_log, count.patients)


def _positive_count(error: MeasurementError) -> LogCountError | None:
    return error.positive_count


def _cell_count(error: MeasurementError) -> LogCountError | None:
    return error.cell_count


def _details(count_of: Callable[[MeasurementError], LogCountError | None], cells: str, error: MeasurementError) -> str:
    count = count_of(error)
    assert count is not None  # only such sets are described
    off = f"{100 * expm1(count.bias_log):+.0f}".replace("-", "−")
    return (
        f"{place_of(error)} ({images_of(count.images, count.patients)} with at least {count.least_cells} {cells}, "
        f"{error.how}: {off} % on average, standard deviation {100 * expm1(count.sd_log):.0f} %)"
    )


def _true_densities(
    counted: CountedDensity,
    known: KnownError,
    level: float,
    draws: int,
    key: tuple[int, int],
) -> Iterator[NDArray[np.float64]]:
    """Return draws (n,) of the true density, cells/mm², by each way to see the error of each set.

    ``key`` is the seed and the section's stream; each set is drawn alike, so that their order does not count.
    """
    sampled = _sampled(counted.density, level, draws, _generator(*key, 0))
    all_per_mm2 = counted.counts.total / (counted.counts.area_um2 / 1e6)
    for _, spread in known.drawn:
        yield _undo(sampled, spread, _generator(*key, 1))
    counted_too = [error for error, _ in known.drawn]
    of_cells = known_error(counted.marker, counted_too, lambda error: _spread(_cell_count(error)))
    share = np.clip(sampled / all_per_mm2, 0, 1)
    for error, spread in of_cells.drawn:
        corrected = draw_corrected(error, share, _generator(*key, 2))
        if corrected is not None:
            yield _undo(corrected * all_per_mm2, spread, _generator(*key, 3))


def _sampled(density: Estimate, level: float, draws: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return draws of the density under sampling alone, of which ``level`` lie in the widest interval."""
    value = density.value or 0.0
    sampling = tuple(each for each in density.intervals if not each.method.startswith(MEASUREMENT_METHOD))
    low, high = outer_limits(replace(density, intervals=sampling))
    z = random.standard_normal(draws) / float(ndtri(0.5 + level / 2))
    if low > 0:
        return np.asarray(value * np.exp(np.where(z < 0, np.log(value / low), np.log(high / value)) * z), np.float64)
    return np.asarray(np.maximum(value + np.where(z < 0, value, high - value) * z, 0), np.float64)


def _undo(found: NDArray[np.float64], spread: Spread, random: np.random.Generator) -> NDArray[np.float64]:
    """Return true densities behind found ones, the error of a new patient drawn for each."""
    off = np.clip(spread.draw(len(found), random), -HIGHEST_LOG, HIGHEST_LOG)
    return np.asarray(found * np.exp(-off), np.float64)


def _half_a_cell(counted: CountedDensity) -> float:
    """Return the density of half a cell: what a ratio takes instead of none, as the card's errors do."""
    return 0.5 / (counted.counts.area_um2 / 1e6)


def _limits(values: NDArray[np.float64], level: float) -> tuple[float, float]:
    """Return the limits that leave the same number of values (n,) out on either side."""
    left_out = int(len(values) * (1 - level) / 2)
    ordered = np.partition(values, (left_out, len(values) - 1 - left_out))
    return float(ordered[left_out]), float(ordered[-1 - left_out])


def _generator(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(key))
