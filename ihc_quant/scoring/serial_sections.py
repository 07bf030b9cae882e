"""Ratios of densities, and bounds on cells that carry two markers, from sections of one biopsy.

A serial section does not show the same cells, so what two of them bear is the ratio of densities over the same kind of
region. Thickness cancels in it only where both sections are equally thick and their cells equally large: profiles per
area go with t + D, section thickness plus diameter of the nucleus (Abercrombie 1946, 10.1002/ar.1090940210).
"""

from collections.abc import Iterator, Sequence
from itertools import product

from ihc_quant.domain.score import Estimate, Interval
from ihc_quant.domain.serial_sections import (
    DOUBLE_STAIN,
    MISSED_NUCLEI,
    CoexpressionBounds,
    DensityRatio,
    FractionRange,
)
from ihc_quant.scoring.bootstrap import FEWEST_BLOCKS, ratio_interval
from ihc_quant.scoring.density_error import carry_ratio_error
from ihc_quant.scoring.intervals import outer_limits, poisson_ratio_interval
from ihc_quant.scoring.panel_section import MissingSection, PanelSection, Side, refuse_pair
from ihc_quant.scoring.score import ScoreSettings
from ihc_quant.scoring.section_cautions import pair_cautions

RATIOS: tuple[tuple[str, str], ...] = (("CD4", "CD8"), ("CCR4", "CD4"))
"""Ratios that a biopsy's report gives, numerator first."""

COEXPRESSED: tuple[str, str] = ("CD4", "CCR4")
"""Markers whose joint fraction is bounded."""


def density_ratio(numerator: Side, denominator: Side, settings: ScoreSettings | None = None) -> DensityRatio:
    """Return the ratio of two sections' densities of positive cells.

    Parameters
    ----------
    numerator, denominator : PanelSection or MissingSection
        Sections of one biopsy that show different markers.
    settings : ScoreSettings, optional
        Level, draws, seed and the fewest blocks of a reliable interval.

    Returns
    -------
    DensityRatio
        With the exact interval of independent cells, where blocks allow it the block bootstrap after it, and last,
        where the network's error of both densities is known, the interval that holds that too. None with the reason
        where a section is missing, sites or regions do not match, or a density is 0.

    Raises
    ------
    ValueError
        Where both sections show the same marker.
    """
    settings = settings or ScoreSettings()
    sides = numerator.counted, denominator.counted
    refusal = refuse_pair(numerator, denominator)
    if refusal or isinstance(numerator, MissingSection) or isinstance(denominator, MissingSection):
        return DensityRatio(*sides, Estimate(None, "ratio", reason=refusal))
    densities = [side.score.positive_density_per_mm2.value for side in (numerator, denominator)]
    absent = [
        f"the density of {side.marker}+ cells on {side.slide_id} is "
        + ("0" if value == 0 else f"not known: {side.score.positive_density_per_mm2.reason}")
        for side, value in zip((numerator, denominator), densities, strict=True)
        if not value
    ]
    if absent or densities[0] is None or densities[1] is None:
        return DensityRatio(*sides, Estimate(None, "ratio", reason="; ".join(absent)))
    one, other = numerator.score.counts, denominator.score.counts
    poisson = poisson_ratio_interval(
        one.positive, one.area_um2 / 1e6, other.positive, other.area_um2 / 1e6, settings.level
    )
    spatial = _spatial_interval(numerator, denominator, settings)
    intervals = (poisson,) if spatial is None else (poisson, spatial)
    unreliable = _unreliable(numerator, denominator, spatial)
    ratio = carry_ratio_error(
        Estimate(densities[0] / densities[1], "ratio", intervals),
        numerator.density,
        denominator.density,
        level=settings.level,
        draws=settings.measurement_draws,
        seed=settings.seed,
    )
    return DensityRatio(
        *sides,
        ratio,
        pair_cautions(numerator, denominator) + unreliable,
    )


def frechet_bounds(one: FractionRange, other: FractionRange) -> FractionRange:
    """Return the bounds on the fraction of cells that carry both, max(0, f₁ + f₂ − 1) to min(f₁, f₂).

    Parameters
    ----------
    one, other : FractionRange
        Range in which each marker's fraction lies; each bound is made of its own ends.

    Notes
    -----
    Fréchet 1935, Fundamenta Mathematicae 25:379.

    Examples
    --------
    Of 100 cells 70 carry one marker and 60 the other: at least 30 carry both and at most 60.

    >>> bounds = frechet_bounds(FractionRange(0.7, 0.7), FractionRange(0.6, 0.6))
    >>> round(bounds.low, 12), bounds.high
    (0.3, 0.6)
    """
    high = min(one.high, other.high)
    # Rounding may lift the lower bound over the upper one by the last digit.
    return FractionRange(min(max(0.0, one.low + other.low - 1), high), high)


def coexpression_bounds(one: Side, other: Side) -> CoexpressionBounds:
    """Return the bounds on the fraction of nucleated cells that carry the markers of both sections.

    Parameters
    ----------
    one, other : PanelSection or MissingSection
        Sections of one biopsy that show different markers. Each fraction is over its own section's cells.

    Returns
    -------
    CoexpressionBounds
        Widened by the outer limits of all intervals of both fractions. None with the reason where a section is missing
        or has no cells, or sites or regions do not match.

    Raises
    ------
    ValueError
        Where both sections show the same marker.
    """
    refusal = refuse_pair(one, other)
    if refusal or isinstance(one, MissingSection) or isinstance(other, MissingSection):
        return CoexpressionBounds(one.counted, other.counted, None, None, refusal)
    fractions = [side.score.positive_fraction for side in (one, other)]
    reasons = [f"{side.slide_id}: {f.reason}" for side, f in zip((one, other), fractions, strict=True) if f.reason]
    if reasons:
        return CoexpressionBounds(one.counted, other.counted, None, None, "; ".join(reasons))
    values = [FractionRange(f.value or 0.0, f.value or 0.0) for f in fractions]
    limits = [FractionRange(max(0.0, low), min(1.0, high)) for low, high in map(outer_limits, fractions)]
    doubts = tuple(
        f"{side.marker}: interval unreliable ({interval.method}): {interval.note}."
        for side, fraction in zip((one, other), fractions, strict=True)
        for interval in fraction.intervals
        if not interval.reliable
    )
    warnings = (MISSED_NUCLEI, DOUBLE_STAIN, *pair_cautions(one, other, densities=False), *doubts)
    return CoexpressionBounds(
        one.counted, other.counted, frechet_bounds(*values), frechet_bounds(*limits), warnings=warnings
    )


def panel_ratios(sections: Sequence[Side], settings: ScoreSettings | None = None) -> tuple[DensityRatio, ...]:
    """Return all ratios of ``RATIOS`` of a biopsy.

    Parameters
    ----------
    sections : sequence of PanelSection or MissingSection
        One a section and region; a section that failed altogether once, as missing. A region that a section does not
        have is simply left out: the pair is then refused with that reason.
    settings : ScoreSettings, optional

    Returns
    -------
    tuple of DensityRatio
        By kind of region, then ratio. Every pair of sections is given, because sections that show the same marker are
        never averaged silently. A pair is left out over a kind of region that neither of its sections has; one neither
        of whose sections was scored at all is given once.
    """
    return tuple(density_ratio(one, other, settings) for one, other in _pairs(sections, RATIOS))


def panel_bounds(sections: Sequence[Side]) -> tuple[CoexpressionBounds, ...]:
    """Return the bounds on cells that carry CD4 and CCR4, by kind of region; pairs as in ``panel_ratios``."""
    return tuple(coexpression_bounds(one, other) for one, other in _pairs(sections, (COEXPRESSED,)))


def _kinds(sections: Sequence[Side]) -> tuple[str, ...]:
    """Return the kinds of regions in order; one empty kind where no section was scored."""
    kinds = dict.fromkeys(side.region.kind for side in sections if isinstance(side, PanelSection))
    return tuple(kinds) or ("",)


def _pairs(sections: Sequence[Side], markers: Sequence[tuple[str, str]]) -> Iterator[tuple[Side, Side]]:
    """Yield the pairs of sections by kind of region, then markers."""
    scored = {side.slide_id for side in sections if isinstance(side, PanelSection)}
    for place, kind in enumerate(_kinds(sections)):
        for one, other in markers:
            for pair in product(_sides(sections, kind, one), _sides(sections, kind, other)):
                # Two sections that were never scored would be refused alike over every kind of region.
                never = scored.isdisjoint(side.slide_id for side in pair)
                if any(isinstance(side, PanelSection) for side in pair) or (never and place == 0):
                    yield pair


def _sides(sections: Sequence[Side], kind: str, marker: str) -> list[Side]:
    """Return the sections that show a marker, those without this kind of region as missing."""
    sides: list[Side] = []
    for side in sections:
        known = {found.slide_id for found in sides}
        if side.marker != marker:
            continue
        if isinstance(side, MissingSection) or side.region.kind == kind:
            sides.append(side)
        elif side.slide_id not in known and not _has_region(sections, side.slide_id, kind):
            reason = f"{side.slide_id} ({marker}) was not scored over {kind}"
            sides.append(MissingSection(marker, reason, side.slide_id))
    return sides or [MissingSection(marker, f"the biopsy has no {marker} section")]


def _has_region(sections: Sequence[Side], slide_id: str, kind: str) -> bool:
    return any(
        isinstance(side, PanelSection) and side.slide_id == slide_id and side.region.kind == kind for side in sections
    )


def _spatial_interval(numerator: PanelSection, denominator: PanelSection, settings: ScoreSettings) -> Interval | None:
    if numerator.blocks is None or denominator.blocks is None:
        return None
    # The stream goes with the section, not with its place in the ratio, so that the inverse has the inverse limits.
    first = numerator.marker < denominator.marker
    return ratio_interval(
        numerator.blocks,
        denominator.blocks,
        level=settings.level,
        draws=settings.draws,
        seed=settings.seed,
        streams=(0, 1) if first else (1, 0),
        min_blocks=settings.min_blocks,
    )


def _unreliable(numerator: PanelSection, denominator: PanelSection, spatial: Interval | None) -> tuple[str, ...]:
    """Return the sentence that must stand beside an interval that cannot be trusted."""
    if spatial is not None:
        return () if spatial.reliable else (f"Interval unreliable: {spatial.note}.",)
    few = [
        f"{side.slide_id} has {len(side.blocks)} blocks of tissue, fewer than {FEWEST_BLOCKS}"
        for side in (numerator, denominator)
        if side.blocks is not None and len(side.blocks) < FEWEST_BLOCKS
    ]
    uncut = [f"{side.slide_id} was not cut into blocks" for side in (numerator, denominator) if side.blocks is None]
    reason = "; ".join(few + uncut) or "the blocks of a section do not differ"
    return (f"Interval unreliable: no spatial interval ({reason}); the one given is too narrow where cells cluster.",)
