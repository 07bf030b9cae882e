"""What each published CCR4 scheme says of a section: a category, "indeterminate", or why it is not applicable."""

from collections.abc import Sequence
from dataclasses import dataclass

from ihc_quant.domain.ccr4 import Ccr4Scheme, FractionCut, Outcome, SchemeVerdict
from ihc_quant.domain.score import Estimate
from ihc_quant.domain.serial_sections import AnalysedRegion
from ihc_quant.scoring.bootstrap import SPATIAL_METHOD
from ihc_quant.scoring.ccr4_schemes import CCR4_SCHEMES, NUCLEATED_CELLS
from ihc_quant.scoring.intervals import outer_limits
from ihc_quant.scoring.network_error import MEASUREMENT_METHOD
from ihc_quant.scoring.score import INSUFFICIENT, NO_BLOCKS, NO_SPATIAL


@dataclass(frozen=True, slots=True)
class Ccr4Reading:
    """The CCR4+ fraction of one section over one region.

    Attributes
    ----------
    slide_id, site : str
        As the manifest states them.
    region : AnalysedRegion
    fraction : Estimate
        With all its intervals; the category is that of their outer limits, and wants both a spatial one and one that
        holds the network's error.
    denominator : str
        Cells that the fraction is of.
    clone : str
        Antibody of the section; empty where it is not recorded.
    cautions : tuple of str
        Of the region's score.
    """

    slide_id: str
    site: str
    region: AnalysedRegion
    fraction: Estimate
    denominator: str = NUCLEATED_CELLS
    clone: str = ""
    cautions: tuple[str, ...] = ()


def judge_all(readings: Sequence[Ccr4Reading]) -> tuple[SchemeVerdict, ...]:
    """Return the verdicts of all schemes, in their order: none is picked, none left out.

    Parameters
    ----------
    readings : sequence of Ccr4Reading
        All regions of all CCR4 sections of a biopsy; may be empty.
    """
    return tuple(verdict for scheme in CCR4_SCHEMES for verdict in judge(scheme, readings))


def judge(scheme: Ccr4Scheme, readings: Sequence[Ccr4Reading]) -> tuple[SchemeVerdict, ...]:
    """Return what one scheme says of a biopsy.

    Returns
    -------
    tuple of SchemeVerdict
        One for each section that has the region which the scheme needs; a single "not applicable" where none has.
    """
    if scheme.cut is None:
        return (_not_applicable(scheme, scheme.unnumbered),)
    if not readings:
        return (_not_applicable(scheme, "needs a scored CCR4 section"),)
    if scheme.sites and not any(reading.site in scheme.sites for reading in readings):
        here = ", ".join(dict.fromkeys(reading.site for reading in readings))
        return (_not_applicable(scheme, f"needs a biopsy of {' or '.join(scheme.sites)}; this one is of {here}"),)
    at_site = [reading for reading in readings if not scheme.sites or reading.site in scheme.sites]
    of_kind = [reading for reading in at_site if reading.region.kind == scheme.region]
    drawn = [reading for reading in of_kind if reading.region.origin == "drawn"]
    if not drawn:
        state = "; the one here was proposed by the software and not reviewed" if of_kind else ""
        return (_not_applicable(scheme, f"needs a drawn or confirmed {scheme.region} region{state}"),)
    return tuple(_judge_reading(scheme, scheme.cut, reading) for reading in drawn)


def _judge_reading(scheme: Ccr4Scheme, cut: FractionCut, reading: Ccr4Reading) -> SchemeVerdict:
    if reading.denominator != NUCLEATED_CELLS:
        return _not_applicable(
            scheme, f"needs the percentage of {NUCLEATED_CELLS}, not of {reading.denominator}", reading.slide_id
        )
    if reading.fraction.value is None:
        return _not_applicable(scheme, f"needs a percentage; {reading.fraction.reason}", reading.slide_id)
    if few := _said(reading, INSUFFICIENT):
        return _not_applicable(scheme, f"too few cells ({few.removeprefix(INSUFFICIENT)})", reading.slide_id)
    low, high = outer_limits(reading.fraction)
    # A value above the cut stays above when it grows, so the two limits decide.
    above = cut.is_above(low), cut.is_above(high)
    figures = f"{_percent(reading.fraction.value)} ({_percent(low)} to {_percent(high)})"
    outcome: Outcome = "indeterminate"
    category = ""
    if above[0] != above[1]:
        text = f"indeterminate: {figures} straddles the cut {cut.label}"
    elif lacking := _lacking_interval(reading):
        text = f"indeterminate: {lacking}; {figures}, cut {cut.label}"
    else:
        outcome, category = "category", scheme.categories[above[0]]
        text = f"{category}: {figures}, cut {cut.label}"
    return SchemeVerdict(
        scheme,
        outcome,
        category,
        text,
        reading.slide_id,
        reading.region,
        reading.fraction.value,
        low,
        high,
        _notes(scheme, reading),
    )


def _lacking_interval(reading: Ccr4Reading) -> str:
    """Return which interval is not there, so that the limits are narrower than what is known; nothing where all are."""
    methods = [interval.method for interval in reading.fraction.intervals]
    if not any(method.startswith(SPATIAL_METHOD) for method in methods):
        return (_said(reading, NO_SPATIAL) or f"{NO_SPATIAL}({NO_BLOCKS})").partition(";")[0]
    if not any(method.startswith(MEASUREMENT_METHOD) for method in methods):
        return "measurement error is not known for these calls"
    return ""


def _said(reading: Ccr4Reading, beginning: str) -> str:
    """Return the caution that begins so; nothing where none does."""
    return next((caution for caution in reading.cautions if caution.startswith(beginning)), "")


def _not_applicable(scheme: Ccr4Scheme, needs: str, slide_id: str = "") -> SchemeVerdict:
    return SchemeVerdict(scheme, "not applicable", "", f"not applicable: {needs}", slide_id, notes=scheme.scope)


def _notes(scheme: Ccr4Scheme, reading: Ccr4Reading) -> tuple[str, ...]:
    """Return what stands beside a verdict: its scope, the antibody, and what makes its interval doubtful."""
    clone = reading.clone or "clone not recorded"
    doubts = tuple(
        f"Interval unreliable ({interval.method}): {interval.note}."
        for interval in reading.fraction.intervals
        if not interval.reliable
    )
    antibody = f"Antibody of the scheme: {scheme.antibody}; of this section: {clone}."
    return (*scheme.scope, antibody, *(f"{caution[:1].upper()}{caution[1:]}." for caution in reading.cautions), *doubts)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"
