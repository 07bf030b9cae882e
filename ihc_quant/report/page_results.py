"""Chapters on what was analysed and what was found, section by section and compartment by compartment."""

from collections import Counter
from collections.abc import Mapping, Sequence

from ihc_quant.domain.biopsy import BiopsyReport, PooledLevels
from ihc_quant.domain.outcome import RegionScore, Scored, Shown, SlideOutcome
from ihc_quant.domain.score import CellCounts
from ihc_quant.domain.sensitivity import HotSpot
from ihc_quant.report import figures
from ihc_quant.report.doubts import ACROSS_BAND, OWN_ERROR, UNCERTAIN_CALLS, doubts, interval_methods
from ihc_quant.report.footnotes import Footnotes
from ihc_quant.report.headline import percent_warning, problem_of
from ihc_quant.report.page_blocks import (
    Block,
    Bullets,
    Cell,
    Chapter,
    Facts,
    Heading,
    Line,
    Table,
    Text,
    number,
    plain,
)
from ihc_quant.report.page_grades import (
    GRADES,
    capital,
    errors_table,
    grades_table,
    name_levels,
    name_region,
    name_section,
)
from ihc_quant.scoring.levels import NOT_TOGETHER
from ihc_quant.scoring.network_error import MEASUREMENT_METHOD
from ihc_quant.scoring.score import INSUFFICIENT, LOW_COUNT

CONTROL = "negative_control"
NOTHING_DRAWN = "nobody drew regions; all tissue found counts"
CALLS_OF_PART = (UNCERTAIN_CALLS, ACROSS_BAND)
"""What is said of a compartment's calls; the rest is the same for the whole section."""
FEW_CELLS = (INSUFFICIENT, LOW_COUNT)
"""How the cautions begin that stand in the row of results itself; the others stand below the table."""
CHOSEN = (
    "The limits allow for the choice of the highest of many windows; the figure does not, so it tends to be too high."
)
THIS_SECTION = "They hold for this section, not for another one of the block."
"""What the intervals of a hot spot hold; without positive cells nothing was chosen."""
LEVELS_TOGETHER = (
    "Levels of one block of tissue are also given together: cells and areas are summed and divided once. They show the "
    "same patches of tissue again, and how alike they are is not known, so the intervals of blocks take them as wholly "
    "alike: several levels make them hardly narrower than one. One network called all of them, so its error does not "
    "average out."
)
NO_CONTROL = (
    "No section without primary antibody and no control tissue on a glass was scored: unspecific stain cannot be "
    "judged."
)


def replicates_of(report: BiopsyReport) -> dict[str, str]:
    """Return which level each section is, for those that have replicates."""
    return {record.slide_id: record.replicate for record in report.sections}


def analysed_chapter(report: BiopsyReport) -> Chapter:
    """Return what was analysed, what was left out and why, and the controls apart."""
    replicates = replicates_of(report)
    rows = tuple(_analysed_row(outcome, replicates) for outcome in report.outcomes)
    table = Table(
        "Area of tissue analysed, by region, and area left out, by cause; each place counts for one cause.",
        ("Section", "Analysed", "Left out", "Drawn regions"),
        rows,
    )
    blocks: list[Block] = [table] if rows else [Text("The biopsy has no sections.")]
    notes = tuple(
        f"{outcome.slide_id}: {note}"
        for outcome in report.outcomes
        if isinstance(outcome, Scored) and outcome.annotations
        for note in outcome.annotations.notes
    )
    if notes:
        blocks.append(Bullets(notes, "warn"))
    return Chapter("analysed", "What was analysed", (*blocks, Heading("Controls"), *_controls(report, replicates)))


def results_chapter(report: BiopsyReport) -> Chapter:
    """Return the figures of every section and compartment, and what must stand beside them."""
    replicates = replicates_of(report)
    scored = [outcome for outcome in report.outcomes if isinstance(outcome, Scored)]
    parts = [(outcome, part) for outcome in scored for part in outcome.parts]
    levels = report.panel.levels
    together = [(each, part) for each in levels for part in each.parts]
    notes = Footnotes(
        estimate
        for _, part in (*parts, *together)
        for estimate in (part.score.positive_density_per_mm2, part.score.positive_fraction, part.score.h_score)
    )
    rows = tuple(
        row
        for outcome in report.outcomes
        if not isinstance(outcome, Shown)
        for row in _result_rows(outcome, report.site, replicates, notes)
    )
    rows += tuple(_result_row(name_levels(each, *_below(part)), part, report.site, notes) for each, part in together)
    table = Table(
        "One row a section and region. Beneath each figure stand its denominator and its intervals.",
        ("Section and region", "Positive density", "Percent positive", "H-score (0 to 300)", "Tissue"),
        rows,
    )
    blocks: list[Block] = [table] if rows else [Text("No section was scored.")]
    if notes.sentences:
        blocks.append(Bullets(notes.sentences, "quiet"))
    blocks += _levels_said(levels)
    if parts:
        blocks += [Heading("Cells by grade"), grades_table(parts, levels, replicates)]
    if scored:
        blocks += [Heading("The network’s own error"), errors_table(scored)]
    said = Counter(caution for outcome in scored for caution in _cautions(outcome))
    shared = tuple(caution for caution, sections in said.items() if sections > 1)
    if shared:
        blocks += [
            Heading("To be read with several sections"),
            Bullets(tuple(_of_several(caution, scored) for caution in shared), "warn"),
        ]
    for outcome in scored:
        blocks += _details(outcome, shared)
    return Chapter("results", "Results by section", tuple(blocks))


def _levels_said(levels: Sequence[PooledLevels]) -> list[Block]:
    """Return how levels are taken together, and which sections are not and why."""
    blocks: list[Block] = [Text(LEVELS_TOGETHER)] if any(each.parts for each in levels) else []
    apart = tuple(
        f"{figures.format_marker(each.marker)}: {len(each.slide_ids)} sections, {each.reason}: {NOT_TOGETHER}."
        for each in levels
        if each.reason
    )
    return [*blocks, Bullets(apart, "warn")] if apart else blocks


def _analysed_row(outcome: SlideOutcome, replicates: Mapping[str, str]) -> tuple[Cell, ...]:
    name = name_section(outcome, replicates, Line(f"chromogen {figures.format_chromogen(outcome.stain)}", "quiet"))
    if isinstance(outcome, Shown):
        return (name, plain("shown only; a section without chromogen is not scored"), plain("–"), plain("–"))
    if not isinstance(outcome, Scored):
        return (name, plain(problem_of(outcome), "absent"), plain("–"), plain("–"))
    analysed = tuple(
        Line(figures.format_area(part.score.counts.area_um2), "value" if not index else "", name_region(part.region))
        for index, part in enumerate(outcome.parts)
    )
    left_out = tuple(Line(figures.format_area(each.area_um2), after=each.cause) for each in outcome.left_out)
    drawn = NOTHING_DRAWN
    if outcome.annotations:
        count = outcome.annotations.regions
        digest = outcome.annotations.file_sha256[:12]
        drawn = f"{count} drawn area{'' if count == 1 else 's'}, file SHA-256 {digest}…"
    return (name, Cell(analysed), Cell(left_out or (Line("nothing"),)), plain(drawn))


def _controls(report: BiopsyReport, replicates: Mapping[str, str]) -> tuple[Block, ...]:
    controls = []
    for outcome in report.outcomes:
        if not isinstance(outcome, Scored):
            continue
        if outcome.stain.marker == CONTROL:
            controls.append((outcome, "section without primary antibody", outcome.score))
        elif outcome.control is not None:
            controls.append((outcome, "control tissue on the same glass, not the patient's", outcome.control))
    if not controls:
        return (Text(NO_CONTROL, "warn"),)
    notes = Footnotes(
        each for _, _, score in controls for each in (score.positive_fraction, score.positive_density_per_mm2)
    )
    rows = tuple(
        (
            name_section(outcome, replicates),
            Cell((Line(what), *(Line(caution, "warn") for caution in score.cautions))),
            Cell(notes.lines(score.positive_fraction, _of_cells(score.counts))),
            Cell(notes.lines(score.positive_density_per_mm2)),
            number(figures.format_area(score.counts.area_um2)),
        )
        for outcome, what, score in controls
    )
    header = ("Section", "What it is", "Percent positive", "Positive density", "Area")
    table = Table("Read these beside the results; nothing was subtracted.", header, rows)
    return (table, Bullets(notes.sentences, "quiet")) if notes.sentences else (table,)


def _of_cells(counts: CellCounts) -> Line:
    return Line(f"{figures.format_count(counts.positive)} of {figures.format_count(counts.total)} nucleated cells")


def _result_rows(
    outcome: SlideOutcome, site: str, replicates: Mapping[str, str], notes: Footnotes
) -> list[tuple[Cell, ...]]:
    if not isinstance(outcome, Scored):
        return [(name_section(outcome, replicates), plain(problem_of(outcome), "absent"), *[plain("–")] * 3)]
    return [_result_row(name_section(outcome, replicates, *_below(part)), part, site, notes) for part in outcome.parts]


def _below(part: RegionScore) -> tuple[Line, ...]:
    """Return what stands below the name in a row of results: the region, and that there are few cells."""
    few = (Line(caution, "warn") for caution in part.score.cautions if caution.startswith(FEW_CELLS))
    return (Line(name_region(part.region)), *few)


def _result_row(name: Cell, part: RegionScore, site: str, notes: Footnotes) -> tuple[Cell, ...]:
    score, counts = part.score, part.score.counts
    in_patient = score.marker != CONTROL
    warning = percent_warning(site, part) if in_patient and score.positive_fraction.value is not None else ""
    percent = notes.lines(score.positive_fraction, _of_cells(counts))
    return (
        name,
        Cell(notes.lines(score.positive_density_per_mm2)),
        Cell((*percent, Line(warning, "warn")) if warning else percent),
        Cell(notes.lines(score.h_score)),
        number(figures.format_area(counts.area_um2)),
    )


def _cautions(outcome: Scored) -> dict[str, None]:
    """Return what must stand beside the figures of a section, each sentence once."""
    cautions = [*outcome.notes, *outcome.score.cautions]
    cautions += [f"{part.region.label}: {caution}" for part in outcome.compartments for caution in part.score.cautions]
    return dict.fromkeys(cautions)


def _of_several(caution: str, scored: Sequence[Scored]) -> str:
    return f"{', '.join(outcome.slide_id for outcome in scored if caution in _cautions(outcome))}: {caution}"


def _details(outcome: Scored, told: Sequence[str]) -> list[Block]:
    blocks: list[Block] = [Heading(figures.format_marker(outcome.stain.marker), outcome.slide_id)]
    cautions = tuple(caution for caution in _cautions(outcome) if caution not in told)
    if cautions:
        blocks.append(Bullets(cautions, "warn"))
    entries = [(capital(name), words) for name, words in doubts(outcome.score) if not name.endswith(OWN_ERROR)]
    for part in outcome.compartments:
        words = [text for name, text in doubts(part.score) if name in CALLS_OF_PART]
        entries.append((f"Uncertain calls, {part.region.label}", "; ".join(words)))
    entries.append(("Hot spot", _hot_spot(outcome.hot_spot, outcome.stain.marker)))
    if outcome.hot_spot is not None and outcome.hot_spot.density_per_mm2.intervals:
        entries.append(("Intervals of the hot spot", _hot_spot_intervals(outcome.hot_spot)))
    if outcome.nucleus_um is not None:
        entries.append(("Median diameter of positive nuclei", f"{outcome.nucleus_um:.1f} µm"))
    entries.append(("Intervals", interval_methods(outcome.score) or "none"))
    blocks.append(Facts(tuple(entries), lines=True))
    if len(outcome.fragments) > 1:
        blocks.append(_fragments(outcome.fragments))
    return blocks


def _hot_spot(spot: HotSpot | None, marker: str) -> str:
    if spot is None:
        return "not evaluable: it was not looked for"
    figure = figures.format_estimate(spot.density_per_mm2)
    if spot.density_per_mm2.value is None:
        return figure
    side, cells = f"{spot.side_um:,.0f} µm", figures.positive_cells(marker)
    windows, area = f"{side} × {side} (steps of {spot.step_um:,.0f} µm)", figures.format_area(spot.tissue_um2)
    if spot.x_um is None or spot.y_um is None:
        return f"{figure}: no {cells} in any window of {windows}, in {area} of tissue in all."
    return (
        f"{figure}: {figures.format_count(spot.positive)} {cells} in {area} of tissue in the densest window of "
        f"{windows}, its upper left corner at x {spot.x_um:,.0f} µm, y {spot.y_um:,.0f} µm of the slide."
    )


def _hot_spot_intervals(spot: HotSpot) -> str:
    density = spot.density_per_mm2
    named = []
    for interval in density.intervals:
        both = interval.method.startswith(MEASUREMENT_METHOD)
        name = "With the network’s own error" if both else "By sampling alone"
        bounds = figures.format_bounds(density, interval)
        named.append(f"{name} {bounds} ({figures.format_short_method(interval)}).")
    return " ".join((*named, *((CHOSEN,) if spot.positive else ()), THIS_SECTION))


def _fragments(fragments: Sequence[tuple[int, CellCounts]]) -> Table:
    rows = []
    for fragment, counts in fragments:
        cells = (counts.negative, counts.one_plus, counts.two_plus, counts.three_plus, counts.total)
        figures_of = (*map(figures.format_count, cells), figures.format_area(counts.area_um2))
        rows.append((plain(str(fragment)), *map(number, figures_of)))
    caption = "Cells of each tissue fragment; the numbers are those of the overview picture."
    return Table(caption, ("Fragment", *GRADES, "Area"), tuple(rows), wide=False)
