"""The network's own error carried into densities and their ratios: their interval "sampling + measurement".

The card of the weights states, for each image set, how far the number of positive cells of an image was off, on the
logarithmic scale, and the same of all cells. As with the percentage (``network_error``) the error is seen in two ways,
each gives an interval, and the wider end counts on either side.

- **Images.** ln(found / true) of a new image is drawn from bias + s √(1 + 1/k) t, t of Student's distribution with
  k − 1 degrees of freedom, k the patients (Gelman et al., Bayesian Data Analysis, 3rd edition, section 3.2), and the
  density is divided by its exponential. Images with few true cells were left out, so this says nothing of tissue with
  hardly any positive cells.
- **Cells.** The share of positive cells is corrected by drawn sensitivities and specificities (Rogan and Gladen 1978,
  10.1093/oxfordjournals.aje.a112510) and multiplied by the density of all cells, itself divided by the drawn error of
  their number. There each false positive weighs more the fewer positive cells there are.

Sampling is drawn from a two-piece normal distribution with the limits of the widest sampling interval, of the logarithm
where the lower limit is above 0. Which sets are taken, and how far the interval reaches, is as with the percentage.

The errors of the two densities of a ratio are drawn apart, each section's from any of the sets. Both come from one
network, so that a part of them cancels in truth; how much is not known for two markers on two sections, and errors
taken as independent give the wider interval.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import expm1

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ihc_quant.domain.measurement_error import LogCountError, MeasurementError
from ihc_quant.domain.score import CellCounts, Estimate
from ihc_quant.scoring.intervals import outer_limits
from ihc_quant.scoring.network_error import (
    MEASUREMENT_DRAWS,
    MEASUREMENT_METHOD,
    draw_corrected,
    place_of,
    sets_for,
    where_measured,
    with_measurement,
)

COUNTS = "number of positive cells: "
"""How the statement begins of what is known of the error of a density."""


@dataclass(frozen=True, slots=True)
class CountedDensity:
    """A density of positive cells, and what is known of the error of their number.

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
        What the error was measured on, or that it is not known; empty where the card states no error at all.
    """
    if not counted.errors:
        return counted.density, ""
    used, doubt = _sets(counted)
    if not used:
        return counted.density, f"{COUNTS}measurement error unknown: {_why_unknown(counted.errors)}"
    statement = f"{COUNTS}measured on {'; '.join(_details(error) for error in used)}{doubt}"
    if counted.density.value is None:
        return counted.density, statement
    limits = [_limits(true, level) for true in _true_densities(counted, used, level, draws, (seed, 0))]
    return with_measurement(counted.density, limits, level, draws, where_measured(used, doubt)), statement


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
    sides = [(counted, *_sets(counted)) for counted in (numerator, denominator)]
    if not all(used for _, used, _ in sides):
        return ratio
    # The stream goes with the section, not with its place in the ratio, so that the inverse has the inverse limits.
    first = numerator.marker < denominator.marker
    above, below = (
        [np.log(np.maximum(true, _half_a_cell(counted))) for true in _true_densities(counted, used, level, draws, key)]
        for (counted, used, _), key in zip(sides, ((seed, 1 + first), (seed, 2 - first)), strict=True)
    )
    limits = [_limits(one - other, level) for one in above for other in below]
    doubtful = [(used, doubt) for _, used, doubt in sides if doubt]
    note = where_measured(
        [error for used, _ in doubtful for error in used], "".join(dict.fromkeys(doubt for _, doubt in doubtful))
    )
    ends = [(float(np.exp(low)), float(np.exp(high))) for low, high in limits]
    return with_measurement(ratio, ends, level, draws, note)


def _sets(counted: CountedDensity) -> tuple[list[MeasurementError], str]:
    """Return the sets that tell the error of this count, and what to add where the marker is not among them."""
    return sets_for(counted.marker, [error for error in counted.errors or () if _told(error.positive_count)])


def _told(error: LogCountError | None) -> bool:
    """Return whether an error is known well enough: a single patient does not tell how patients differ."""
    return error is not None and error.patients > 1


def _why_unknown(errors: Sequence[MeasurementError]) -> str:
    single = [error for error in errors if error.positive_count is not None]
    if not single:
        return "the card of the weights states none"
    return f"measured on a single patient ({'; '.join(_details(error) for error in single)})"


def _details(error: MeasurementError) -> str:
    count = error.positive_count
    assert count is not None  # only such sets are described
    images = "1 image" if count.images == 1 else f"{count.images} images"
    patients = "1 patient" if count.patients == 1 else f"{count.patients} patients"
    images += "" if count.patients == count.images > 1 else f" of {patients}"
    off = f"{100 * expm1(count.bias_log):+.0f}".replace("-", "−")
    return (
        f"{place_of(error)} ({images} with at least {count.least_cells} such cells, {error.how}: {off} % on average, "
        f"standard deviation {100 * expm1(count.sd_log):.0f} %)"
    )


def _true_densities(
    counted: CountedDensity,
    errors: Sequence[MeasurementError],
    level: float,
    draws: int,
    key: tuple[int, int],
) -> Iterator[NDArray[np.float64]]:
    """Return draws (n,) of the true density, cells/mm², by each way to see the error of each set.

    ``key`` is the seed and the section's stream; each set is drawn alike, so that their order does not count.
    """
    sampled = _sampled(counted.density, level, draws, _generator(*key, 0))
    all_per_mm2 = counted.counts.total / (counted.counts.area_um2 / 1e6)
    for error in errors:
        if error.positive_count is not None:
            yield _undo(sampled, error.positive_count, _generator(*key, 1))
        if error.cell_count is not None and _told(error.cell_count):
            share = np.clip(sampled / all_per_mm2, 0, 1)
            corrected = draw_corrected(error, share, _generator(*key, 2))
            if corrected is not None:
                yield _undo(corrected * all_per_mm2, error.cell_count, _generator(*key, 3))


def _sampled(density: Estimate, level: float, draws: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return draws of the density under sampling alone, of which ``level`` lie in the widest interval."""
    value = density.value or 0.0
    sampling = tuple(each for each in density.intervals if not each.method.startswith(MEASUREMENT_METHOD))
    low, high = outer_limits(replace(density, intervals=sampling))
    z = random.standard_normal(draws) / float(ndtri(0.5 + level / 2))
    if low > 0:
        return np.asarray(value * np.exp(np.where(z < 0, np.log(value / low), np.log(high / value)) * z), np.float64)
    return np.asarray(np.maximum(value + np.where(z < 0, value, high - value) * z, 0), np.float64)


def _undo(found: NDArray[np.float64], error: LogCountError, random: np.random.Generator) -> NDArray[np.float64]:
    """Return true densities behind found ones, the error of a new patient drawn for each."""
    off = random.standard_t(error.patients - 1, len(found)) * (1 + 1 / error.patients) ** 0.5
    # A draw beyond e to this changes no limit, and would be no number of cells.
    return np.asarray(found * np.exp(-np.clip(error.bias_log + error.sd_log * off, -300, 300)), np.float64)


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
