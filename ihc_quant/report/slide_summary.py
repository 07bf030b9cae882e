"""What became of one slide, in plain lines for a terminal."""

from ihc_quant.domain.outcome import Failed, NoTissue, Scored, Shown, SlideOutcome
from ihc_quant.domain.provenance import RESEARCH_USE_ONLY
from ihc_quant.domain.score import Estimate
from ihc_quant.report.doubts import doubts
from ihc_quant.report.figures import (
    format_area,
    format_chromogen,
    format_count,
    format_marker,
    format_with_intervals,
    one_line,
    positive_cells,
)


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
    lines = [
        f"  {cells}: {format_count(counts.positive)} of {format_count(counts.total)} cells "
        f"on {format_area(counts.area_um2)} of tissue",
        _estimate_line("percent positive", score.positive_fraction),
        _estimate_line("density", score.positive_density_per_mm2),
        _estimate_line("H-score", score.h_score),
        f"  grades: negative {format_count(counts.negative)}, 1+ {format_count(counts.one_plus)}, "
        f"2+ {format_count(counts.two_plus)}, 3+ {format_count(counts.three_plus)} (cuts not validated)",
    ]
    lines += [f"  {name}: {words}" for name, words in doubts(score)]
    lines += [f"  weights: {outcome.provenance.weights_name}; licence: {outcome.provenance.weights_licence}"]
    return lines + [f"  caution: {caution}" for caution in score.cautions]


def _estimate_line(name: str, estimate: Estimate) -> str:
    return f"  {name}: {format_with_intervals(estimate)}"
