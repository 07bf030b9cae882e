"""The headline of a report: the figures to read first, each with what must be read with it."""

from collections.abc import Sequence
from dataclasses import dataclass

from ihc_quant.annotation.region_classes import COMPARTMENTS
from ihc_quant.domain.biopsy import BiopsyReport, PooledLevels
from ihc_quant.domain.outcome import Failed, NoTissue, RegionScore, Scored, Shown, SlideOutcome
from ihc_quant.domain.score import Estimate, MarkerScore
from ihc_quant.domain.serial_sections import SERIAL_SECTION_RATIO, AnalysedRegion, CountedSection, DensityRatio
from ihc_quant.report import figures
from ihc_quant.report.footnotes import JOINED, Footnotes, outer_bounds
from ihc_quant.report.page_blocks import Line
from ihc_quant.scoring.network_error import MEASUREMENT_METHOD
from ihc_quant.scoring.score import INSUFFICIENT, LOW_COUNT

HEADLINE_RATIOS: tuple[str, ...] = ("CCR4:CD4", "CD4:CD8")
CCR4 = "CCR4"
LEADING_REGIONS: tuple[str, ...] = ("infiltrate", "tumour")
"""Regions whose percentage says more than that of all tissue, where a person drew or confirmed them."""
IN_SKIN = "Nearly meaningless in skin, where keratinocytes and stroma count too: read the density."
"""Beside a percentage of nucleated cells in skin, unless a person drew where lymphocytes or tumour lie."""
NOT_REVIEWED = "Proposed by the software, not reviewed."
NO_ERROR_OF_DENSITY = (
    "Sampling + measurement: not known; for these weights and calls no usable error of the number of positive cells "
    "is stated"
)
"""Beside densities and their ratios for which it was not measured."""
NO_ERROR = "Sampling + measurement: not known"
"""Beside a percentage for which it was not measured."""
ERROR_NOTE = (
    "“Sampling” holds the chance of counting these cells; “sampling + measurement” also holds the network’s own error, "
    "as far as it was measured."
)
"""Below the headline."""


@dataclass(frozen=True, slots=True)
class Card:
    """One figure of the headline; ``lead`` is the one to read first."""

    title: str
    lines: tuple[Line, ...]
    lead: bool = False


def headline_cards(report: BiopsyReport) -> tuple[tuple[Card, ...], tuple[str, ...]]:
    """Return density and percentage of every CCR4 section, the ratios of densities, and why intervals are doubtful."""
    sections = [outcome for outcome in report.outcomes if outcome.stain.marker == CCR4]
    together = [each for each in report.panel.levels if each.marker == CCR4 and each.parts]
    scored: list[Scored | PooledLevels] = [*together, *(outcome for outcome in sections if isinstance(outcome, Scored))]
    ratios = [leading_ratio(name, report.panel.ratios)[0] for name in HEADLINE_RATIOS]
    notes = Footnotes(
        [
            *(estimate for each in scored for estimate in _shown(each)),
            *(ratio.ratio for ratio in ratios if ratio is not None),
        ],
        whole=True,
    )
    replicates = {record.slide_id: record.replicate for record in report.sections}
    cards = [card for each in together for card in _figure_cards(each, report.site, f", {each.name}", notes)]
    for outcome in sections:
        level = replicates.get(outcome.slide_id, "")
        of = f", {outcome.slide_id}{f' ({level})' if level else ''}" if len(sections) > 1 else ""
        # Of levels that are taken together none is the biopsy's figure by itself.
        cards += _section_cards(outcome, report.site, of, notes, lead=not together)
    if not sections:
        cards = [Card("CCR4 density", _absent("the biopsy has no CCR4 section"), lead=True)]
    cards += [_ratio_card(name, report.panel.ratios, notes) for name in HEADLINE_RATIOS]
    return tuple(cards), notes.sentences


def advice(report: BiopsyReport) -> str:
    """Return what to read first, where a percentage would mislead; empty otherwise."""
    ccr4 = [outcome for outcome in report.outcomes if isinstance(outcome, Scored) and outcome.stain.marker == CCR4]
    misleading = [outcome for outcome in ccr4 if not _says_more(leading_part(outcome).region)]
    if report.site != "skin" or not misleading:
        return ""
    drawn = any(_says_more(part.region) for outcome in misleading for part in outcome.parts)
    why = "the drawn infiltrate holds too few cells" if drawn else "nobody drew or confirmed an infiltrate"
    return f"Skin, and {why}: the density is the headline, not the percentage."


def problem_of(outcome: SlideOutcome) -> str:
    """Return why a section has no figures; empty where it has, or where it is only to be shown."""
    match outcome:
        case Scored() | Shown():
            return ""
        case NoTissue():
            return "no tissue found; nothing was scored"
        case Failed():
            return f"not scored: {outcome.reason}"


def percent_warning(site: str, part: RegionScore) -> str:
    """Return what must stand beside a percentage; empty where it can be read as it is."""
    if part.region.origin == "proposed":
        return NOT_REVIEWED
    return IN_SKIN if site == "skin" and not _says_more(part.region) else ""


def leading_part(outcome: Scored | PooledLevels) -> RegionScore:
    """Return the part whose figures lead: a drawn infiltrate or tumour with enough cells, otherwise the whole."""
    for kind in LEADING_REGIONS:
        for part in outcome.parts:
            if part.region == AnalysedRegion(kind, "drawn") and not too_few(part.score):
                return part
    return outcome.parts[0]


def too_few(score: MarkerScore) -> str:
    """Return how many cells there are and how many are needed, where they do not suffice; empty where they do."""
    said = (caution for caution in score.cautions if caution.startswith(INSUFFICIENT))
    return next((caution.removeprefix(INSUFFICIENT) for caution in said), "")


def leading_ratio(name: str, ratios: Sequence[DensityRatio]) -> tuple[DensityRatio | None, int]:
    """Return the ratio of that name that leads, and of how many over the same region it is one.

    A drawn infiltrate or tumour leads where it gives a ratio, otherwise everything that was analysed, also where that
    gives none; a proposed region never does. Of several pairs of sections the first by their names leads. A pair is
    two sections that the biopsy has: where it has none of a marker, there is no pair.

    Parameters
    ----------
    name : str
        As ``"CCR4:CD4"``.
    ratios : sequence of DensityRatio
    """
    named = sorted(
        (ratio for ratio in ratios if ratio.name == name),
        key=lambda ratio: (ratio.numerator.slide_id, ratio.denominator.slide_id),
    )
    for kind in LEADING_REGIONS:
        drawn = [ratio for ratio in named if _region(ratio) == AnalysedRegion(kind, "drawn")]
        for ratio in drawn:
            if ratio.ratio.value is not None and not _few_on_a_side(ratio):
                return ratio, _count_pairs(drawn)
    whole = [ratio for ratio in named if _is_whole(_region(ratio))]
    given = [ratio for ratio in whole if ratio.ratio.value is not None]
    return next(iter(given or whole), None), _count_pairs(whole)


def region_of(one: CountedSection, other: CountedSection) -> AnalysedRegion | None:
    """Return over what two sections were set side by side, or refused; None where neither was counted."""
    return one.region or other.region


def _region(ratio: DensityRatio) -> AnalysedRegion | None:
    return region_of(ratio.numerator, ratio.denominator)


def _has_both(ratio: DensityRatio) -> bool:
    """Return whether the biopsy has a section of either marker, be it scored or not."""
    return bool(ratio.numerator.slide_id and ratio.denominator.slide_id)


def _count_pairs(ratios: Sequence[DensityRatio]) -> int:
    # A pair is refused once for each region that only one of its sections has.
    return len({(ratio.numerator.slide_id, ratio.denominator.slide_id) for ratio in ratios if _has_both(ratio)})


def _says_more(region: AnalysedRegion) -> bool:
    return region.kind in LEADING_REGIONS and region.origin == "drawn"


def _is_whole(region: AnalysedRegion | None) -> bool:
    return region is None or region.kind not in COMPARTMENTS


def _few_on_a_side(ratio: DensityRatio) -> bool:
    return any(INSUFFICIENT in warning for warning in ratio.warnings)


def _absent(reason: str) -> tuple[Line, ...]:
    return (Line("not evaluable", "absent"), Line(reason))


def _section_cards(outcome: SlideOutcome, site: str, of: str, notes: Footnotes, *, lead: bool) -> list[Card]:
    if not isinstance(outcome, Scored):
        return [Card(f"CCR4 density{of}", _absent(problem_of(outcome) or "shown only, not scored"), lead=lead)]
    return _figure_cards(outcome, site, of, notes, lead=lead)


def _figure_cards(
    scored: Scored | PooledLevels, site: str, of: str, notes: Footnotes, *, lead: bool = True
) -> list[Card]:
    part = leading_part(scored)
    others = _others(scored, part)
    return [
        Card(f"CCR4+ cells per mm²{of}", _density_lines(part, others, notes), lead=lead),
        Card(f"CCR4+ percent{of}", _percent_lines(part, others, site, notes)),
    ]


def _others(scored: Scored | PooledLevels, lead: RegionScore) -> list[RegionScore]:
    return [part for part in scored.parts if part.region != lead.region and _is_headline(part)]


def _shown(scored: Scored | PooledLevels) -> list[Estimate]:
    """Return the figures of a section's or a pool's cards whose intervals are shown, in the order of the cards."""
    lead = leading_part(scored)
    scores = [lead.score, *(part.score for part in _others(scored, lead) if not too_few(part.score))]
    return [*(score.positive_density_per_mm2 for score in scores), *(score.positive_fraction for score in scores)]


def _density_lines(lead: RegionScore, others: Sequence[RegionScore], notes: Footnotes) -> tuple[Line, ...]:
    density = lead.score.positive_density_per_mm2
    lines = [*_headline(density, notes)]
    if density.value is not None and not holds_measurement(density):
        lines.append(Line(NO_ERROR_OF_DENSITY, "quiet"))
    lines.append(Line(f"in {figures.format_area(lead.score.counts.area_um2)} of {lead.region.label}", "quiet"))
    lines += _cautions(lead.score, density)
    lines += [_beside(part, part.score.positive_density_per_mm2, notes) for part in others]
    return tuple(lines)


def _percent_lines(lead: RegionScore, others: Sequence[RegionScore], site: str, notes: Footnotes) -> tuple[Line, ...]:
    fraction = lead.score.positive_fraction
    lines = [*_headline(fraction, notes, f"{_denominator(lead)} in {lead.region.label}")]
    lines += _cautions(lead.score, fraction)
    if fraction.value is not None and not holds_measurement(fraction):
        lines.append(Line(f"{NO_ERROR}; {lead.score.network_error.of_percentage}", "quiet"))
    lines += [_beside(part, part.score.positive_fraction, notes, _denominator(part)) for part in others]
    if fraction.value is not None and (warning := percent_warning(site, lead)):
        lines.insert(0, Line(warning, "warn"))
    return tuple(lines)


def _cautions(score: MarkerScore, estimate: Estimate) -> list[Line]:
    """Return what must stand beside a figure that is given: few cells, or an interval that is too narrow."""
    return [Line(caution, "warn") for caution in score.cautions] if estimate.value is not None else []


def _beside(part: RegionScore, estimate: Estimate, notes: Footnotes, denominator: str = "") -> Line:
    """Return the figure of another region on one line with what makes its limits unreliable, or why it is not given."""
    if few := too_few(part.score):
        return Line(f"{part.region.label}: not evaluable: {few}", "quiet")
    words = f", {denominator}" if denominator and estimate.value is not None else ""
    low = "".join(f" ({caution})" for caution in part.score.cautions if caution.startswith(LOW_COUNT))
    bounds = f" ({JOINED.join(outer_bounds(estimate, notes=notes))})" if estimate.intervals else ""
    return Line(f"{part.region.label}: {figures.format_estimate(estimate)}{bounds}{words}{low}", "quiet")


def _is_headline(part: RegionScore) -> bool:
    return part.region.kind in LEADING_REGIONS or _is_whole(part.region)


def _denominator(part: RegionScore) -> str:
    counts = part.score.counts
    return f"{figures.format_count(counts.positive)} of {figures.format_count(counts.total)} nucleated cells"


def _headline(estimate: Estimate, notes: Footnotes, denominator: str = "") -> list[Line]:
    """Return a figure, its denominator, and its intervals named by what they hold."""
    if estimate.value is None:
        return list(_absent(estimate.reason))
    value, _, unit = figures.format_estimate(estimate).partition(" ")
    return [Line(value, "value", unit), *((Line(denominator),) if denominator else ()), *notes.named_lines(estimate)]


def holds_measurement(estimate: Estimate) -> bool:
    """Return whether a figure has an interval that holds the network's own error too."""
    return any(interval.method.startswith(MEASUREMENT_METHOD) for interval in estimate.intervals)


def _ratio_card(name: str, ratios: Sequence[DensityRatio], notes: Footnotes) -> Card:
    title = f"{name} density ratio"
    ratio, pairs = leading_ratio(name, ratios)
    if ratio is None:
        return Card(title, (*_absent("no ratio was formed of these sections"), Line(SERIAL_SECTION_RATIO, "quiet")))
    lines = [*_headline(ratio.ratio, notes)]
    region = _region(ratio)
    if pairs > 1:
        lines.append(Line(f"{ratio.numerator.slide_id} over {ratio.denominator.slide_id}: 1 of {pairs}, all below"))
    # Where a section is missing altogether that is all there is to say, whatever the other one was scored over.
    if region is not None and _has_both(ratio):
        lines.append(Line(f"over {region.label}", "quiet"))
    if ratio.ratio.value is not None:
        if ratio.warnings:
            lines.append(Line(f"{len(ratio.warnings)} warning{'s' * (len(ratio.warnings) > 1)}, below", "warn"))
        if not holds_measurement(ratio.ratio):
            lines.append(Line(NO_ERROR_OF_DENSITY, "quiet"))
    lines.append(Line(ratio.label, "quiet"))
    return Card(title, tuple(lines))
