"""The figures over several sections as one row of the cohort table has them: one ratio a name, one text a scheme."""

from ihc_quant.domain.biopsy import BiopsyReport
from ihc_quant.domain.outcome import Scored
from ihc_quant.domain.score import Estimate
from ihc_quant.domain.serial_sections import CountedSection, DensityRatio
from ihc_quant.report.cohort_entry import BETWEEN, COHORT_RATIOS


def cohort_ratios(report: BiopsyReport) -> dict[str, Estimate]:
    """Return the density ratios over all that was analysed of each section.

    Returns
    -------
    dict of name to Estimate
        None with the reason where a ratio cannot be given, and where several pairs of sections give one each: they are
        never averaged.
    """
    whole = {outcome.slide_id: outcome.region.kind for outcome in report.outcomes if isinstance(outcome, Scored)}
    found: dict[str, Estimate] = {}
    for name in COHORT_RATIOS:
        over_whole = [
            ratio
            for ratio in report.panel.ratios
            if ratio.name == name and all(_is_whole(side, whole) for side in (ratio.numerator, ratio.denominator))
        ]
        if over_whole:
            found[name] = _one(over_whole)
    return found


def cohort_schemes(report: BiopsyReport) -> dict[str, str]:
    """Return what each scheme says, by its id; with the section's name where it judges several."""
    found: dict[str, list[str]] = {}
    verdicts = report.panel.schemes
    for verdict in verdicts:
        several = sum(other.scheme.id == verdict.scheme.id for other in verdicts) > 1
        text = f"{verdict.slide_id}: {verdict.text}" if several and verdict.slide_id else verdict.text
        found.setdefault(verdict.scheme.id, []).append(text)
    return {name: BETWEEN.join(texts) for name, texts in found.items()}


def _is_whole(side: CountedSection, whole: dict[str, str]) -> bool:
    return side.region is None or side.region.kind == whole.get(side.slide_id)


def _one(ratios: list[DensityRatio]) -> Estimate:
    """Return the one ratio there is, or why there is none."""
    pairs = {(ratio.numerator.slide_id, ratio.denominator.slide_id): ratio for ratio in reversed(ratios)}
    if len(pairs) == 1:
        given = [ratio.ratio for ratio in ratios if ratio.ratio.value is not None]
        return given[0] if given else ratios[0].ratio
    reasons = dict.fromkeys(ratio.ratio.reason for ratio in ratios if ratio.ratio.reason)
    if len(reasons) == 1 and all(ratio.ratio.value is None for ratio in ratios):
        return Estimate(None, "ratio", reason=next(iter(reasons)))
    return Estimate(
        None, "ratio", reason=f"{len(pairs)} pairs of sections, which are not averaged; the report gives each"
    )
