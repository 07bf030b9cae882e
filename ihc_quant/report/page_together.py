"""Chapters on what the sections say together: density ratios, the CCR4 schemes, and bounds on co-expression."""

from ihc_quant.domain.biopsy import BiopsyPanel
from ihc_quant.domain.ccr4 import SchemeVerdict
from ihc_quant.domain.serial_sections import (
    DOUBLE_STAIN,
    SERIAL_SECTION_RATIO,
    CoexpressionBounds,
    CountedSection,
    DensityRatio,
    FractionRange,
)
from ihc_quant.report.footnotes import Footnotes
from ihc_quant.report.headline import NO_ERROR_OF_DENSITY, holds_measurement, region_of
from ihc_quant.report.page_blocks import Bullets, Cell, Chapter, Line, Table, Text, plain
from ihc_quant.report.page_grades import capital, name_region


def ratios_chapter(panel: BiopsyPanel) -> Chapter:
    """Return the ratios of densities with both denominators and every warning."""
    title = "Density ratios of serial sections"
    if not panel.ratios:
        return Chapter("ratios", title, (Text("No ratio was formed of these sections."),))
    notes = Footnotes((each.ratio for each in panel.ratios), whole=True)
    table = Table(
        f"Each is a {SERIAL_SECTION_RATIO}: positive cells per mm² of one section over those of another. It may "
        "exceed 1. “Sampling + measurement” also holds the network’s own error of both sections, taken as independent.",
        ("Ratio", "Value", "Counted", "Warnings"),
        tuple(_ratio(each, notes) for each in panel.ratios),
    )
    told = (Bullets(notes.sentences, "quiet"),) if notes.sentences else ()
    return Chapter("ratios", title, (table, *told))


def schemes_chapter(panel: BiopsyPanel) -> Chapter:
    """Return what every published scheme says; none is preferred."""
    title = "Published CCR4 schemes"
    if not panel.schemes:
        return Chapter("schemes", title, (Text("No scheme was applied: no CCR4 section was judged."),))
    table = Table(
        "What each scheme says by its own cut, judged by the widest interval. None is preferred, and none was set up "
        "for this disease; a scheme whose denominator is not the region analysed is refused.",
        ("Scheme", "Denominator and cut", "Verdict", "To be read with it"),
        tuple(_scheme(each) for each in panel.schemes),
    )
    return Chapter("schemes", title, (table,))


def bounds_chapter(panel: BiopsyPanel) -> Chapter:
    """Return the bounds on the fraction of cells that carry two markers."""
    title = "Bounds on co-expression"
    if not panel.bounds:
        return Chapter("bounds", title, (Text("No bounds were formed of these sections."), Text(DOUBLE_STAIN)))
    given = [each.warnings for each in panel.bounds if each.bounds is not None]
    common = (sentence for sentence in (given or [()])[0] if all(sentence in warnings for warnings in given))
    shared = tuple(dict.fromkeys((DOUBLE_STAIN, *common)))
    table = Table(
        "Between which limits the share of nucleated cells that carry both markers lies, from each marker's share on "
        "its own section (Fréchet bounds), with all intervals of both. Without them, as if both percentages were "
        "exact, the limits are narrower and the true share may lie outside. Neither is an estimate.",
        ("Markers", "Bounds with all intervals", "If both percentages were exact", "Counted", "Warnings"),
        tuple(_bounds(each, shared) for each in panel.bounds),
    )
    return Chapter("bounds", title, (Bullets(shared, "warn"), table))


def _counted(*sections: CountedSection) -> Cell:
    return Cell(tuple(Line(section.statement) for section in sections))


def _sentences(sentences: tuple[str, ...]) -> Cell:
    return Cell(tuple(Line(sentence, "warn") for sentence in sentences) or (Line("none"),))


def _ratio(each: DensityRatio, notes: Footnotes) -> tuple[Cell, ...]:
    region = region_of(each.numerator, each.denominator)
    named = (Line(each.name, "value"), *((Line(name_region(region)),) if region else ()), Line(each.label, "quiet"))
    unknown = each.ratio.value is not None and not holds_measurement(each.ratio)
    return (
        Cell(named),
        Cell((*notes.lines(each.ratio), *((Line(NO_ERROR_OF_DENSITY, "quiet"),) if unknown else ()))),
        _counted(each.numerator, each.denominator),
        _sentences(each.warnings),
    )


def _scheme(each: SchemeVerdict) -> tuple[Cell, ...]:
    scheme = each.scheme
    cut = scheme.cut.label if scheme.cut else "no numeric cut"
    needs = (Line(f"needs a drawn {scheme.region}", "quiet"),) if scheme.region else ()
    judged = " on ".join(part for part in (name_region(each.region) if each.region else "", each.slide_id) if part)
    return (
        Cell((Line(scheme.id, "value"), Line(scheme.citation, "quiet"))),
        Cell((Line(scheme.denominator), Line(cut), *needs)),
        Cell(
            (Line(capital(each.text), "value" if each.category else ""), *((Line(judged, "quiet"),) if judged else ()))
        ),
        Cell(tuple(Line(note) for note in each.notes) or (Line("–"),)),
    )


def _range(limits: FractionRange) -> str:
    return f"{100 * limits.low:.1f} to {100 * limits.high:.1f}"


def _bounds(each: CoexpressionBounds, told: tuple[str, ...]) -> tuple[Cell, ...]:
    region = region_of(each.one, each.other)
    named = (
        Line(f"{each.one.marker} and {each.other.marker}", "value"),
        *((Line(name_region(region)),) if region else ()),
    )
    if each.bounds is None or each.widened is None:
        limits = (Cell((Line("not evaluable", "absent"), Line(each.reason))), plain("–"))
    else:
        limits = (Cell((Line(_range(each.widened), "value", "%"),)), plain(f"{_range(each.bounds)} %"))
    rest = tuple(sentence for sentence in each.warnings if sentence not in told)
    return (Cell(named), *limits, _counted(each.one, each.other), _sentences(rest))
