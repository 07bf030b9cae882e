"""What a report says first: which biopsy, whether it is complete, the panel's pictures, and the headline figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ihc_quant.domain.biopsy import PANEL_MARKERS, BiopsyReport
from ihc_quant.domain.outcome import Failed, NoTissue, RegionScore, Scored, Shown, SlideOutcome
from ihc_quant.domain.score import Estimate
from ihc_quant.domain.serial_sections import SERIAL_SECTION_RATIO, DensityRatio
from ihc_quant.report import figures
from ihc_quant.report.encoding import encode_png, fit_bytes
from ihc_quant.report.page_blocks import Line, Picture
from ihc_quant.report.panel_picture import PanelFrame, draw_panel
from ihc_quant.report.slide_pictures import SlidePictures

FRAME_BYTES = 150_000
"""Room of one picture of the panel."""
HEADLINE_RATIOS: tuple[str, ...] = ("CCR4:CD4", "CD4:CD8")
CCR4 = "CCR4"
LEADING_REGIONS: tuple[str, ...] = ("infiltrate", "tumour")
"""Regions whose percentage says more than that of all tissue, where a person drew or confirmed them."""
IN_SKIN = "Nearly meaningless in skin, where epidermis and stroma count too: read the density."
"""Beside a percentage of all nucleated cells in skin."""
SAMPLING_ALONE = "Sampling + measurement: not known"
"""Beside densities and their ratios."""
ERROR_NOTE = (
    "“Sampling” holds the chance of counting these cells; “sampling + measurement” also holds the network’s own error, "
    "which was measured for percentages alone."
)
"""Below the headline."""
SITES = {"skin": "skin", "lymph_node": "lymph node", "other": "other"}


@dataclass(frozen=True, slots=True)
class Frame:
    """One place of the panel; ``problem`` stands in an empty frame, and is empty where there are pictures."""

    title: str
    slide_id: str
    problem: str
    pictures: tuple[Picture, ...] = ()
    figure: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """One figure of the headline; ``lead`` is the one to read first."""

    title: str
    lines: tuple[Line, ...]
    lead: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """Everything above the chapters."""

    facts: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]
    frames: tuple[Frame, ...]
    bar: str
    scale_end: str
    cards: tuple[Card, ...]
    advice: str
    error_note: str = ERROR_NOTE


def make_head(report: BiopsyReport, pictures: Mapping[str, SlidePictures]) -> Head:
    """Return what stands above the chapters of a report."""
    scored = sum(isinstance(outcome, Scored) for outcome in report.outcomes)
    wanted = sum(not isinstance(outcome, Shown) for outcome in report.outcomes)
    facts = (
        ("Patient (pseudonym)", report.patient_id),
        ("Site", SITES.get(report.site, report.site)),
        ("Day of the biopsy", format_day(report.biopsy_day)),
        ("Sections scored", f"{scored} of {wanted}"),
    )
    frames, bar, end = _frames(report.outcomes, pictures)
    return Head(facts, report.missing, frames, bar, end, _cards(report), _advice(report))


def format_day(day: int | None) -> str:
    """Return the day of a biopsy in words.

    Examples
    --------
    >>> format_day(-12), format_day(0), format_day(None)
    ('12 days before the first infusion', 'on the day of the first infusion', 'relative to treatment: not recorded')
    """
    if day is None:
        return "relative to treatment: not recorded"
    if day == 0:
        return "on the day of the first infusion"
    days = f"{abs(day):,d} day{'' if abs(day) == 1 else 's'}"
    return f"{days} {'before' if day < 0 else 'after'} the first infusion"


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
        return "Proposed by the software, not reviewed."
    return IN_SKIN if site == "skin" and part.region.origin == "tissue" else ""


def leading_part(outcome: Scored) -> RegionScore:
    """Return the part whose figures lead: a drawn infiltrate or tumour, otherwise the whole section."""
    for kind in LEADING_REGIONS:
        for part in outcome.parts:
            if part.region.kind == kind and part.region.origin == "drawn":
                return part
    return outcome.parts[0]


def _frames(
    outcomes: Sequence[SlideOutcome], pictures: Mapping[str, SlidePictures]
) -> tuple[tuple[Frame, ...], str, str]:
    """Return the frames in the order of the panel, H&E last, and the lengths of scale bar and colour scale."""
    chosen = [outcome for marker in (*PANEL_MARKERS, "H&E") for outcome in outcomes if outcome.stain.marker == marker]
    drawable = [
        (outcome.slide_id, pictures[outcome.slide_id])
        for outcome in chosen
        if isinstance(outcome, Scored | Shown) and outcome.slide_id in pictures
    ]
    shown = [(slide_id, each.thumbnail, each.density) for slide_id, each in drawable if each.thumbnail is not None]
    panel = draw_panel([(thumbnail, density) for _, thumbnail, density in shown]) if shown else None
    drawn = dict(zip((slide_id for slide_id, _, _ in shown), panel.frames if panel else (), strict=True))
    end = figures.format_count(round(panel.scale_end_per_mm2)) if panel else ""
    frames = []
    for marker in (*PANEL_MARKERS, "H&E"):
        sections = [outcome for outcome in chosen if outcome.stain.marker == marker]
        if not sections and marker in PANEL_MARKERS:
            frames.append(Frame(marker, "", f"the biopsy has no {marker} section"))
        for outcome in sections:
            frame = drawn.get(outcome.slide_id)
            shows = () if frame is None else _frame_pictures(outcome, frame, end)
            problem = problem_of(outcome) or ("" if shows else "no pictures were made of this slide")
            frames.append(Frame(marker, outcome.slide_id, problem, shows, _figure(outcome)))
    return tuple(frames), f"{panel.bar_mm:g} mm" if panel else "", end


def _frame_pictures(outcome: SlideOutcome, frame: PanelFrame, end: str) -> tuple[Picture, ...]:
    marker, cells = outcome.stain.marker, figures.positive_cells(outcome.stain.marker)
    outlined = "" if frame.heat_map is None else ", what was analysed outlined"
    made = [(frame.thumbnail, f"{marker} section {outcome.slide_id}: the slide{outlined}.", "slide")]
    if frame.heat_map is not None:
        text = f"Heat map of {outcome.slide_id}: density of {cells} from 0 to {end} per mm²."
        made.append((frame.heat_map, text, f"density of {cells}"))
    return tuple(Picture(fit_bytes(encode_png(rgb), FRAME_BYTES), alt, caption) for rgb, alt, caption in made)


def _figure(outcome: SlideOutcome) -> str:
    """Return the density of a section in few words."""
    if not isinstance(outcome, Scored):
        return "not scored; shown only" if isinstance(outcome, Shown) else ""
    return figures.format_estimate(outcome.score.positive_density_per_mm2)


def _cards(report: BiopsyReport) -> tuple[Card, ...]:
    sections = [outcome for outcome in report.outcomes if outcome.stain.marker == CCR4]
    cards = [card for outcome in sections for card in _section_cards(outcome, report.site, len(sections) > 1)]
    if not sections:
        cards = [Card("CCR4 density", _absent("the biopsy has no CCR4 section"), lead=True)]
    return (*cards, *(_ratio_card(name, report.panel.ratios) for name in HEADLINE_RATIOS))


def _absent(reason: str) -> tuple[Line, ...]:
    return (Line("not evaluable", "absent"), Line(reason))


def _section_cards(outcome: SlideOutcome, site: str, several: bool) -> list[Card]:
    of = f", {outcome.slide_id}" if several else ""
    if not isinstance(outcome, Scored):
        return [Card(f"CCR4 density{of}", _absent(problem_of(outcome) or "shown only, not scored"), lead=True)]
    lead = leading_part(outcome)
    others = [part for part in outcome.parts if part.region != lead.region and _is_headline(part)]
    counts = lead.score.counts
    density = [
        *_headline(lead.score.positive_density_per_mm2),
        Line(f"in {figures.format_area(counts.area_um2)} of {lead.region.label}", "quiet"),
    ]
    density += [
        Line(f"{part.region.label}: {figures.format_estimate(part.score.positive_density_per_mm2)}", "quiet")
        for part in others
    ]
    if lead.score.positive_density_per_mm2.value is not None:
        density.append(Line(SAMPLING_ALONE, "quiet"))
    percent = [*_headline(lead.score.positive_fraction, _denominator(lead))]
    if lead.score.positive_fraction.value is not None and not _holds_measurement(lead.score.positive_fraction):
        percent.append(Line(f"{SAMPLING_ALONE}; {lead.score.network_error.statement}", "quiet"))
    for part in others:
        estimate = part.score.positive_fraction
        words = _denominator(part) if estimate.value is not None else ""
        percent.append(Line(f"{part.region.label}: {figures.format_estimate(estimate)} {words}".rstrip(), "quiet"))
    if lead.score.positive_fraction.value is not None and (warning := percent_warning(site, lead)):
        percent.insert(0, Line(warning, "warn"))
    return [Card(f"CCR4+ cells per mm²{of}", tuple(density), lead=True), Card(f"CCR4+ percent{of}", tuple(percent))]


def _is_headline(part: RegionScore) -> bool:
    return part.region.kind in LEADING_REGIONS or part.region.origin == "tissue"


def _denominator(part: RegionScore) -> str:
    counts = part.score.counts
    return (
        f"{figures.format_count(counts.positive)} of {figures.format_count(counts.total)} nucleated cells in "
        f"{part.region.label}"
    )


def _headline(estimate: Estimate, denominator: str = "") -> list[Line]:
    """Return a figure, its denominator, and its intervals named by what they hold."""
    if estimate.value is None:
        return list(_absent(estimate.reason))
    value, _, unit = figures.format_estimate(estimate).partition(" ")
    lines = [Line(value, "value", unit)]
    if denominator:
        lines.append(Line(denominator))
    for interval in estimate.intervals:
        both = interval.method.startswith("sampling + measurement")
        method = figures.format_short_method(interval)
        kind = "Sampling + measurement" if both else "Sampling"
        method = method.replace("sampling + measurement", "simulated") if both else method
        lines.append(Line(f"{kind} {figures.format_bounds(estimate, interval)}", after=f"({method})"))
    return lines


def _holds_measurement(estimate: Estimate) -> bool:
    return any(interval.method.startswith("sampling + measurement") for interval in estimate.intervals)


def leading_ratio(name: str, ratios: Sequence[DensityRatio]) -> DensityRatio | None:
    """Return the ratio of that name that leads: over a drawn infiltrate or tumour, otherwise the first one given."""
    named = [ratio for ratio in ratios if ratio.name == name]
    for kind in LEADING_REGIONS:
        for ratio in named:
            region = ratio.numerator.region
            if (
                region is not None
                and region.kind == kind
                and region.origin == "drawn"
                and ratio.ratio.value is not None
            ):
                return ratio
    return next((ratio for ratio in named if ratio.ratio.value is not None), named[0] if named else None)


def _ratio_card(name: str, ratios: Sequence[DensityRatio]) -> Card:
    title = f"{name} density ratio"
    ratio = leading_ratio(name, ratios)
    if ratio is None:
        return Card(title, (*_absent("no ratio was formed of these sections"), Line(SERIAL_SECTION_RATIO, "quiet")))
    lines = [*_headline(ratio.ratio)]
    if ratio.ratio.value is not None and ratio.numerator.region is not None:
        lines.append(Line(f"over {ratio.numerator.region.label}", "quiet"))
        if len(ratio.warnings):
            lines.append(Line(f"{len(ratio.warnings)} warning{'s' * (len(ratio.warnings) > 1)}, below", "warn"))
        lines.append(Line(SAMPLING_ALONE, "quiet"))
    lines.append(Line(ratio.label, "quiet"))
    return Card(title, tuple(lines))


def _advice(report: BiopsyReport) -> str:
    """Return what to read first, where a percentage would mislead."""
    ccr4 = [outcome for outcome in report.outcomes if isinstance(outcome, Scored) and outcome.stain.marker == CCR4]
    if report.site == "skin" and any(leading_part(outcome).region.origin != "drawn" for outcome in ccr4):
        return "Skin, and nobody drew or confirmed an infiltrate: the density is the headline, not the percentage."
    return ""
