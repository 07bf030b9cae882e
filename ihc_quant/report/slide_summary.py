"""What became of one slide, in plain lines for a terminal."""

from ihc_quant.domain.outcome import WHOLE, Failed, NoTissue, Scored, Shown, SlideOutcome
from ihc_quant.domain.provenance import RESEARCH_USE_ONLY
from ihc_quant.domain.score import Estimate, MarkerScore
from ihc_quant.report.doubts import doubts
from ihc_quant.report.figures import (
    format_area,
    format_chromogen,
    format_count,
    format_estimate,
    format_marker,
    format_with_intervals,
    one_line,
    positive_cells,
)
from ihc_quant.report.footnotes import JOINED, outer_bounds

GRADES = ("1+", "2+", "3+")


def summary_lines(outcome: SlideOutcome) -> list[str]:
    """Return the outcome of one slide as lines of text, without control characters.

    Parameters
    ----------
    outcome : SlideOutcome
        Scored, without tissue, or failed.

    Returns
    -------
    list of str
        The first line names the slide, the last states research use only.
    """
    stain = outcome.stain
    heading = f"{outcome.slide_id}: {format_marker(stain.marker)}, chromogen {format_chromogen(stain)}"
    match outcome:
        case Scored():
            body = _scored_lines(outcome)
        case Shown():
            body = ["  shown only; a section without chromogen is not scored"]
        case NoTissue():
            body = ["  no tissue found; nothing was scored"]
        case Failed():
            body = [f"  not scored: {outcome.reason}"]
    return [one_line(line) for line in (heading, *body, RESEARCH_USE_ONLY)]


def _scored_lines(outcome: Scored) -> list[str]:
    score = outcome.score
    counts = score.counts
    cells = positive_cells(score.marker)
    where = "tissue" if outcome.region == WHOLE else f"the {outcome.region.label}"
    lines = [
        f"  {cells}: {format_count(counts.positive)} of {format_count(counts.total)} cells "
        f"on {format_area(counts.area_um2)} of {where}",
        _estimate_line("percent positive", score.positive_fraction),
        _estimate_line("density", score.positive_density_per_mm2),
        _estimate_line("H-score", score.h_score),
        f"  grades: negative {format_count(counts.negative)}, 1+ {format_count(counts.one_plus)}, "
        f"2+ {format_count(counts.two_plus)}, 3+ {format_count(counts.three_plus)} (cuts not validated)",
        *(_outer_line(f"share of {name}", share) for name, share in zip(GRADES, score.grade_fractions, strict=False)),
        _outer_line("all cells", score.cell_density_per_mm2),
    ]
    lines += [f"  {name}: {words}" for name, words in doubts(score)]
    lines += [line for part in outcome.compartments for line in _part_lines(part.region.label, part.score)]
    if outcome.control is not None:
        lines += _part_lines("control tissue, not the patient's", outcome.control)
    if outcome.hot_spot is not None:
        size = f"{outcome.hot_spot.side_um**2 / 1e6:.2g} mm²"
        lines.append(_estimate_line(f"densest {size} of the analysed tissue", outcome.hot_spot.density_per_mm2))
    lines += [f"  not analysed: {format_area(left.area_um2)}, {left.cause}" for left in outcome.left_out]
    if outcome.annotations is not None:
        lines += [f"  annotations: {outcome.annotations.regions} drawn areas"]
        lines += [f"  note: {sentence}" for sentence in outcome.annotations.notes]
    lines += [f"  note: {sentence}" for sentence in outcome.notes]
    lines += [f"  weights: {outcome.provenance.weights_name}; licence: {outcome.provenance.weights_licence}"]
    return lines + [f"  caution: {caution}" for caution in score.cautions]


def _part_lines(name: str, score: MarkerScore) -> list[str]:
    counts = score.counts
    return [
        f"  {name}: {format_count(counts.positive)} of {format_count(counts.total)} cells on "
        f"{format_area(counts.area_um2)}",
        "  " + _estimate_line("percent positive", score.positive_fraction),
        "  " + _estimate_line("density", score.positive_density_per_mm2),
        "  " + _estimate_line("H-score", score.h_score),
    ]


def _outer_line(name: str, estimate: Estimate) -> str:
    bounds = f" ({JOINED.join(outer_bounds(estimate))})" if estimate.intervals else ""
    return f"  {name}: {format_estimate(estimate)}{bounds}"


def _estimate_line(name: str, estimate: Estimate) -> str:
    return f"  {name}: {format_with_intervals(estimate)}"
