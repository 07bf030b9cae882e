"""Tables beside the results: cells by grade with their shares, and what is known of the network's own error."""

from collections.abc import Mapping, Sequence

from ihc_quant.domain.biopsy import PooledLevels
from ihc_quant.domain.outcome import RegionScore, Scored, SlideOutcome
from ihc_quant.domain.score import Estimate
from ihc_quant.domain.serial_sections import AnalysedRegion
from ihc_quant.report import figures
from ihc_quant.report.footnotes import JOINED, outer_bounds
from ihc_quant.report.page_blocks import Cell, Line, Table, plain
from ihc_quant.scoring.error_sets import NOT_VALIDATED

GRADES: tuple[str, ...] = ("Negative", "1+", "2+", "3+", "All cells")
GRADES_SAID = (
    "Cells that were counted. Beneath 1+, 2+ and 3+ stands their share of all cells, beneath all cells their density; "
    "then the outer limits by sampling alone, and those that hold the network’s own error too (“+ error”). The cuts of "
    "1+, 2+ and 3+ are not validated, and how far grades are off was not measured: their wider limits are unreliable."
)
FIGURES_OF_ERROR: tuple[str, ...] = (
    "percent positive, 1+, 2+ and 3+, H-score, bounds on co-expression, schemes; sensitivity and specificity alone: "
    "corrected value, and again density, hot spot, density ratios",
    "density, hot spot, density ratios",
    "all cells per mm²; with sensitivity and specificity again density, hot spot, density ratios",
    "1+, 2+ and 3+, H-score",
)
"""What each error of ``NetworkError.by_figure`` goes into. A density is seen in two ways, and the wider end counts."""
ERRORS_SAID = "Each error, the figures whose interval “sampling + measurement” holds it, and what it was measured on."


def name_section(outcome: SlideOutcome, replicates: Mapping[str, str], *below: Line) -> Cell:
    """Return the cell that names a section."""
    level = replicates.get(outcome.slide_id, "")
    return Cell(
        (
            Line(figures.format_marker(outcome.stain.marker), "value"),
            Line(outcome.slide_id),
            *((Line(level, "quiet"),) if level else ()),
            *below,
        )
    )


def name_levels(levels: PooledLevels, *below: Line) -> Cell:
    """Return the cell that names levels taken together."""
    marker = Line(figures.format_marker(levels.marker), "value")
    return Cell((marker, Line(levels.name), Line(", ".join(levels.slide_ids), "quiet"), *below))


def name_region(region: AnalysedRegion) -> str:
    """Return a region with who says where it is.

    Examples
    --------
    >>> name_region(AnalysedRegion("dermis", "drawn")), name_region(AnalysedRegion("infiltrate", "proposed"))
    ('dermis (drawn)', 'infiltrate (proposed, not reviewed)')
    """
    return f"{region.kind} (drawn)" if region.origin == "drawn" else region.label


def grades_table(
    parts: Sequence[tuple[Scored, RegionScore]], levels: Sequence[PooledLevels], replicates: Mapping[str, str]
) -> Table:
    """Return how many cells of each grade there are, each with its share and the outer limits of its intervals."""
    rows = []
    named = [(name_section(outcome, replicates, Line(name_region(part.region))), part) for outcome, part in parts]
    named += [(name_levels(each, Line(name_region(part.region))), part) for each in levels for part in each.parts]
    for name, part in named:
        score, counts = part.score, part.score.counts
        graded = (counts.one_plus, counts.two_plus, counts.three_plus)
        shares = score.grade_fractions or [None] * 3
        rows.append(
            (
                name,
                plain(figures.format_count(counts.negative), "value"),
                *(_counted(count, share) for count, share in zip(graded, shares, strict=True)),
                _counted(counts.total, score.cell_density_per_mm2),
            )
        )
    return Table(GRADES_SAID, ("Section and region", *GRADES), tuple(rows))


def _counted(count: int, share: Estimate | None) -> Cell:
    """Return a number of cells, what it is a share of, and between which limits that share lies."""
    if share is None or share.value is None:
        return plain(figures.format_count(count), "value")
    bounds = tuple(Line(words, "quiet") for words in outer_bounds(share, ("sampling", "+ error")))
    return Cell((Line(figures.format_count(count), "value"), Line(figures.format_estimate(share)), *bounds))


def errors_table(scored: Sequence[Scored]) -> Table:
    """Return what is known of each error, sections that say the same together."""
    rows = []
    for place, figure in enumerate(FIGURES_OF_ERROR):
        said: dict[tuple[str, str], list[str]] = {}
        for outcome in scored:
            _, statement = outcome.score.network_error.by_figure[place]
            base, doubt, rest = statement.rpartition(NOT_VALIDATED)
            # What was left aside stands behind the marker.
            marker, aside, left_aside = rest.partition(JOINED) if doubt else ("", "", "")
            said.setdefault((base if doubt else statement, aside + left_aside), []).append(marker)
        lines = tuple(Line(capital(_validity(base, markers) + aside)) for (base, aside), markers in said.items())
        name, _ = scored[0].score.network_error.by_figure[place]
        rows.append((Cell((Line(capital(name), "value"),)), plain(figure), Cell(lines)))
    return Table(ERRORS_SAID, ("What errs", "Figures it goes into", "What is known of it"), tuple(rows))


def _validity(base: str, markers: Sequence[str]) -> str:
    """Return what is known, and all markers for which it is not validated."""
    named = ", ".join(dict.fromkeys(filter(None, markers)))
    return f"{base}{NOT_VALIDATED}{named}" if named else base


def capital(words: str) -> str:
    """Return words with a capital at their beginning."""
    return words[:1].upper() + words[1:]
