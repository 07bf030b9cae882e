"""The figures of one marker of a biopsy, as the cohort table gives them: sums of its sections, ratios of the sums."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ihc_quant.domain.outcome import Scored, SlideOutcome
from ihc_quant.domain.score import CellCounts, Estimate, Interval, MarkerScore
from ihc_quant.scoring.score import h_score, positive_density_per_mm2, positive_fraction

MEASUREMENT_METHOD = "sampling + measurement"
"""How the method of an interval begins that holds the network's own error too; others hold sampling alone."""

NO_SECTION = "no section"
INCOMPLETE = "incomplete"
SCORED = "scored"

SEVERAL = "{} sections: figures are ratios of sums, intervals stand in the report"


@dataclass(frozen=True, slots=True)
class MarkerFigures:
    """The cells of one marker's columns by the columns' names without the marker; what is missing is not there."""

    cells: Mapping[str, str | int | float | bool]


def marker_figures(marker: str, outcomes: Sequence[SlideOutcome]) -> MarkerFigures:
    """Return the figures of one marker.

    Parameters
    ----------
    marker : str
    outcomes : sequence of SlideOutcome
        Of the whole biopsy.

    Returns
    -------
    MarkerFigures
        Without figures where one of the marker's sections was not scored: the rest would be a smaller biopsy.
    """
    sections = [outcome for outcome in outcomes if outcome.stain.marker == marker]
    scores = [outcome.score for outcome in sections if isinstance(outcome, Scored)]
    complete = len(scores) == len(sections)
    status = NO_SECTION if not sections else SCORED if complete else INCOMPLETE
    cells: dict[str, str | int | float | bool] = {"sections": len(sections), "status": status}
    if not scores or not complete:
        return MarkerFigures(cells)
    counts = sum((score.counts for score in scores), CellCounts())
    cells |= {
        "cells": counts.total,
        "positive_cells": counts.positive,
        "one_plus": counts.one_plus,
        "two_plus": counts.two_plus,
        "three_plus": counts.three_plus,
        "area_mm2": counts.area_um2 / 1e6,
    }
    notes = [caution for score in scores for caution in score.cautions]
    intervals: list[Interval] = []
    for name, of_scores, of_counts in (
        ("positive_fraction", [score.positive_fraction for score in scores], positive_fraction(counts)),
        ("density_per_mm2", [score.positive_density_per_mm2 for score in scores], positive_density_per_mm2(counts)),
        ("h_score", [score.h_score for score in scores], h_score(counts)),
    ):
        notes += [f"{name}: {estimate.reason}" for estimate in of_scores if estimate.reason]
        if len(scores) == 1:
            cells |= _with_limits(name, of_scores[0])
            intervals += of_scores[0].intervals
        elif of_counts is not None and any(estimate.value is not None for estimate in of_scores):
            cells[name] = of_counts
    if len(scores) > 1:
        notes.append(SEVERAL.format(len(scores)))
    if intervals:
        cells["intervals_reliable"] = all(interval.reliable for interval in intervals)
        notes += [f"{interval.method}: {interval.note}" for interval in intervals if interval.note]
    notes += _known_error(scores)
    if notes:
        cells["notes"] = " | ".join(dict.fromkeys(notes))
    return MarkerFigures(cells)


def _known_error(scores: Sequence[MarkerScore]) -> list[str]:
    return [score.network_error.statement for score in scores]


def _with_limits(name: str, estimate: Estimate) -> dict[str, float]:
    """Return an estimate's value and the outer limits of its intervals."""
    if estimate.value is None:
        return {}
    cells = {name: estimate.value}
    both = [each for each in estimate.intervals if each.method.startswith(MEASUREMENT_METHOD)]
    sampling = [each for each in estimate.intervals if each not in both]
    for kind, intervals in (("sampling", sampling), ("measurement", both)):
        if intervals:
            cells[f"{name}_{kind}_low"] = min(each.low for each in intervals)
            cells[f"{name}_{kind}_high"] = max(each.high for each in intervals)
    return cells
